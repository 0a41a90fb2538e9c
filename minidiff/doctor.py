"""Is this machine ready for the course? Each check says what it found, or what is wrong and how to mend it.

It runs on a bare Python, so nothing is imported here that the course has to install.
"""

import os
import platform
import re
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from minidiff.places import CACHE, INSTALLED, ROOT

FREE = 1e9  # bytes: all data sets, and a training run beside them
INSTALL = ("install the course anew with pip" if INSTALLED else
           "run `make .venv`, and start Python from there; without make, `python -m pip install -e .[notebooks]`")


class Wrong(RuntimeError):
    """What a check found wrong, and how to mend it, in one sentence."""


def check(root=ROOT):
    """Examine Python, torch, device, kernel, data, folders, disk and checkpoints of the course in the folder `root`.

    Returns a list of (name, ok, sentence); changes nothing and raises nothing that a broken installation can cause.
    """
    return [(name, *_outcome(examine, Path(root))) for name, examine in CHECKS.items()]


def report(root=ROOT):
    """Print one line for each check. Returns the exit status: 0 when all is well, 1 when something is wrong."""
    found = check(root)
    for name, ok, sentence in found:
        print(f"{'ok' if ok else 'WRONG':5}  {name:11}  {sentence}")
    wrong = sum(not ok for _, ok, _ in found)
    print(f"{wrong} of {len(found)} checks found something to mend" if wrong else "everything is ready")
    return min(wrong, 1)


def _outcome(examine, root):
    try:
        return True, examine(root)
    except ImportError as error:
        return False, f"{error}: {INSTALL}"
    except (RuntimeError, OSError) as error:  # our own errors, and those of broken libraries, drivers and disks
        return False, " ".join(str(error).split())


def _python(root):
    wanted, _ = _wishes(root)
    if not _satisfies(platform.python_version(), wanted):
        raise Wrong(f"Python {platform.python_version()} is not {wanted}: `PYTHON=python3.12 make .venv` takes another")
    return f"Python {platform.python_version()}, {sys.executable}"


def _packages(root):
    _, wanted = _wishes(root)
    have = {wish: _version(re.match(r"[\w.-]+", wish)[0]) for wish in wanted}
    unmet = [f"{wish} ({found or 'absent'})" for wish, found in have.items() if not (found and _satisfies(found, wish))]
    if unmet:
        raise Wrong(f"not installed as the course needs them: {', '.join(unmet)}; {INSTALL}")
    return f"{len(wanted)} packages are what the course needs"


def _torch(root):
    import torch
    if torch.ones(3).cumsum(0).tolist() != [1, 2, 3]:
        raise Wrong(f"torch {torch.__version__} computes wrongly: {INSTALL}")
    return f"torch {torch.__version__}"


def _device(root):
    import torch

    from minidiff.recipes.run import hardware
    from minidiff.training.device import pick_device
    device = pick_device()
    if device.type == "cpu" and torch.version.cuda and Path("/dev/nvidia0").exists():
        raise Wrong(f"torch for CUDA {torch.version.cuda} cannot use the GPU of this machine: update its driver; until "
                    "then everything runs on the CPU")
    eye = torch.eye(64)
    if not torch.equal((eye.to(device) @ eye.to(device)).cpu(), eye):
        raise Wrong(f"{hardware(device)} computes wrongly: update its driver")
    return f"{device.type}: {hardware(device)}"


def _kernel(root):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        raise Wrong(f"Jupyter has no kernel python3: {INSTALL}") from None
    program = spec.argv[0]
    if re.fullmatch(r"python(3(\.\d+)?)?", program):  # Jupyter then starts the interpreter that it runs in itself
        return f"notebooks run in {sys.executable}"
    if Path(program).parent != Path(sys.executable).parent:
        raise Wrong(f"the notebook kernel python3 in {spec.resource_dir} starts {program}, not {sys.executable}: "
                    f"delete that folder, or run `{sys.executable} -m ipykernel install --sys-prefix`")
    return f"notebooks run in {program}"


def _data(root):
    from minidiff.data.registry import datasets, locate, problem
    chosen = os.environ.get("MINIDIFF_DATA")
    if chosen and not Path(chosen).expanduser().is_dir():
        raise Wrong(f"MINIDIFF_DATA names {chosen}, which is not a folder: correct it, or unset it")
    whole = ["strokes"]
    for name, entry in datasets().items():
        paths = [locate(name, file) for file in entry.files]
        for path, file in zip(paths, entry.files):
            if path and (damage := problem(path, file)):
                raise Wrong(f"{damage}; delete it, and download it anew: `python -m minidiff data get {name}`")
        whole += [name] if all(paths) else []
    later = "" if "mnist" in whole else "; mnist is downloaded when needed, or by `python -m minidiff data get mnist`"
    return f"here and whole: {', '.join(whole)}{later}"


def _writing(root):
    names = ("out", "work", "datasets")
    folders = [Path.cwd() / "out", Path.cwd() / "work", CACHE] if INSTALLED else [root / name for name in names]
    for folder in folders:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        try:
            tempfile.TemporaryFile(dir=there).close()
        except OSError as error:
            raise Wrong(f"{there} cannot be written ({error.strerror}): give yourself the right to, or go to a folder "
                        "of your own") from None
    return f"{', '.join(map(str, folders))} can be written"


def _disk(root):
    free = shutil.disk_usage(root).free
    if free < FREE:
        raise Wrong(f"only {free / 1e9:.2f} GB free in {root}: make room until there is {FREE / 1e9:g} GB")
    return f"{free / 1e9:.0f} GB free"


def _checkpoints(root):
    import tomllib

    from minidiff.training.checkpoint import load_checkpoint
    from minidiff.training.errors import CheckpointError
    course = tomllib.loads((root / "course.toml").read_text(encoding="utf-8"))
    names = {name for entry in course.values() for name in entry.get("checkpoints", ())}
    names |= {file.stem for file in (root / "checkpoints").glob("*.safetensors")}
    for name in sorted(names):
        try:
            load_checkpoint(root / "checkpoints" / f"{name}.safetensors")
        except CheckpointError as error:
            again = "pip, installing the course anew," if INSTALLED else "`git checkout checkpoints`"
            raise Wrong(f"{error}: {again} brings back what the course came with") from None
    return f"readable: {', '.join(sorted(names))}"


def _wishes(root):
    """What the course asks for: its Python, as ">=3.11", and its packages, as ["numpy>=2.0", ...].

    From pyproject.toml in a checkout, else from what pip wrote down. Read with the simplest of means, for on a Python
    that is too old there is no tomllib.
    """
    if INSTALLED:
        lines = [line for line in requires("minidiff") if "extra ==" not in line or "notebooks" in line]
        return metadata("minidiff")["Requires-Python"], [line.split(";")[0].strip() for line in lines]
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    lists = [re.search(rf"^{name} = \[(.*?)^\]", text, re.M | re.S)[1] for name in ("dependencies", "notebooks")]
    return re.search(r'^requires-python = "(.+)"', text, re.M)[1], re.findall(r'"(.+?)"', "".join(lists))


def _satisfies(have, wish):
    """Whether a version is at least what a wish such as "torch>=2.11" says."""
    numbers = [[int(n) for n in re.findall(r"\d+", text.split("+")[0])] for text in (have, wish.split(">=")[1])]
    return numbers[0] >= numbers[1]


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


CHECKS = {"Python": _python, "packages": _packages, "torch": _torch, "device": _device, "kernel": _kernel,
          "data": _data, "folders": _writing, "disk": _disk, "checkpoints": _checkpoints}
