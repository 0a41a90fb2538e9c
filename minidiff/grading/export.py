"""`python -m minidiff.grading export`: the course as nbgrader or Gradescope wants it, written whole or not at all."""

import os
import random
import shutil
import tempfile
from pathlib import Path

from minidiff.grading import gradescope, nbgrader
from minidiff.grading.mark import GradingError, notebooks
from minidiff.training.checkpoint import write_whole
from minidiff.training.errors import CheckpointError

TARGETS = ("nbgrader", "gradescope")


def add_command(commands):
    """Add `export` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("export", help="the course for nbgrader or Gradescope", description=(
        "Writes the chapters as a course folder for nbgrader (DIR must be new or empty), or the grader as an "
        "autograder for Gradescope (ZIP must not be there yet). Each comes with a README that says how to go on."))
    parser.add_argument("target", metavar="nbgrader|gradescope")
    parser.add_argument("place", type=Path, metavar="DIR|ZIP")
    parser.add_argument("--chapter", action="append", default=[], metavar="NN",
                        help="such as 01; may be said more than once (default: all)")
    parser.add_argument("--seed", type=int, help="of the checks' random inputs (default: a fresh one, which the README "
                                                 "names; the same seed gives the same marks)")
    parser.set_defaults(command=command)


def command(args):
    """Run `export` with parsed arguments. Returns the exit status; raises GradingError."""
    if args.target not in TARGETS:
        raise GradingError(f"no export for {args.target!r}; there are {' and '.join(TARGETS)}")
    unknown = [n for n in args.chapter if f"ch{n.zfill(2)}" not in notebooks()]
    if unknown:
        raise GradingError(f"no chapter {unknown[0]} with exercises; there are "
                           f"{', '.join(chapter[2:] for chapter in notebooks())}")
    wanted = sorted({f"ch{n.zfill(2)}" for n in args.chapter} or notebooks())
    seed = random.SystemRandom().randrange(2**31) if args.seed is None else args.seed
    if args.target == "nbgrader":
        write_folder(args.place, lambda: nbgrader.course(wanted, seed, args.place))
    else:
        write_zip(args.place, lambda: gradescope.archive(wanted, seed))
    readme = "the README.md in it" if args.target == "gradescope" else args.place / "README.md"
    print(f"{args.place}: chapters {', '.join(chapter[2:] for chapter in wanted)}, seed {seed}; next, read {readme}")
    return 0


def write_folder(folder, make):
    """Write the files {path: text} that make() gives into a new or empty folder. Raises GradingError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GradingError(f"{folder} is {'not empty' if folder.is_dir() else 'a file'}: name a new or empty folder")
    files, new = make(), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".export-"))
        for path, text in files.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_text(text, encoding="utf-8")
        for part in sorted(temporary.iterdir()):
            os.rename(part, folder / part.name)
        temporary.rmdir()
    except BaseException as error:
        for part in folder.iterdir() if folder.is_dir() else ():  # all ours: the folder was new or empty
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        if new and folder.is_dir():
            folder.rmdir()
        if isinstance(error, OSError):
            raise GradingError(f"{folder}: cannot be written ({error.strerror or error})") from None
        raise


def write_zip(file, make):
    """Write the bytes that make() gives to a new file. Raises GradingError."""
    if file.suffix != ".zip":
        raise GradingError(f"{file}: the name of an autograder ends in .zip")
    if file.exists():
        raise GradingError(f"{file} exists already: delete it, or choose another name")
    try:
        write_whole(file, make())
    except CheckpointError as error:
        raise GradingError(str(error)) from None
