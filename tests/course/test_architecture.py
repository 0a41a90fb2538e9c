"""The rooms, the ladder of chapters and the size of things, held for every module by machine."""

import ast
import re
import sys
import tokenize
from graphlib import TopologicalSorter

import pytest

from tests.course.tree import (CHAPTERS, PACKAGE, ROOT, TOOLS, WRITTEN, course, homes, imported, modules,
                               notebook_code, notebooks, own, parsed)

RUNTIME = {"numpy", "torch", "scipy", "matplotlib", "PIL", "tqdm", "safetensors", "minidiff"}  # PIL: of matplotlib

# What a room may import beside itself. Rooms that are not named (recipes, exercises, the tools) may import them all.
ROOMS = {
    "process": set(), "models": set(), "data": {"places"}, "training": set(), "plotting": set(),
    "places": set(), "samplers": {"process"}, "evaluation": {"process", "models", "training", "samplers", "places"},
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


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_modules_of_its_chapter_or_before(module):
    home = homes(module)[0]
    above = {m: homes(m)[0] for m in imports_of(module) if home != TOOLS and not homes(m)[0] <= home}
    assert above == {}, f"{module} is of chapter {home}"  # "tools" sorts after every chapter, so it is above them all


@pytest.mark.parametrize("chapter", WRITTEN)
def test_the_notebooks_of_a_chapter_import_only_what_is_known_by_then(chapter):
    for file in notebooks(chapter):
        names = {m for tree in notebook_code(file) for m in own(imported(tree))}
        assert {m for m in names if not homes(m)[0] <= chapter} == set(), file.name


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_unit_tests_of_a_chapter_import_only_what_is_known_by_then(chapter):
    for file in [*(ROOT / "tests" / f"ch{chapter}").glob("*.py"),
                 *(ROOT / "tests" / "mutants").glob(f"ch{chapter}*.py")]:
        names = set(own(imported(ast.parse(file.read_text()))))
        assert {m for m in names if not homes(m)[0] <= chapter} == set(), file.name


def test_no_import_goes_in_a_circle():
    order = TopologicalSorter({m: imports_of(m) for m in modules()}).static_order()
    assert set(order) == set(modules())


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_room_imports_only_the_rooms_below_it(module):
    if room(module) in ROOMS:
        assert {room(m) for m in imports_of(module)} <= ROOMS[room(module)] | {room(module)}


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_are_absolute_and_name_what_they_take(module):
    names = list(imported(parsed(module)))
    assert [n for n in names if n.startswith(".") or n.endswith("*")] == []
    if homes(module) != [TOOLS]:
        assert {n.split(".")[0] for n in names} - RUNTIME - sys.stdlib_module_names == set()


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


@pytest.mark.parametrize("module", of_room("process"))
def test_process_has_no_network_and_walks_nowhere(module):
    assert "nn" not in words(module)
    loops = {f"{module}.{f.name}" for f in functions(parsed(module))
             if any(isinstance(node, (ast.For, ast.While)) for node in ast.walk(f))}
    assert loops == {name for name in LOOPS_OF_PROCESS if name.rpartition(".")[0] == module}


@pytest.mark.parametrize("module", of_room("models"))
def test_models_do_not_know_the_process(module):
    said = re.findall(r"[a-z]+", modules()[module].read_text().lower())
    assert set(said) & {"alpha", "alphas", "sigma", "sigmas", "beta", "betas", "snr"} == set()


@pytest.mark.parametrize("module", of_room("samplers"))
def test_samplers_do_not_train(module):
    assert set(words(module)) & {"optim", "optimizer", "optimiser", "backward", "Adam", "AdamW", "SGD"} == set()


@pytest.mark.parametrize("module", of_room("training"))
def test_training_does_not_know_what_the_loss_is_about(module):
    said = re.findall(r"[a-z0-9_]+", modules()[module].read_text().lower())
    diffusion = r"diffusion|.*denois.*|noise|alpha_bar|betas|sigma|x0|x_t|eps|sampler|snr|t"
    assert [word for word in said if re.fullmatch(diffusion, word)] == []


def test_every_function_that_draws_takes_a_generator():
    draws = {"randn", "rand", "randint", "randperm", "randn_like", "rand_like", "normal", "multinomial", "bernoulli",
             "normal_", "uniform_", "bernoulli_"}
    for module in [m for name in ("process", "samplers", "data", "evaluation") for m in of_room(name)]:
        for call in ast.walk(parsed(module)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in draws:
                assert "generator" in {k.arg for k in call.keywords}, f"{module}, line {call.lineno}"


# --- sizes ----------------------------------------------------------------------------------------------------------

FILES = sorted(file for folder in ("minidiff", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(file):
    lines = file.read_text().splitlines()
    if file.parent.name != "mutants":  # a catalogue: looked up, not read
        assert len(lines) <= 270
    assert [i for i, line in enumerate(lines, 1) if len(line) > 120] == []
    for function in functions(ast.parse(file.read_text())):
        start = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0].lineno
        assert function.end_lineno - start < 60, f"{function.name} does not fit on a screen"
