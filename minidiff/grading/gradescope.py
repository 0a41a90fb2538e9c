"""The course as Gradescope wants it: what `export gradescope` packs, and what runs there for every submission.

Gradescope unpacks the archive into source/, runs setup.sh once as root, and run_autograder for every submission, which
calls `main` here: it reads submission/, grades it in source/, and writes results/results.json. The formats are those
of Gradescope's Autograder Specifications (gradescope-autograders.readthedocs.io/en/latest/specs/).
"""

import io
import json
import os
import subprocess
import sys
import time
import tomllib
import traceback
import zipfile
from pathlib import Path
from string import Template

import nbformat

from minidiff.exercises.core import report
from minidiff.exercises.judge import Result
from minidiff.grading.mark import PACKAGE, ROOT, GradingError, Marker, notebooks
from minidiff.grading.nursery import Limits
from minidiff.grading.submissions import Submission, chapter_of
from minidiff.training.checkpoint import write_whole

TEXTS = Path(__file__).parent / "texts"
PROGRAMS = ("setup.sh", "run_autograder")
LIMITS = Limits(memory=2.0)  # GiB that one answer may take: less than a container of 4 GB has left
STOPPED = ("The grader was stopped before it was done, most likely because its container has too little memory or "
           "time. This is no fault of your notebook: please tell your teacher.")


def archive(chapters, seed):
    """The bytes of the zip file for some chapters, ['ch01', ...]: the grader, its settings, and its two programs."""
    stems = [notebooks()[chapter] for chapter in chapters]
    about = Template((TEXTS / "gradescope.md").read_text(encoding="utf-8"))
    files = {name: (TEXTS / name).read_text(encoding="utf-8") for name in PROGRAMS} | {
        "README.md": about.substitute(seed=seed, memory=f"{LIMITS.memory:g}", first=stems[0],
                                      files=", ".join(f"`{stem}.ipynb`" for stem in stems)),
        "settings.json": json.dumps({"chapters": chapters, "seed": seed}), "requirements.txt": requirements()}
    for stem in stems:
        files[f"chapters/{stem}.ipynb"] = without_outputs(ROOT / "chapters" / f"{stem}.ipynb")
    for file in sorted(f for f in PACKAGE.rglob("*") if f.is_file() and "__pycache__" not in f.parts):
        files[f"minidiff/{file.relative_to(PACKAGE).as_posix()}"] = file.read_bytes()
    for name in ("course.toml", "constraints.txt", "LICENSE"):
        files[name] = (ROOT / name).read_bytes()
    return packed(files)


def packed(files):
    """{path: text or bytes} as the bytes of a zip file, the same for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as pack:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3  # Unix: the modes count
            entry.external_attr = (0o755 if path in PROGRAMS else 0o644) << 16
            pack.writestr(entry, content)
    return stream.getvalue()


def requirements():
    """The packages that grading needs, as pyproject.toml asks for them; minidiff itself runs from source/."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    notebook = [r for r in project["optional-dependencies"]["notebooks"] if r.startswith(("ipython", "nbformat"))]
    return "\n".join(project["dependencies"] + notebook) + "\n"


def without_outputs(file):
    """The text of a notebook whose outputs are cut out."""
    notebook = nbformat.read(file, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    return nbformat.writes(notebook) + "\n"


def main():
    """Grade the submission that lies ready, and write results.json whatever happens. Returns the exit status."""
    root, start = Path(os.environ.get("MINIDIFF_AUTOGRADER", "/autograder")), time.monotonic()
    file = root / "results" / "results.json"
    write_whole(file, json.dumps(failure(STOPPED)))
    try:
        settings = json.loads((ROOT / "settings.json").read_text(encoding="utf-8"))
        user = student()
        if user:
            for name in ("source", "submission", "results"):
                os.chmod(root / name, (root / name).stat().st_mode & ~0o007)
        results = graded(root, settings["chapters"], settings["seed"], user)
        status = 0
    except Exception as error:  # whatever it is, the student must read that it is not their fault
        traceback.print_exc()
        words = str(error) if isinstance(error, GradingError) else type(error).__name__
        results, status = failure(f"The grader could not run: {words}. Please tell your teacher."), 1
    write_whole(file, json.dumps(results | {"execution_time": round(time.monotonic() - start)}, indent=1))
    print(f"{results['score']:g} points, written to {file}")
    return status


def student():
    """(user id, group id) of the user MINIDIFF_STUDENT, 'student' if not set; None if it is empty: stay this user.

    Raises GradingError where there is no such user, where this process is not root's, or where that user may not read
    Python and its packages: every answer would stop with an error that is not its own.
    """
    name = os.environ.get("MINIDIFF_STUDENT", "student")
    if not name:
        return None
    import pwd  # absent on Windows, where only the packing runs
    try:
        who = pwd.getpwnam(name)
    except KeyError:
        raise GradingError(f"there is no user {name!r}, whom setup.sh makes to run answers") from None
    if os.getuid():
        raise GradingError(f"run_autograder must run as root, so that answers can run as {name!r}")
    user, group = who.pw_uid, who.pw_gid
    if subprocess.run([sys.executable, "-c", "import numpy"], user=user, group=group, extra_groups=[], cwd="/",
                      capture_output=True).returncode:
        raise GradingError(f"the user {name!r} cannot run {sys.executable}, or read its packages")
    return user, group


def graded(root, chapters, seed, user):
    """What results.json says about the notebooks in root/submission."""
    found, notes = handed_in(root / "submission", chapters)
    sheets = []
    for chapter, file in found.items():
        hide = (root / "submission", root / "results")
        with Marker(chapter, seed, LIMITS, hide=hide, user=user) as marker:
            sheets.append(marker.sheet(Submission("student", chapter, file)))
    notes += [f"{s.file} could not be graded: {s.problem}." for s in sheets if s.problem]
    entries = [entry(mark) for sheet in sheets for mark in sheet.marks]
    return failure("\n".join(notes)) | {"score": round(sum(s.points for s in sheets), 2), "tests": entries}


def handed_in(submission, chapters):
    """({chapter: file}, what to say about the rest) of the files that a student uploaded.

    Where one chapter is asked for and one notebook was handed in, that is it, whatever its name.
    """
    names = {chapter: notebooks()[chapter] for chapter in chapters}
    files = [f for f in sorted(submission.rglob("*.ipynb")) if f.is_file() and not f.is_symlink()
             and not any(part.startswith((".", "__")) for part in f.relative_to(submission).parts)]
    if len(files) == len(chapters) == 1:
        return {chapters[0]: files[0]}, []
    found = {chapter: file for file in files for chapter in [chapter_of(file, names)[0]] if chapter}
    notes = [f"Not graded: {file.relative_to(submission)}." for file in files if file not in found.values()]
    if not found:
        notes.append(f"Nothing to grade: hand in {' or '.join(f'{stem}.ipynb' for stem in names.values())}.")
    return found, notes


def entry(mark):
    """One entry of results.json: an exercise with its points, or a written answer for a person to read."""
    lines = report(Result(mark.id, mark.state, mark.points, mark.cases)) if mark.cases else [
        f"{mark.id}: {mark.state}" + (f", {mark.note}" if mark.note else "")]
    if mark.state == "to be read":
        return {"name": f"{mark.id}: to be read, up to {mark.of} points", "output": mark.text or "nothing written",
                "output_format": "text", "visibility": "visible"}
    return {"name": mark.id, "score": mark.points, "max_score": mark.of, "output": "\n".join(lines),
            "status": "passed" if mark.state == "passed" else "failed", "output_format": "text",
            "visibility": "visible"}


def failure(words):
    """What results.json says where nothing was graded."""
    return {"score": 0.0, "output": words, "output_format": "text", "visibility": "visible",
            "stdout_visibility": "hidden", "tests": []}


if __name__ == "__main__":
    sys.exit(main())
