"""Which files of a folder are submissions: a folder for each student, or the flat folder that a course site gives."""

import re
from dataclasses import dataclass
from pathlib import Path

SUFFIX = r"(?:[ _-]*\(\d+\)|-\d+|[ _]?copy\d*)?"
NUMBERS = re.compile(r"(?:_(?:late|\d+))+$", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """One student's notebook of one chapter."""
    student: str
    chapter: str
    path: Path


def collect(folder, notebooks):
    """The submissions in a folder, sorted, and [(name, why)] of what is none of them.

    notebooks: {'ch01': '01_adding_noise'}. A name may carry what a browser or a course site adds: `(1)`, `-2`.
    Of several files of one student and chapter, the last in the order of their names counts.
    """
    kept, ignored = {}, []
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file() and not _hidden(p, folder)):
        name = path.relative_to(folder).as_posix()
        chapter, prefix = chapter_of(path, notebooks)
        parents = path.relative_to(folder).parts[:-1]
        student = parents[0] if parents else NUMBERS.sub("", prefix.rstrip("_- "))
        if chapter is None or path.is_symlink():
            ignored.append((name, "a link" if path.is_symlink() else "not named like a chapter"))
        elif not student:
            ignored.append((name, "no student's name before the chapter's"))
        else:
            if (student, chapter) in kept:
                ignored.append((kept[student, chapter].path.relative_to(folder).as_posix(), "an earlier hand-in"))
            kept[student, chapter] = Submission(student, chapter, path)
    return [kept[key] for key in sorted(kept)], ignored


def _hidden(path, folder):
    return any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)


def chapter_of(path, notebooks):
    """(the chapter that a file is named like, what stands before that in its name), or (None, '')."""
    for chapter, stem in notebooks.items():
        match = re.fullmatch(rf"(.*?){re.escape(stem)}{SUFFIX}\.ipynb", path.name, re.IGNORECASE | re.DOTALL)
        if match:
            return chapter, match[1]
    return None, ""
