"""What a chapter puts out: the same text on every machine, and a number beside every picture."""

import re

from minidiff.grading.notebook import METADATA
from tests.course.rules import IMAGE, code_cells, has_tag, numbered, printed

MIMES = {"text/plain", IMAGE}
IGNORE = "nbval-ignore-output"
FORBIDDEN = ("nbval-skip", "raises-exception", "nbval-raises-exception")
UNSTABLE = {
    "an absolute path": re.compile(r"(?:^|[\s'\"=(\[])(?:/(?:[\w.+-]+/)+[\w.+-]*|[A-Za-z]:\\)|~/", re.MULTILINE),
    "an address in memory": re.compile(r"\b0x[0-9a-fA-F]{4,}"),
    "a warning": re.compile(r"\b\w*Warning\b"),
    "a progress bar": re.compile(r"\d+%\|| it/s|\r"),
}
DECIMAL = re.compile(r"(?<![\w.])(\d+\.\d+)(?:e[-+]?\d+)?(?![\w.]*\d)")


def run_in_order_on_python3(notebook):
    """Execution counts are 1..n, the kernel is python3, and the metadata hold no versions."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are not 1..{len(counts)}: {counts}"
    if notebook.metadata != METADATA:
        yield f"the metadata of the notebook are not those of a build: {dict(notebook.metadata)}"


def only_text_and_pictures(notebook):
    """No stderr, no error, no widget, no HTML: text/plain and PNG."""
    for n, cell in numbered(notebook, "code"):
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"cell {n}: {output.get('ename') or 'stderr'} in its output"
            if foreign := set(output.get("data", {})) - MIMES:
                yield f"cell {n}: {', '.join(sorted(foreign))} in its output"


def nothing_that_changes(notebook):
    """No absolute path, address, warning or progress bar in what is printed."""
    for n, cell in numbered(notebook, "code"):
        yield from (f"cell {n}: {what} in its output: {match[0].strip()!r}" for what, pattern in UNSTABLE.items()
                    if (match := pattern.search(printed(cell))))


def at_most_four_digits(notebook):
    """Decimal numbers are printed with at most 4 significant digits; source shown with show(...) is left out."""
    for n, cell in numbered(notebook, "code"):
        if re.search(r"^show\(", cell.source, re.MULTILINE):
            continue
        for match in DECIMAL.finditer(printed(cell)):
            if len(match[1].replace(".", "").lstrip("0")) > 4:
                yield f"cell {n}: {match[0]} has more than 4 significant digits"


def ignored_cells_have_a_reason_and_a_check(notebook):
    """At most 2 cells are not compared, each with a comment that says why and a cell after it that asserts."""
    cells = code_cells(notebook)
    ignored = [i for i, cell in enumerate(cells) if has_tag(cell, IGNORE) or "NBVAL_IGNORE_OUTPUT" in cell.source]
    if len(ignored) > 2:
        yield f"{len(ignored)} cells are not compared, more than 2"
    for i in ignored:
        comments = [line for line in cells[i].source.splitlines() if line.startswith("#") and "NBVAL" not in line]
        if not comments or not any("assert " in cell.source for cell in cells[i + 1:i + 2]):
            yield f"code cell {i + 1} is not compared, without a reason in a comment or without a cell that asserts"
    for n, cell in numbered(notebook, "code"):
        if any(has_tag(cell, tag) for tag in FORBIDDEN) or re.search("NBVAL_(SKIP|RAISES)", cell.source):
            yield f"cell {n}: it is skipped, or may raise: nbval would not compare it"


def every_picture_has_a_number(notebook):
    """A cell with a picture ends with plt.show(), or prints; a number or a verdict stands in it or in a neighbour."""
    cells = code_cells(notebook)
    for i, cell in enumerate(cells):
        if not any(IMAGE in output.get("data", {}) for output in cell.outputs):
            continue
        if any(output.output_type == "execute_result" for output in cell.outputs):
            yield f"code cell {i + 1}: a picture and the value of its last line: end with plt.show()"
        near = cells[max(0, i - 1):i + 2]
        if not any(re.search(r"\d|True", printed(c)) or "assert " in c.source for c in near):
            yield f"code cell {i + 1}: a picture without a number beside it"


RULES = (run_in_order_on_python3, only_text_and_pictures, nothing_that_changes, at_most_four_digits,
         ignored_cells_have_a_reason_and_a_check, every_picture_has_a_number)
