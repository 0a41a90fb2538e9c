"""The rules for notebooks: each takes a notebook and yields a sentence for every place that breaks it."""

import re

IMAGE = "image/png"


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def numbered(notebook, kind):
    """(number of the cell, cell) for all cells of a kind, 'code' or 'markdown'."""
    return [(n, cell) for n, cell in enumerate(notebook.cells, start=1) if cell.cell_type == kind]


def printed(cell):
    """All text that a code cell has put out."""
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs
                   if IMAGE not in output.get("data", {}))


def plain_prose(source):
    """Markdown without formulas, code, links' addresses and comments: the words that a reader reads."""
    for pattern in (r"```.*?```", r"\$\$.*?\$\$", r"\$[^$]*\$", r"`[^`]*`", r"<!--.*?-->"):
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    return re.sub(r"\]\([^)]*\)", "]", source)


def percentile(values, share):
    """The smallest value that at least `share` of the values do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0
