"""`python -m minidiff.grading new`: the files of a new exercise, ready to be filled in."""

import argparse
import ast
import keyword
import re
import tomllib
from string import Template

import nbformat

from minidiff.grading.build import ROOT, read, solution_files, write
from minidiff.grading.mark import GradingError
from minidiff.grading.notebook import BEGIN, END, exercise_of, tags
from minidiff.training.checkpoint import write_whole

MUTANTS, ALTERNATIVES = 6, 2  # that an exercise has at least
ABOUT = f"""Writes the skeleton of an exercise, such as `new ch07.my_exercise`, and says what to fill in, in this order:

  minidiff/.../my_exercise.py     the answer, a function or class of this name: the one that a module of the chapter, or
                                  of one before, has already, else a new module (--module)
  minidiff/exercises/ch07_my_exercise.py          its title, points, minutes and hints, and the cases that learners see
  minidiff/exercises/hidden/ch07_my_exercise.py   cases that only the grader runs: other shapes, dtypes, arguments
  tests/mutants/ch07_my_exercise.py               wrong answers, {MUTANTS} or more, from real mistakes, and right ones,
                                                  {ALTERNATIVES} or more, that are written in another way
  solutions/07_*.ipynb            three cells at the end; move them to their place
  course.toml                     the new modules

The tests of the exercise fail until its answer, here and in the notebook, and its wrong and right answers are written.
Nothing that exists is overwritten."""

ANSWER = Template('''\
"""What this module holds, in one line."""


def $name($arguments):
    """What it computes, shapes, units or ranges, what it raises, and its source."""
    raise NotImplementedError
''')
CASES = Template('''\
"""An exercise of chapter $number: $name."""

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.$module import $name


def inputs(generator, *shape):
    """What $name takes, $arguments: fresh random numbers on which wrong formulas differ a lot."""
    return (torch.randn(*shape, generator=generator, dtype=torch.float64),)


EXERCISES = (Exercise(
    id="$id", title="What it is, in a few words", reference=$name,
    points=2, minutes=10, difficulty="easy",
    cases=(
        Case("does for each picture what the text asks for", lambda g: inputs(g, 8, 1, 8, 8),
             hint="one sentence for whoever misses this"),
        Case("works for a single picture", lambda g: inputs(g, 1, 3, 5, 4)),
    ),
    hints=("Where to begin.", "All but the answer.")),)
''')
HIDDEN = Template('''\
"""Cases of $id that only the grader runs."""

from minidiff.exercises.${file} import inputs
from minidiff.exercises.core import Case

HIDDEN = {
    "$id": (
        Case("works for clips (B, F, C, H, W)", lambda g: inputs(g, 4, 3, 2, 5, 4)),
    ),
}
''')
TRIED = Template('''\
"""Wrong and right answers to $id."""

from tests.mutants import alternative, mutant
$wrong$right''')
WRONG = Template('''

@mutant("$id")
def mistake_$n($arguments):
    raise NotImplementedError("a mistake that learners make; the function's name says which")
''')
RIGHT = Template('''

@alternative("$id")
def another_way_$n($arguments):
    raise NotImplementedError("a right answer, with other calls or in another order")
''')
TEXT = Template("**Exercise $which `$name`** (code, easy, 10 minutes). What to write, and all that it must do.")


def add_command(commands):
    """Add `new` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("new", help="write the skeleton of an exercise", description=ABOUT,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("id", metavar="chNN.name")
    parser.add_argument("--module", metavar="ROOM.FILE", help="where the answer stands, or will stand "
                                                              "(default: where it is, else process.NAME)")
    parser.set_defaults(command=command)


def command(args, root=ROOT):
    """Run `new` with parsed arguments. Returns the exit status; raises GradingError before anything is written."""
    files, notebook, source = skeleton(args.id, args.module, root)
    for path, text in files.items():
        write_whole(root / path, text)
    write(notebook, source)
    number, name = args.id[2:4], args.id.split(".")[1]
    print(f"{args.id}: fill in", *(f"  {path}" for path in (*files, source.relative_to(root)) if path != "course.toml"),
          "then run", f"  python -m pytest tests/course/test_exercises.py -k {name}",
          f"  python -m minidiff.grading build {number}", f"  python -m minidiff.grading selftest {number}", sep="\n")
    return 0


def skeleton(id, module, root):
    """({path: text} of the files of an exercise, the notebook with its cells, that notebook's file)."""
    if not re.fullmatch(r"ch\d\d\.[A-Za-z]\w*", id) or keyword.iskeyword(id[5:]):
        raise GradingError(f"{id!r} is no name for an exercise: chNN.name, such as ch07.my_exercise")
    number, name, manifest = id[2:4], id[5:], (root / "course.toml").read_text(encoding="utf-8")
    chapters = {key: table for key, table in tomllib.loads(manifest).items() if key.isdigit()}
    if number not in chapters or not list((root / "solutions").glob(f"{number}_*.ipynb")):
        known = ", ".join(key for key in chapters if list((root / "solutions").glob(f"{key}_*.ipynb")))
        raise GradingError(f"there is no chapter {number} with a notebook in solutions/; there are {known}")
    source, = solution_files(root, [number])
    notebook, file = read(source), f"ch{number}_{name.lower()}"
    if id in map(exercise_of, notebook.cells):
        raise GradingError(f"{id} exists already: it stands in solutions/{source.name}")
    known = [m for key, table in chapters.items() if key <= number for m in table["modules"]]
    module, text = where(name, module, known, root)
    given = {"id": id, "name": name, "number": number, "file": file, "module": module, "arguments": "x"}
    files = {} if text else {path_of(module): ANSWER.substitute(given)}
    node = definition(text or ANSWER.substitute(given), name)
    given["arguments"] = ast.unparse(node.args) if isinstance(node, ast.FunctionDef) else "*args"
    tried = {key: "".join(t.substitute(given, n=n + 1) for n in range(count))
             for key, t, count in (("wrong", WRONG, MUTANTS), ("right", RIGHT, ALTERNATIVES))}
    files |= {f"minidiff/exercises/{file}.py": CASES.substitute(given),
              f"minidiff/exercises/hidden/{file}.py": HIDDEN.substitute(given),
              f"tests/mutants/{file}.py": TRIED.substitute(given, **tried)}
    there = next((path for path in files if (root / path).exists()), None)
    if there:
        raise GradingError(f"{there} exists already: nothing was written")
    modules = [*([] if text else [module]), f"exercises.{file}", f"exercises.hidden.{file}"]
    notebook.cells += cells(notebook, given, marked(text or ANSWER.substitute(given), node))
    return files | {"course.toml": listed(manifest, number, modules)}, notebook, source


def path_of(module):
    """minidiff/process/path.py for process.path."""
    return f"minidiff/{module.replace('.', '/')}.py"


def where(name, module, known, root):
    """(the module of the answer, its text) among the modules `known`; the text is '' where the module is a new one."""
    texts = {m: (root / path_of(m)).read_text(encoding="utf-8") for m in known if not m.startswith("exercises.")}
    found = [m for m, text in texts.items() if definition(text, name)]
    if module is None and len(found) > 1:
        raise GradingError(f"{name} is defined in {' and in '.join(found)}: say --module")
    module = module or (found[0] if found else f"process.{name.lower()}")
    if module in found:
        return module, texts[module]
    if module in known:
        raise GradingError(f"--module {module}: there is no {name} in it")
    if not re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)+", module):
        raise GradingError(f"--module {module!r} is no name such as process.my_exercise")
    if not (root / path_of(module)).parent.is_dir():
        raise GradingError(f"--module {module}: there is no folder {path_of(module.rpartition('.')[0])[:-3]}, "
                           "expected one that is there, such as minidiff/process")
    return module, ""


def definition(text, name):
    """The function or class of that name at the top level of a source, or None."""
    return next((node for node in ast.parse(text).body
                 if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name), None)


def marked(text, node):
    """The lines of a definition, with the body of its functions marked as the solution."""
    lines = text.splitlines()
    for function in reversed([node] if isinstance(node, ast.FunctionDef) else
                             [f for f in node.body if isinstance(f, ast.FunctionDef)]):
        first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
        indent = " " * first.col_offset
        lines.insert(function.end_lineno, indent + END)
        lines.insert(first.lineno - 1, indent + BEGIN)
    end = node.end_lineno + len(lines) - len(text.splitlines())
    return lines[min(d.lineno for d in [*node.decorator_list, node]) - 1:end]


def cells(notebook, given, lines):
    """The three cells of an exercise: its text, its answer, its check."""
    which = 1 + sum("exercise-text" in tags(cell) for cell in notebook.cells)
    made = [nbformat.v4.new_markdown_cell(TEXT.substitute(given, which=f"{int(given['number'])}.{which}")),
            nbformat.v4.new_code_cell("\n".join(lines)),
            nbformat.v4.new_code_cell('{name} = answer("{id}", {name})'.format(**given))]
    for cell, tag in zip(made, ("exercise-text", "exercise", "check")):
        cell.metadata["tags"] = [tag]
    made[1].metadata["minidiff"] = {"exercise": given["id"], "points": 2}
    return made


def listed(manifest, number, modules):
    """course.toml with some more modules of a chapter."""
    end = manifest.index("]", manifest.index("modules = [", manifest.index(f"[{number}]")))
    return manifest[:end] + "".join(f',\n           "{m}"' for m in modules) + manifest[end:]
