"""The repository as the course's own tests see it: modules, chapters, imports, and copies of the package."""

import ast
import functools
import json
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "minidiff"
CHAPTERS = tuple(sorted(key for key in tomllib.loads((ROOT / "course.toml").read_text()) if key.isdigit()))
TOOLS = "tools"


@functools.cache
def course():
    """course.toml: a table for each chapter ("01", ...) and one for the tools."""
    return tomllib.loads((ROOT / "course.toml").read_text())


WRITTEN = tuple(c for c in CHAPTERS if "notebook" in course()[c])  # those whose notebook is written, too


@functools.cache
def modules():
    """All modules {"process.forward": its file}; packages are not modules, their __init__ holds a docstring only."""
    files = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in sorted(PACKAGE.rglob("*.py"))}
    return {name: file for name, file in files.items() if not name.endswith("__init__")}


def homes(module):
    """The chapters of course.toml (or "tools") that list the module: exactly one, if the map is right."""
    return [key for key in (TOOLS, *CHAPTERS) for pattern in course()[key]["modules"] if fnmatch(module, pattern)]


def modules_until(chapter):
    """The modules of this chapter and of the chapters before it."""
    return [m for m in modules() if homes(m)[0] in CHAPTERS and homes(m)[0] <= chapter]


@functools.cache
def parsed(module):
    """The syntax tree of a module; all who ask share it, and change nothing in it."""
    return ast.parse(modules()[module].read_text())


def imported(tree):
    """Every dotted name that code imports, wherever the import stands: `from a.b import c` gives "a.b.c"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def own(names):
    """The modules of minidiff among imported dotted names, each as in course.toml. An unknown one is a KeyError."""
    for name in names:
        head, _, rest = name.partition(".")
        if head != "minidiff" or rest in ("", "__version__") or (PACKAGE / rest.replace(".", "/")).is_dir():
            continue
        if (module := rest) not in modules() and (module := rest.rpartition(".")[0]) not in modules():
            raise KeyError(f"no module of minidiff is called {rest}")
        yield module


def notebook_code(file):
    """The code cells of a notebook as one syntax tree each; lines for the notebook alone (%magic, !shell) left out."""
    for cell in json.loads(file.read_text())["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            yield ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))


def notebooks(chapter):
    """The chapter's two notebooks: what the learner opens and its source."""
    return [ROOT / folder / f"{course()[chapter]['notebook']}.ipynb" for folder in ("chapters", "solutions")]


def copy_of_package(target, keep, chapters):
    """A folder like the repository that holds only the modules `keep`, and the unit tests of `chapters`."""
    for file in PACKAGE.rglob("*.py"):
        name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        if name in keep or file.name == "__init__.py":
            (to := target / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
    for name in ("pictures", "texts"):
        (target / "minidiff" / "data" / name).symlink_to(PACKAGE / "data" / name)
    for name in ("pyproject.toml", "course.toml"):
        shutil.copy(ROOT / name, target)
    for name in ("checkpoints", "datasets", "benchmarks", "chapters", "solutions"):
        (target / name).symlink_to(ROOT / name)
    unwanted = {f"ch{c}" for c in CHAPTERS} - {f"ch{c}" for c in chapters} | {"__pycache__", "course"}
    shutil.copytree(ROOT / "tests", target / "tests", ignore=lambda folder, names: unwanted & set(names))
    (target / "where.py").write_text(WHERE)
    return target


WHERE = '''"""A pytest plugin that says where the package under test came from, and which of its modules were used."""
import sys
from pathlib import Path


def pytest_sessionfinish(session):
    used = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "minidiff"}
    Path(__file__).with_name("used.txt").write_text("\\n".join(f"{name} {file}" for name, file in used.items()))
'''
