"""python -m minidiff start NN: a copy of a chapter to work in, which no update of the course touches."""

from pathlib import Path

from minidiff.places import INSTALLED, ROOT


def add_parser(commands):
    parser = commands.add_parser("start", description="Copy a chapter into the folder work/, which no update "
                                 "of the course touches. A file that is there already is never overwritten.")
    parser.add_argument("chapter", metavar="NN", help="its number, such as 04")
    parser.set_defaults(run=run)


def run(args):
    copy = start(args.chapter, ROOT, Path("work") if INSTALLED else ROOT / "work")
    print(f"{copy} is yours: open it in JupyterLab (`{'jupyter lab' if INSTALLED else 'make lab'}`)")


def start(number, root, work):
    """Copy root/chapters/NN_name.ipynb to work/NN_name.ipynb and return its path; number: "04" or "4".

    Raises ValueError for an unknown chapter or a copy that is there already, OSError when it cannot be written.
    """
    chapters = {file.name[:2]: file for file in sorted((root / "chapters").glob("[0-9][0-9]_*.ipynb"))}
    chapter = chapters.get(str(number).zfill(2))
    if chapter is None:
        raise ValueError(f"there is no chapter {number!r}; there are {', '.join(chapters) or 'none in ' + str(root)}")
    content, copy = chapter.read_bytes(), work / chapter.name
    copy.parent.mkdir(exist_ok=True)
    try:
        file = open(copy, "xb")  # x: fails when it is there, even if another process is just writing it
    except FileExistsError:
        raise ValueError(f"{copy} is there already and stays as it is: open it, or rename it to start anew") from None
    try:
        with file:
            file.write(content)
    except OSError:
        copy.unlink()  # half a notebook would only be in the way of the next attempt
        raise
    return copy
