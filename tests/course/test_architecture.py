"""The rooms, the ladder of chapters and the size of things, held for every module by machine."""

import ast
import re
import sys
import tokenize
from graphlib import TopologicalSorter

from tests.course.tree import (CHAPTERS, PACKAGE, ROOT, TOOLS, WRITTEN, course, homes, imported, modules,
                               notebook_code, notebooks, own, parsed)

RUNTIME = {"numpy", "torch", "scipy", "matplotlib", "PIL", "tqdm", "safetensors", "minidiff"}  # PIL: of matplotlib

# What a room may import beside itself. Rooms that are not named (recipes, exercises, the tools) may import them all.
ROOMS = {
    "process": set(), "models": set(), "data": {"places"}, "training": {"data"}, "plotting": set(), "places": set(),
    "samplers": {"process"}, "evaluation": {"process", "models", "training", "samplers", "data", "places"},
}

# The loops that process/ may hold. A bound is by definition the sum of its T terms, and no x is carried from one of
# them to the next; and a time is found by halving an interval of times. Nothing walks there.
LOOPS_OF_PROCESS = {"process.elbo.elbo_terms", "process.continuous.time_of"}


def imports_of(module):
    return sorted(set(own(imported(parsed(module)))))


def room(module):
    return module.split(".")[0]


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_every_module_belongs_to_exactly_one_chapter():
    assert {m: homes(m) for m in modules() if len(homes(m)) != 1} == {}


def test_every_module_of_the_map_exists():
    listed = {m for key in (TOOLS, *CHAPTERS) for m in course()[key]["modules"] if "*" not in m}
    assert listed - modules().keys() == set()
    folders = {m.removesuffix(".*") for m in course()[TOOLS]["modules"] if m.endswith(".*")}
    assert folders <= {m.rpartition(".")[0] for m in modules()}


def test_chapters_are_a_ladder_of_prerequisites():
    for chapter in CHAPTERS:
        assert set(course()[chapter]["prerequisites"]) <= {c for c in CHAPTERS if c < chapter}


def above(chapter, names):
    """The modules among `names` that a chapter does not know yet. "tools" sorts after them all, and is above them."""
    return {m: homes(m)[0] for m in names if not homes(m)[0] <= chapter}


def test_a_module_imports_only_modules_of_its_chapter_or_before():
    found = {m: above(homes(m)[0], imports_of(m)) for m in modules() if homes(m)[0] != TOOLS}
    assert found and {m: early for m, early in found.items() if early} == {}


def test_the_notebooks_of_a_chapter_import_only_what_is_known_by_then():
    found = {file: above(chapter, {m for tree in notebook_code(file) for m in own(imported(tree))})
             for chapter in WRITTEN for file in notebooks(chapter)}
    assert found and {file.name: early for file, early in found.items() if early} == {}


def test_the_unit_tests_of_a_chapter_import_only_what_is_known_by_then():
    files = {file: chapter for chapter in CHAPTERS
             for file in [*(ROOT / "tests" / f"ch{chapter}").glob("*.py"),
                          *(ROOT / "tests" / "mutants").glob(f"ch{chapter}*.py")]}
    found = {file: above(chapter, own(imported(ast.parse(file.read_text())))) for file, chapter in files.items()}
    assert found and {str(file.relative_to(ROOT)): early for file, early in found.items() if early} == {}


def test_no_import_goes_in_a_circle():
    order = TopologicalSorter({m: imports_of(m) for m in modules()}).static_order()
    assert set(order) == set(modules())


def test_a_room_imports_only_the_rooms_below_it():
    found = {m: {room(other) for other in imports_of(m)} - ROOMS[room(m)] - {room(m)}
             for m in modules() if room(m) in ROOMS}
    assert found and {m: rooms for m, rooms in found.items() if rooms} == {}


def test_imports_are_absolute_and_name_what_they_take():
    names = {m: list(imported(parsed(m))) for m in modules()}
    assert [(m, n) for m, some in names.items() for n in some if n.startswith(".") or n.endswith("*")] == []
    assert [(m, n) for m, some in names.items() if homes(m) != [TOOLS]
            for n in some if n.split(".")[0] not in RUNTIME | sys.stdlib_module_names] == []


def test_packages_hold_a_docstring_and_nothing_else():
    for file in PACKAGE.rglob("__init__.py"):
        docstring, *rest = ast.parse(file.read_text()).body
        assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
        assert all(isinstance(node, ast.Assign) and node.targets[0].id == "__version__" for node in rest), file


# --- the smell tests of the rooms -----------------------------------------------------------------------------------

def of_room(name):
    return sorted(m for m in modules() if room(m) == name)


def words(module):
    """All that a module says in names and comments; its texts are left out, so that an error may name a thing."""
    with modules()[module].open("rb") as file:
        tokens = [t.string for t in tokenize.tokenize(file.readline) if t.type in (tokenize.NAME, tokenize.COMMENT)]
    return re.findall(r"\w+", " ".join(tokens))


def said(name, pattern):
    """[(module, word)] for each word of a room's files, comments and texts included, in small letters."""
    assert of_room(name)
    return [(m, word) for m in of_room(name) for word in re.findall(pattern, modules()[m].read_text().lower())]


def test_process_has_no_network_and_walks_nowhere():
    assert [m for m in of_room("process") if "nn" in words(m)] == []
    loops = {f"{m}.{f.name}" for m in of_room("process") for f in functions(parsed(m))
             if any(isinstance(node, (ast.For, ast.While)) for node in ast.walk(f))}
    assert loops == LOOPS_OF_PROCESS


def test_models_do_not_know_the_process():
    process = {"alpha", "alphas", "sigma", "sigmas", "beta", "betas", "snr"}
    assert [(m, word) for m, word in said("models", r"[a-z]+") if word in process] == []


def test_samplers_do_not_train():
    training = {"optim", "optimizer", "optimiser", "backward", "Adam", "AdamW", "SGD"}
    assert {m: some for m in of_room("samplers") if (some := training & set(words(m)))} == {}


def test_training_does_not_know_what_the_loss_is_about():
    diffusion = r"diffusion|.*denois.*|noise|alpha_bar|betas|sigma|x0|x_t|eps|sampler|snr|t"
    assert [(m, word) for m, word in said("training", r"[a-z0-9_]+") if re.fullmatch(diffusion, word)] == []


def test_every_function_that_draws_takes_a_generator():
    draws = {"randn", "rand", "randint", "randperm", "randn_like", "rand_like", "normal", "multinomial", "bernoulli",
             "normal_", "uniform_", "bernoulli_"}
    for module in [m for name in ("process", "samplers", "data", "evaluation") for m in of_room(name)]:
        for call in ast.walk(parsed(module)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in draws:
                assert "generator" in {k.arg for k in call.keywords}, f"{module}, line {call.lineno}"


# --- sizes ----------------------------------------------------------------------------------------------------------

def too_large(file):
    """What in a file of code cannot be read in one sitting, in words."""
    lines = file.read_text().splitlines()
    if len(lines) > 270 and file.parent.name != "mutants":  # a catalogue is looked up, not read
        yield f"{len(lines)} lines"
    yield from (f"line {i} has {len(line)} characters" for i, line in enumerate(lines, 1) if len(line) > 120)
    for function in functions(ast.parse(file.read_text())):
        start = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0].lineno
        if function.end_lineno - start >= 60:
            yield f"{function.name} does not fit on a screen"


def test_a_file_can_be_read_in_one_sitting():
    files = sorted(file for folder in ("minidiff", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
    assert {file.relative_to(ROOT).parts[0] for file in files} == {"minidiff", "tests", "benchmarks"}
    assert [(str(file.relative_to(ROOT)), what) for file in files for what in too_large(file)] == []
