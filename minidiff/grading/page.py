"""What `run` writes: a page for each student, and cells of a table, in which a student's words stay words.

Names of files, exceptions and written answers are a student's: in Markdown they make no tag, picture or link, and in a
spreadsheet no formula.
"""

import re
import unicodedata
from itertools import chain, count

FORMULA = ("=", "+", "-", "@", "|", "%")
RESERVED = {"grades", "run", *(f"report-ch{number:02}" for number in range(100))}  # files of the class


def page(sheet):
    """What a student reads about one notebook, in Markdown."""
    title = sheet.chapter or "no chapter"
    lines = [f"# {title}: {round(sheet.points, 2):g} of {sheet.of} points", "", plain(sheet.file)]
    more = sum(mark.of for mark in sheet.marks if mark.state == "to be read")
    lines += ["", f"Up to {more} points more are for the written answers; your teacher gives them."] if more else []
    if sheet.problem:
        return "\n".join([*lines, "", f"The notebook could not be graded: {plain(sheet.problem)}."])
    for mark in sheet.marks:
        if mark.state == "to be read":
            lines += ["", f"## {mark.id}: to be read (up to {mark.of} points)", "",
                      *quoted(mark.text or "nothing written")]
            continue
        lines += ["", f"## {mark.id}: {mark.state}, {mark.points:g} of {mark.of} points", ""]
        lines += list(_cases(mark.cases)) or ([plain(mark.note)] if mark.note else [])
        lines += [f"\nHint on \"{c.says}\": {c.hint}" for c in [c for c in mark.cases if c.hint][:1]]
    return "\n".join(lines)


def _cases(cases):
    """A line for each claim; those that are missed for one and the same reason share one."""
    by_reason = {}
    for case in cases:
        if not case.passed:
            by_reason.setdefault(case.miss, []).append(case.says)
    for case in cases:
        if case.passed:
            yield f"- ok: {case.says}"
            continue
        first, *others = by_reason.get(case.miss, [""])
        if first == case.says:
            more = f" (and {len(others)} more)" if others else ""
            yield f"- MISS: {case.says}{more}" + (f"\n  {plain(case.miss)}" if case.miss else "")
            by_reason[case.miss] = [""]


def quoted(text):
    """The lines of a student's text, as a quotation in Markdown."""
    return [f"> {plain(line, one_line=False)}" for line in text.splitlines()]


def plain(text, one_line=True):
    """A student's words for Markdown: no HTML, no picture, no link; code and formulas stay as they are."""
    text = " ".join(text.split()) if one_line else text
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    return text.replace("![", "!\\[").replace("](", "]\\(").replace("]:", "]\\:").replace("][", "]\\[")


def cell(value):
    """A cell of a table that no spreadsheet takes for a formula, on one line, in no locale for two cells."""
    if not isinstance(value, str):
        return value
    visible = "".join(c for c in value if c.isspace() or c.isprintable())  # a zero-width space is neither
    line = " ".join(visible.split()).replace(";", ",")
    return f"'{line}" if unicodedata.normalize("NFKC", line[:1]).startswith(FORMULA) else line


def file_names(students):
    """A file name for each student: letters, digits, dots and dashes, no two alike, whatever their case."""
    names, taken = {}, set(RESERVED)
    for student in sorted(students):
        stem = re.sub(r"[^\w.-]+", "_", student).strip("._")[:80] or "student"
        free = (name for name in chain([stem], (f"{stem}-{n}" for n in count(2)))
                if unicodedata.normalize("NFKC", name).casefold() not in taken)
        names[student] = next(free)
        taken.add(unicodedata.normalize("NFKC", names[student]).casefold())
    return names
