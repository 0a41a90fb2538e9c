"""The package as a whole: it is light to import, says what it computes, and keeps to T that ends in noise."""

import ast
import json
import math
import re
import subprocess
import sys

import pytest

from minidiff.process.schedules import cosine_betas, linear_betas, scaled_linear_betas
from tests.course.tree import PACKAGE, ROOT, TOOLS, WRITTEN, homes, modules, notebook_code, notebooks, parsed

# A module imported in a process of its own, by a child that is forked once torch is there: what did it load?
IMPORT_EACH = '''
import importlib, json, os, sys, time
import torch
start = time.perf_counter()
import minidiff
seconds, loaded = time.perf_counter() - start, {}
for module in sys.argv[1:]:
    if not (child := os.fork()):
        before = set(sys.modules)
        try:
            importlib.import_module(f"minidiff.{module}")
            heads = sorted({name.split(".")[0] for name in set(sys.modules) - before})
        except Exception as error:
            heads = [f"{type(error).__name__}: {error}"]
        print(json.dumps([module, heads]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(json.dumps(["minidiff", seconds]))
'''

HEAVY = {"matplotlib", "scipy", "diffusers", "transformers", "torchvision", "IPython", "nbformat", "nbclient", "PIL",
         "pandas", "hypothesis", "pytest"}
DRAWS_FIGURES = {"plotting", "drawing"}


@pytest.fixture(scope="module")
def loaded():
    """For each module that a chapter introduces: the packages that importing it alone loads beside torch."""
    names = [m for m in modules() if homes(m) != [TOOLS]]
    done = subprocess.run([sys.executable, "-c", IMPORT_EACH, *names], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


def test_every_module_imports_alone(loaded):
    assert loaded.keys() == {m for m in modules() if homes(m) != [TOOLS]} | {"minidiff"}
    assert [(m, head) for m, heads in loaded.items() if m != "minidiff" for head in heads if "Error" in head] == []


def test_no_module_loads_anything_heavy_beside_torch(loaded):
    heavy = {m: HEAVY & set(heads) for m, heads in loaded.items() if m not in DRAWS_FIGURES | {"minidiff"}}
    assert {m: some for m, some in heavy.items() if some} == {}


def test_importing_minidiff_adds_under_a_third_of_a_second_to_torch(loaded):
    assert loaded["minidiff"] < 0.3


# --- docstrings -----------------------------------------------------------------------------------------------------

MATHS = {"process", "models", "samplers", "evaluation"}
# These modules define no formula that somebody published first.
OUR_OWN = {"process.denoiser", "models.classifier", "models.mlp", "samplers.grids", "samplers.sampler",
           "evaluation.digits",
           "evaluation.gaussian", "evaluation.eps_baselines", "evaluation.mixture",
           "evaluation.shapes_judge", "evaluation.shapes_read", "evaluation.attention"}
TENSORS = {"x", "x0", "x_t", "x_s", "x0_hat", "eps", "t", "s", "betas", "alpha_bar", "images", "real", "features",
           "features_1", "features_2", "mean_1", "mean_2", "points", "values", "samples", "beta"}
SHAPE = re.compile(r"\([A-Z][^()]*\)|\(\)|shape|number|float|int\b")


def of_maths():
    return [m for m in modules() if m.split(".")[0] in MATHS]


def public(module):
    return [node for node in parsed(module).body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")]


def test_everything_public_says_in_one_line_what_it_is():
    assert [m for m in modules() if not ast.get_docstring(parsed(m))] == []
    # A file with one table of exercises, or with one command, says what it is for; what stands in it need not.
    spoken = [m for m in modules() if not re.fullmatch(r"exercises\.(hidden\.)?ch\d\d(_\w+)?|cli\.\w+", m)]
    first = {(m, node.name): (ast.get_docstring(node) or "").split("\n\n")[0] for m in spoken for node in public(m)}
    assert first and {where: text for where, text in first.items()
                      if not text.rstrip().endswith((".", ":", ").")) or len(text) > 130} == {}


def test_a_function_of_tensors_names_their_shapes():
    functions = [(m, node) for m in of_maths() for node in public(m) if isinstance(node, ast.FunctionDef)]
    of_tensors = [(m, node) for m, node in functions if TENSORS & {a.arg for a in node.args.args}]
    assert of_tensors
    assert [(m, node.name) for m, node in of_tensors if not SHAPE.search(ast.get_docstring(node) or "")] == []


def raised(node):
    """The names of the exceptions that a function raises in its own text."""
    return {ast.unparse(r.exc.func if isinstance(r.exc, ast.Call) else r.exc)
            for r in ast.walk(node) if isinstance(r, ast.Raise) and r.exc} - {"NotImplementedError"}


def test_a_docstring_names_what_is_raised():
    found = [(m, node.name, error, error in (ast.get_docstring(node) or "")) for m in modules() if homes(m) != [TOOLS]
             for node in public(m) if isinstance(node, ast.FunctionDef) for error in raised(node)]
    assert found and [(m, name, error) for m, name, error, named in found if not named] == []


def test_formulas_name_the_paper_that_they_are_from():
    """An author and a year, such as Ho et al. 2020, in each module of formulas but those of OUR_OWN."""
    cited = {m for m in of_maths() if re.search(r"[A-Z]\w+ [^()]*\b(19|20)\d\d\b", modules()[m].read_text())}
    assert set(of_maths()) - cited == OUR_OWN


# --- steps ----------------------------------------------------------------------------------------------------------

SCHEDULES = {f.__name__: f for f in (linear_betas, cosine_betas, scaled_linear_betas)}


def schedules_in(tree):
    """(betas, text of the call) for each call of a schedule whose arguments are written as constants."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in SCHEDULES:
            try:
                arguments = [ast.literal_eval(a) for a in call.args]
                named = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
            except ValueError:
                continue  # arguments that only a running program knows: alpha_bar_of warns there
            yield SCHEDULES[call.func.id](*arguments, **named), ast.unparse(call)


def test_every_T_of_the_course_ends_in_noise_or_expects_the_warning():
    sources = [(file.name, tree) for c in WRITTEN for file in notebooks(c) for tree in notebook_code(file)]
    sources += [(module, parsed(module)) for module in modules()]
    sources += [(file.name, ast.parse(file.read_text())) for file in (ROOT / "benchmarks").glob("*.py")]
    found = [(where, call, float((1 - betas).prod()), "warn" in ast.unparse(tree))
             for where, tree in sources for betas, call in schedules_in(tree)]
    assert len(found) >= len(WRITTEN)
    assert [entry for entry in found if entry[2] > 1e-2 and not entry[3]] == []


def test_the_defaults_of_every_schedule_end_in_noise():
    for schedule in SCHEDULES.values():
        assert math.prod((1 - schedule()).tolist()) <= 1e-2


# --- what is committed ----------------------------------------------------------------------------------------------

# Written in two parts, so that this file does not contain what it looks for.
PATHS_OF_ONE_MACHINE = re.compile(r"(?<![\w.~*-])/(?:" + r"work/|tmp/\w|home/(?!me/)\w|root/|Users/\w|mnt/\w)")
REGISTRIES = re.compile(r"(?:--(?:extra-)?" + r"index-url|py" + r"pi\.org|python" + r"hosted\.org|anaconda\.org/)")


def test_no_committed_file_names_a_machine_or_a_registry():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, text=True, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert PACKAGE.joinpath("__init__.py").relative_to(ROOT).as_posix() in names
    found = []
    for name in names:
        text = (ROOT / name).read_bytes().decode("utf-8", errors="replace")
        if "\0" not in text:
            for pattern in (PATHS_OF_ONE_MACHINE, REGISTRIES):
                found += [(name, match.group()) for match in pattern.finditer(text)]
    assert found == []
