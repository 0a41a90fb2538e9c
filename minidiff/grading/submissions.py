"""Which files of a folder are submissions: a folder for each student, or the flat folder that a course site gives."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


SUFFIX = r"(?:[ _-]*\(\d+\)|-\d+|[ _-]*copy\d*)?"
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
    Of several files of one student and chapter the one with the largest such number counts. Students of one name in a
    flat folder are told apart by the first number after it.
    """
    found, ignored, numbers = defaultdict(list), [], defaultdict(set)
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file() and not _hidden(p, folder)):
        (chapter, prefix), parents = chapter_of(path, notebooks), path.relative_to(folder).parts[:-1]
        name, number = (parents[0], "") if parents else _name_and_number(prefix)
        if chapter is None or path.is_symlink():
            ignored.append((path, "a link" if path.is_symlink() else "not named like a chapter"))
        elif not name:
            ignored.append((path, "no student's name before the chapter's"))
        else:
            found[name, number, chapter].append(path)
            numbers[name].add(number)
    kept = []
    for (name, number, chapter), paths in found.items():
        *earlier, last = sorted(paths, key=_nth)
        ignored += [(path, "an earlier hand-in") for path in earlier]
        student = name if len(numbers[name]) == 1 else f"{name}_{number}".rstrip("_")
        kept.append(Submission(readable(student), chapter, last))
    ignored = sorted((readable(path.relative_to(folder).as_posix()), why) for path, why in ignored)
    return sorted(kept, key=lambda s: (s.student, s.chapter)), ignored


def chapter_of(path, notebooks):
    """(the chapter that a file is named like, what stands before that in its name), or (None, '')."""
    for chapter, stem in notebooks.items():
        match = re.fullmatch(rf"(.*?){re.escape(stem)}{SUFFIX}\.ipynb", path.name, re.IGNORECASE | re.DOTALL)
        if match:
            return chapter, match[1]
    return None, ""


def readable(name):
    """A name that can be written to a file: bytes that are no UTF-8 are question marks."""
    return name.encode("utf-8", "replace").decode()


def _hidden(path, folder):
    return any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)


def _name_and_number(prefix):
    name = prefix.rstrip("_- ")
    rest = NUMBERS.search(name)
    number = re.search(r"\d+", rest[0]) if rest else None
    return NUMBERS.sub("", name), number[0] if number else ""


def _nth(path):
    """Which hand-in a file is: 0 without a number, before that a copy; then by name."""
    copy, number = re.search(r"copy\d*\.ipynb$", path.name, re.IGNORECASE), re.search(r"(\d+)\)?\.ipynb$", path.name)
    return -1 if copy else int(number[1]) if number else 0, path.as_posix()
