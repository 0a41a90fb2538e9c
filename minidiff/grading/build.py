"""`python -m minidiff.grading build`: from the source of a chapter to what a learner opens.

`solutions/NN_name.ipynb` is the only notebook that a person edits. A build brings it into its one form, executes it
(an answer that does not pass its checks stops the build), writes it back with its outputs, cuts the solutions out,
executes the result too, and writes `chapters/NN_name.ipynb`. Nothing is written unless both ran to their end.

    # %% tags=["exercise"] minidiff={"exercise": "ch01.q_sample", "points": 3}
    def q_sample(x0, t, eps, alpha_bar):
        '''Noise x0 to step t at once.'''
        # BEGIN SOLUTION
        ...
        # END SOLUTION

    # %% tags=["check"]
    q_sample = answer("ch01.q_sample", q_sample)

    # %% [markdown] tags=["manual"] minidiff={"exercise": "ch01.induction", "points": 2}
    # The model answer: the learner sees "Write your answer here."

Other tags: `setup`, `exercise-text`, and `draft` for a first version of a definition that the package improves.
Ids of cells come from a hash of their sources and nbgrader's metadata from ours, so a rebuild changes no source.
Kernels start in the notebook's own folder, so cells reach files through the package, never through the working folder.
`--check` executes nothing: it names every file whose sources (prose and metadata too) are not what a build would write.
"""

import base64
import io
import os
import tempfile
import time
import warnings
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image

from minidiff.exercises.core import find
from minidiff.grading.notebook import CHECK, METADATA, BuildError, derived, exercise_of, normalised, sources

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120  # seconds for one cell


def add_command(commands):
    """Add `build` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("build", help="derive chapters/ from solutions/ and execute both",
                                 description="Derive chapters/ from solutions/ and execute both.")
    parser.add_argument("numbers", nargs="*", metavar="NN", help="chapters to build, such as 01 (default: all)")
    parser.add_argument("--check", action="store_true", help="execute nothing; exit 1 if a file is not up to date")
    parser.set_defaults(command=command)


def command(args, root=ROOT):
    """Run `build` with parsed arguments. Returns the exit status; raises BuildError."""
    files = solution_files(root, args.numbers)
    if args.check:
        stale = outdated(files) + ([] if args.numbers else orphans(root))
        for file, problem in stale:
            print(f"{file.relative_to(root)}: {problem}")
        print("all sources are up to date" if not stale else f"{len(stale)} of {2 * len(files)} files are out of date: "
              "run python -m minidiff.grading build")
        return 1 if stale else 0
    for file in files:
        start = time.perf_counter()
        build(file)
        print(f"{file.stem}: both executed and written, {time.perf_counter() - start:.0f} s", flush=True)
    return 0


def solution_files(root, numbers=()):
    """The sources of the chapters asked for, in order (all, if none is named). Raises BuildError for an unknown one."""
    files = {file.name[:2]: file for file in sorted((Path(root) / "solutions").glob("[0-9][0-9]_*.ipynb"))}
    unknown = [n for n in numbers if n.zfill(2) not in files]
    if unknown or not files:
        known = ", ".join(files) or "none"
        raise BuildError(f"no chapter {', '.join(unknown) or 'at all'} in solutions/; there are: {known}")
    return [files[n] for n in sorted({n.zfill(2) for n in numbers} or files)]


def chapter_file(file):
    """chapters/NN_name.ipynb for solutions/NN_name.ipynb."""
    return file.parent.parent / "chapters" / file.name


def read(file):
    """Read a notebook. Raises BuildError if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without ids: a build gives them theirs
            return nbformat.read(file, as_version=4)
    except Exception as error:  # whatever JSON or the notebook schema objects to
        raise BuildError(f"{_short(file)}: not a readable notebook ({type(error).__name__})") from None


def pair(file, find=find):
    """The notebooks (solution with its outputs, chapter without) that a source stands for. Raises BuildError."""
    try:
        solution = normalised(read(file), file.name[:2], find)
        return solution, derived(solution)
    except BuildError as error:
        text = str(error)
        raise BuildError(text if text.startswith(_short(file)) else f"{_short(file)}, {text}") from None


def build(file, find=find):
    """Execute one source and the chapter derived from it, and write both. Raises BuildError."""
    solution, chapter = pair(file, find)
    target = chapter_file(file)
    target.parent.mkdir(exist_ok=True)
    execute(solution, file, strict=True)
    execute(chapter, target, strict=False)
    write(solution, file)
    write(chapter, target)


def outdated(files, find=find):
    """The files whose sources a build would change, [(path, problem), ...]."""
    stale = []
    for file in files:
        solution, chapter = pair(file, find)
        if sources(solution) != sources(read(file)):
            stale.append((file, "not in the form that a build gives it"))
        target = chapter_file(file)
        if not target.exists():
            stale.append((target, "missing"))
        elif sources(chapter) != sources(read(target)):
            stale.append((target, f"differs from what solutions/{file.name} gives"))
    return stale


def orphans(root):
    """The notebooks in chapters/ that have no source, [(path, problem), ...]."""
    return [(file, "has no source in solutions/") for file in sorted((Path(root) / "chapters").glob("*.ipynb"))
            if not (Path(root) / "solutions" / file.name).exists()]


def execute(notebook, file, strict):
    """Execute a notebook in place, in the folder of its file. strict: a check that does not pass is an error.

    Raises BuildError, with the cell and the error in one line.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MINIDIFF_STRICT": str(int(strict))}
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", record_timing=False,
                            coalesce_streams=True, extra_arguments=["--log-level=ERROR"],
                            resources={"metadata": {"path": str(file.parent)}})
    try:
        client.execute(env=env)
    except CellExecutionError as error:
        number = _failed(notebook)
        said = " ".join(f"{error.ename}: {error.evalue}".split()).removesuffix(":")
        id = _asked(notebook.cells[number - 1])
        raise BuildError(f"{_short(file)}, cell {number}: {'' if id in said else f'{id}: '}{said}") from None
    except (CellTimeoutError, DeadKernelError) as error:
        problem = "ran over" if isinstance(error, CellTimeoutError) else "the kernel died within"
        raise BuildError(f"{_short(file)}, cell {_failed(notebook)}: {problem} {TIMEOUT} s") from None
    notebook.metadata = nbformat.from_dict(METADATA)  # the kernel has added its versions
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "metadata" in output:
                output["metadata"] = {}
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = _smaller(output["data"]["image/png"])


def _smaller(png):
    """The same picture (base64 PNG) in 256 colours, at a fraction of the size: notebooks stay below a megabyte."""
    packed = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(256).save(packed, "PNG", optimize=True)
    return base64.b64encode(packed.getvalue()).decode()


def write(notebook, file):
    """Write a notebook whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(nbformat.writes(nbformat.from_dict(notebook)).rstrip("\n") + "\n")
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise


def _failed(notebook):
    """The number of the cell at which the execution stopped: the last that was begun, counted from 1."""
    begun = [i for i, cell in enumerate(notebook.cells, start=1) if cell.get("execution_count") or cell.get("outputs")]
    return max(begun, default=1)


def _asked(cell):
    """The id of the exercise that a cell answers or checks, or ''."""
    check = CHECK.fullmatch(cell.source)
    return check[2] if check else exercise_of(cell)


def _short(file):
    return f"{file.parent.name}/{file.name}"
