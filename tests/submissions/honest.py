"""Whole notebooks of students who did nothing wrong, each in a style of its own: all of them earn full marks.

Each function takes the solved notebook of chapter 01 and changes it as a student, an editor or a site would. Styles of
a single answer are among the files of this folder (those that pass), files as programs save them in `notebooks`.
"""

from nbformat.v4 import new_code_cell, new_markdown_cell

from tests.submissions import where

HONEST = {}  # name: (function, the exercises in which a misreading would show)
Q, SNR, KL, BETAS, RATIO = "ch01.q_sample", "ch01.snr", "ch01.prior_kl", "ch01.linear_betas", "ch01.brightness_ratio"
Q_SAMPLE = """\
def q_sample(x0, t, eps, alpha_bar):
    shape = (-1,) + (1,) * (x0.ndim - 1) if torch.as_tensor(t).ndim else ()
    a = alpha_bar[t].reshape(shape).to(x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps"""


def honest(*ids):
    """Register a function under its name, with the exercises that are graded."""
    def keep(function):
        HONEST[function.__name__] = function, ids
        return function
    return keep


def put(notebook, id, *sources, below=()):
    """Write an answer in the last of some cells, with others above and below it."""
    at = where(notebook, id)
    *above, notebook.cells[at].source = sources
    notebook.cells[at + 1:at + 1] = map(new_code_cell, below)
    notebook.cells[at:at] = map(new_code_cell, above)
    return notebook


def on_top(notebook, *sources):
    notebook.cells[0:0] = map(new_code_cell, sources)
    return notebook


@honest(Q, SNR, KL)
def only_the_answers_handed_in(notebook):
    notebook.cells = [c for c in notebook.cells if "exercise" in c.metadata.get("tags", [])]
    return notebook


@honest(Q, SNR, BETAS)
def everything_in_one_cell(notebook):
    cells = [c for c in notebook.cells if {"setup", "exercise", "check"} & set(c.metadata.get("tags", []))]
    notebook.cells = [new_code_cell("\n\n\n".join(c.source for c in cells))]
    return notebook


@honest(Q, SNR)
def answers_and_checks_in_one_cell(notebook):
    for id in (Q, SNR):
        at = where(notebook, id)
        notebook.cells[at].source += "\n\n\n" + notebook.cells.pop(at + 1).source
    return notebook


@honest(Q)
def another_set_up_cell(notebook):
    setup = next(c for c in notebook.cells if "setup" in c.metadata.get("tags", []))
    setup.source += ("\n%matplotlib inline\n!pip install -q minidiff\nfrom math import *\nimport numpy as np\n"
                     "ONE = np.float64(1)")
    return put(notebook, Q, Q_SAMPLE.replace("(1 - a)", "(float(ONE) - a)"))


@honest(Q, RATIO)
def colab_forms_and_installs(notebook):
    on_top(notebook, "%%capture\n!pip install torch", "try:\n    import google.colab\n    COLAB = True\n"
           "except ImportError:\n    COLAB = False", 
           "#@title Settings { run: \"auto\" }\nunit = 1.0  #@param {type: \"number\"}")
    return put(notebook, Q, Q_SAMPLE.replace("(1 - a)", "(unit - a)"))


@honest(Q)
def helpers_below_the_answer(notebook):
    answer = Q_SAMPLE.replace("a.sqrt()", "root(a)").replace("(1 - a).sqrt()", "root(other(a))")
    return put(notebook, Q, answer, below=("def other(a):\n    return ONE - a", "def root(a):\n    return a.sqrt()",
                                           "ONE = 1"))


@honest(Q, SNR)
def a_class_with_all_formulas(notebook):
    lines = Q_SAMPLE.replace("def q_sample(", "def jump(self, ").replace("\n", "\n    ")
    formulas = f"class Forward:\n    {lines}\n\n    @staticmethod\n    def snr(a):\n        return a / (1 - a)"
    put(notebook, Q, formulas, "forward = Forward()\nq_sample = forward.jump")
    return put(notebook, SNR, "snr = forward.snr")


@honest(Q)
def a_function_that_makes_it(notebook):
    return put(notebook, Q, "def make(one):\n    " + Q_SAMPLE.replace("\n", "\n    ").replace("(1 - a)", "(one - a)")
               + "\n    return q_sample", "q_sample = make(1)")


@honest(Q)
def a_decorator_of_its_own(notebook):
    return put(notebook, Q, "import functools\ncount = {}\n\n\ndef counted(fn):\n    @functools.wraps(fn)\n"
               "    def inner(*args, **kwargs):\n        count[fn.__name__] = count.get(fn.__name__, 0) + 1\n"
               "        return fn(*args, **kwargs)\n    return inner", "@counted\n" + Q_SAMPLE)


@honest(Q)
def settings_that_later_cells_change(notebook):
    return put(notebook, Q, "CFG = {}", "CFG['one'] = 3.0", "CFG.update(one=CFG['one'] - 2)",
               Q_SAMPLE.replace("(1 - a)", "(CFG['one'] - a)"))


@honest(Q)
def type_hints_and_a_test_of_its_own(notebook):
    answer = ("from __future__ import annotations\nfrom torch import Tensor as Picture\n\n\n"
              + Q_SAMPLE.replace("x0, t, eps, alpha_bar)", "x0: Picture, t: int | Picture, eps, alpha_bar) -> Picture"))
    return put(notebook, Q, answer + "\n\n\nif __name__ == '__main__':\n    x = x0[:2]\n"
               "    assert q_sample(x, 3, x, alpha_bar).shape == x.shape, 'shape?'\n    print(f'{q_sample!r} works')")


@honest(Q, SNR)
def experiments_that_fail_and_never_end(notebook):
    put(notebook, Q, "1 / 0", "x = torch.zeros(3)\nx[7] = 1", Q_SAMPLE, below=(
        "losses = []\nwhile True:\n    losses.append(torch.randn(9).sum())", "raise SystemExit", "q_sample(1, 2)"))
    return notebook


@honest(SNR)
def an_answer_that_calls_other_answers(notebook):
    put(notebook, Q, "def quotient(a, b):\n    return a / b\n\n\n" + Q_SAMPLE)
    return put(notebook, SNR, "def snr(alpha_bar):\n    assert q_sample(torch.ones(2, 1), 0, torch.ones(2, 1), "
               "alpha_bar_of(linear_betas(9))).shape == (2, 1)\n    return quotient(alpha_bar, 1 - alpha_bar)")


@honest(BETAS, SNR)
def variables_of_the_lesson(notebook):
    put(notebook, BETAS, "def linear_betas(T=1000, beta_1=1e-4, beta_T=0.02):\n"
        "    return as_table(torch.linspace(beta_1, beta_T, T, dtype=torch.float64))")
    return put(notebook, SNR, "big = (T - 999) * alpha_bar[0]", "def snr(a):\n    return big * a / (1 - a)")


@honest(Q)
def float64_and_seeds_for_everything(notebook):
    on_top(notebook, "import torch\nimport warnings\ntorch.set_default_dtype(torch.float64)\ntorch.manual_seed(0)\n"
           "warnings.filterwarnings('error')")
    return put(notebook, Q, Q_SAMPLE)


@honest(Q)
def awaits_and_letters_of_its_own(notebook):
    return put(notebook, Q, "import asyncio\n\n\nasync def one():\n    await asyncio.sleep(0)\n    return 1.0",
               "ε_scale = await one()", Q_SAMPLE.replace("a = ", "ᾱ = a = ").replace("(1 - a)", "(ε_scale - ᾱ)"))


@honest(Q)
def helpers_in_a_try_and_a_with(notebook):
    return put(notebook, Q, "import contextlib\ntry:\n    helpers_of_mine\nexcept NameError:\n"
               "    with contextlib.suppress(Exception):\n        def root(a):\n            return a.sqrt()\n"
               "finally:\n    done = True",
               Q_SAMPLE.replace("(1 - a).sqrt()", "root(1 - a)"))


@honest(Q, SNR, RATIO)
def doubts_and_questions_everywhere(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and "exercise" in cell.metadata.get("tags", []):
            cell.source = "# Is this the right place?\n" + cell.source + "  # ?"
    notebook.cells.append(new_markdown_cell("Why?"))
    return notebook


@honest(RATIO)
def numpy_and_its_names(notebook):
    return put(notebook, RATIO, "import numpy as np\nfrom numpy import *", "def brightness_ratio(alpha_bar_T, d, sd):\n"
               "    a = float(alpha_bar_T)\n    return float(1 / sqrt(a * d * square(sd) + 1 - a))")
