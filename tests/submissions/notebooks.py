"""Whole notebooks as students hand them in: saved by other programs, moved about, cut off, and made to break things.

Each function takes the solved notebook of chapter 01 and gives what is written to the file: a notebook, or bytes. What
its answer to q_sample must get stands above it.
"""

import json

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tests.submissions import ID, where

ODD = {}  # name: (function, state of q_sample, its points)
STUB = f'def q_sample(x0, t, eps, alpha_bar):\n    # YOUR CODE HERE\n    raise NotImplementedError("{ID}")'
WRONG = "def q_sample(x0, t, eps, alpha_bar):\n    return x0"


def odd(state, points=0.0):
    """Register a function under its name, with the mark that must come out."""
    def keep(function):
        ODD[function.__name__] = function, state, points
        return function
    return keep


def answer_of(notebook):
    return notebook.cells[where(notebook, ID)]


@odd("missing")
def answer_cell_deleted(notebook):
    del notebook.cells[where(notebook, ID)]
    return notebook


@odd("passed", 3)
def answer_cell_copied(notebook):
    notebook.cells.append(answer_of(notebook).copy())
    return notebook


@odd("passed", 3)
def first_try_left_above(notebook):
    notebook.cells.insert(where(notebook, ID), new_code_cell(WRONG))
    return notebook


@odd("passed", 3)
def experiment_below(notebook):
    notebook.cells.append(new_code_cell(WRONG))
    return notebook


@odd("passed", 3)
def answer_in_a_new_cell_and_the_stub_left(notebook):
    source, answer_of(notebook).source = answer_of(notebook).source, STUB
    notebook.cells.append(new_code_cell(source))
    return notebook


@odd("passed", 3)
def answer_cell_moved_to_the_start(notebook):
    notebook.cells.insert(0, notebook.cells.pop(where(notebook, ID)))
    return notebook


@odd("passed", 3)
def all_retyped_without_metadata(notebook):
    notebook.cells = [new_code_cell(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    return notebook


@odd("passed", 3)
def imported_again_below(notebook):
    answer_of(notebook).metadata = {}
    notebook.cells.append(new_code_cell("from minidiff.process.forward import expand_like, q_sample"))
    return notebook


@odd("not started")
def check_cell_edited(notebook):
    answer_of(notebook).source = STUB
    notebook.cells[where(notebook, ID) + 1].source = f'answer("{ID}", lambda *x: "all 8 checks pass")\nprint("passed")'
    return notebook


@odd("not passed")
def check_cell_takes_the_package_s_own(notebook):
    answer_of(notebook).source = STUB
    notebook.cells[where(notebook, ID) + 1].source = "from minidiff.process.forward import q_sample"
    return notebook


@odd("passed", 3)
def check_cells_deleted(notebook):
    notebook.cells = [c for c in notebook.cells if "check" not in c.metadata.get("tags", [])]
    return notebook


@odd("passed", 3)
def points_forged(notebook):
    answer_of(notebook).metadata["minidiff"]["points"] = 100
    return notebook


@odd("missing")
def answer_turned_into_text(notebook):
    answer_of(notebook)["cell_type"] = "markdown"
    return notebook


@odd("not passed")
def conflict_of_versions(notebook):
    answer_of(notebook).source = f"<<<<<<< HEAD\n{WRONG}\n=======\n{answer_of(notebook).source}\n>>>>>>> mine"
    return notebook


@odd("not passed")
def a_cell_of_a_million_characters(notebook):
    answer_of(notebook).source += "\n" + "# more\n" * 150_000
    return notebook


@odd("passed", 3)
def twenty_thousand_statements_and_four_hundred_names(notebook):
    names = "\n    ".join(f"name_{i}" for i in range(400))
    notebook.cells[0:0] = [new_code_cell("a=1\n" * 20_000), new_code_cell(f"def many():\n    {names}")]
    answer_of(notebook).source += f"\n\n\ndef reads():\n    return a, [\n    {names.replace(chr(10), ',' + chr(10))}]"
    return notebook


@odd("passed", 3)
def ten_megabytes_of_code(notebook):
    notebook.cells += [new_code_cell("b=2;c=[[3]]\n" * 16_000) for _ in range(54)]
    return notebook


@odd("passed", 3)
def a_million_questions(notebook):
    notebook.cells.append(new_code_cell("x?\n" * 60_000))
    return notebook


@odd("passed", 3)
def names_and_kinds_that_no_program_writes(notebook):
    for cell in notebook.cells:
        cell.metadata["minidiff"] = cell.metadata.get("minidiff", [])
    notebook.cells[3]["source"] = {"a": 1}
    notebook.cells[4]["cell_type"] = 7
    return notebook


@odd("passed", 3)
def saved_by_colab(notebook):
    for i, cell in enumerate(notebook.cells):
        cell.metadata = {"id": f"x{i}", "colab": {"base_uri": "https://localhost:8080/"}}
        cell.source = cell.source.splitlines(keepends=True)
        cell.pop("id")
    notebook.metadata = {"colab": {"provenance": [], "gpuType": "T4"}, "accelerator": "GPU",
                         "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return dict(notebook, nbformat_minor=0)


@odd("passed", 3)
def saved_by_vs_code(notebook):
    for cell in notebook.cells:
        cell.metadata["vscode"] = {"languageId": "python"}
        if cell.cell_type == "code":
            cell.outputs = [new_output("stream", name="stderr", text="a warning\n")]
    notebook.metadata["interpreter"] = {"hash": "31f2aee4e71d21fbe5cf8b01ff0e069b"}
    return notebook


@odd("passed", 3)
def outputs_hold_scripts(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [new_output("display_data", {"text/html": "<script>fetch('//x')</script>"}),
                            new_output("error", ename="<script>", evalue="<img src=x onerror=alert(1)>")]
    return notebook


@odd("passed", 3)
def halves_of_surrogate_pairs(notebook):
    for cell in notebook.cells:
        if "manual" in cell.metadata.get("tags", []):
            cell.source = "so \ud800 it is"
    notebook.cells.append(new_markdown_cell("\udfff"))
    return notebook


@odd("passed", 3)
def windows_line_ends_and_a_byte_order_mark(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace("\n", "\r\n")
    return b"\xef\xbb\xbf" + json.dumps(notebook, indent=1).replace("\n", "\r\n").encode()


@odd("passed", 3)
def notebook_of_version_3(notebook):
    old = nbformat.convert(notebook, 3)
    for cell in old.worksheets[0].cells:
        cell.metadata = {}
    return nbformat.v3.writes_json(old).encode()


def unreadable(name, data):
    ODD[name] = lambda notebook: data, "missing", 0.0


for name, data in {"empty": b"", "blank": b" \n", "not_json": b"PK\x03\x04 rest", "cut_off": b'{"cells": [',
                   "a_list": b"[1, 2]", "no_cells": b'{"nbformat": 4}', "in_utf_16": '{"cells": []}'.encode("utf-16"),
                   "cells_are_numbers": b'{"cells": [1], "nbformat": 4}', "nested": b"[" * 200_000,
                   "version_3_without_worksheets": b'{"nbformat": 3}'}.items():
    unreadable(name, data)


@odd("missing")
def of_300_megabytes(notebook):
    return b'{"cells": [], "blob": "' + b"x" * (300 * 2**20) + b'"}'
