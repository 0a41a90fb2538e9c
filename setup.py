"""Puts into a wheel, as minidiff/course/, what the package reads beside its code: see minidiff/places.py."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

COURSE = ("course.toml", "checkpoints/*.safetensors", "checkpoints/*.json", "benchmarks/*.json", "benchmarks/*.xz",
          "datasets/registry.toml", "chapters/*.ipynb")


class BuildWithCourse(build_py):
    """Build the package, and copy the files of the course into it. An editable install reads them where they are."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        inside = Path(self.build_lib) / "minidiff" / "course"
        shutil.rmtree(inside, ignore_errors=True)  # of an earlier build
        for pattern in COURSE:
            files = sorted(Path().glob(pattern))
            if not files:
                raise FileNotFoundError(f"the course has no {pattern} in {Path.cwd()}")
            for file in files:
                (inside / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, inside / file)


setup(cmdclass={"build_py": BuildWithCourse})
