"""Which files of a folder are submissions: a folder for each student, or the flat folder that a course site gives."""

import os
import re
import stat
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

SUFFIX = r"(?:[ _-]*\(\d+\)|-\d+|[ _-]*copy\d*)?"
NUMBERS = re.compile(r"(?:_(?:late|\d+))+$", re.IGNORECASE)  # what Canvas puts behind a name
MOODLE = re.compile(r"(.+)_(\d+)_assignsubmission_(?:file|onlinetext)_?")  # the folder of a student


@dataclass(frozen=True)
class Submission:
    """One student's notebook of one chapter; problem: why there is none to be graded, or ''."""
    student: str
    chapter: str
    path: Path
    problem: str = ""


def collect(folder, notebooks):
    """The submissions in a folder, sorted, and [(name, why)] of the files that are none.

    notebooks: {'ch01': '01_adding_noise'}. A name may carry what a browser or a course site adds: `(1)`, `-2`.
    Of several files of one student and chapter the one with the largest such number counts. Students of one name are
    told apart by the number that the site gave them. Every student has a submission: a single notebook counts whatever
    its name where the class hands in one chapter; else, as for a folder without a notebook, its problem says why not.
    """
    folder = Path(folder)
    files, ignored = _walk(folder)
    works, others = defaultdict(list), defaultdict(list)  # (name, number): [(chapter, path)], and notebooks without
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not _hidden(p.name)):
        others[_student_of_folder(path.name)] = []
    for path in files:
        (chapter, prefix), parents = chapter_of(path, notebooks), path.relative_to(folder).parts[:-1]
        who = _student_of_folder(parents[0]) if parents else _name_and_number(prefix if chapter else path.stem)
        if chapter and who[0]:
            works[who].append((chapter, path))
        elif path.suffix.lower() == ".ipynb" and who[0] and not chapter:
            others[who].append(path)
        else:
            ignored.append((path, "no student's name before the chapter's" if chapter else "not named like a chapter"))
    chapters = sorted({chapter for some in works.values() for chapter, _ in some})
    numbers = defaultdict(set)
    for name, number in {**works, **others}:
        numbers[name].add(number)
    found = []
    for who in {**works, **others}:
        student = readable(who[0] if len(numbers[who[0]]) == 1 else f"{who[0]}_{who[1]}".rstrip("_"))
        own, rest = _of_one(student, works.get(who, []), others.get(who, []), chapters, folder)
        found += own
        ignored += rest
    ignored = sorted((readable(path.relative_to(folder).as_posix()), why) for path, why in ignored)
    return sorted(found, key=lambda s: (s.student, s.chapter)) if chapters else [], ignored


def _of_one(student, works, others, chapters, folder):
    """The submissions of one student, and their files that do not count."""
    if works:
        found, ignored = [], [(path, "not named like a chapter") for path in others]
        for chapter in sorted({chapter for chapter, _ in works}):
            *earlier, last = sorted((path for c, path in works if c == chapter), key=_nth)
            ignored += [(path, "an earlier hand-in") for path in earlier]
            found.append(Submission(student, chapter, last))
        return found, ignored
    chapter = chapters[0] if len(chapters) == 1 else ""
    if len(others) == 1 and chapter:
        return [Submission(student, chapter, others[0])], []
    names = ", ".join(readable(path.name) for path in others[:5])
    problem = f"no notebook is named like a chapter; there are {names}" if others else "no notebook was handed in"
    return [Submission(student, chapter, others[0] if others else folder, problem)], []


def chapter_of(path, notebooks):
    """(the chapter that a file is named like, what stands before that in its name), or (None, '')."""
    for chapter, stem in notebooks.items():
        match = re.fullmatch(rf"(.*?){re.escape(stem)}{SUFFIX}\.ipynb", path.name, re.IGNORECASE | re.DOTALL)
        if match:
            return chapter, match[1]
    return None, ""


def readable(name):
    """A name that can be written to a file, another one for each: bytes that are no UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _walk(folder):
    """The plain files below a folder, sorted, and [(path, why)] of all else that is not a plain folder."""
    files, ignored = [], []
    for place, folders, names in os.walk(folder):
        for name in sorted(folders + names):
            path = Path(place, name)
            mode = path.lstat().st_mode
            why = "a link" if stat.S_ISLNK(mode) else "hidden" if _hidden(name) else (
                "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "not a file")
            if why:
                ignored.append((path, why))
                folders[:] = [f for f in folders if f != name]
            elif stat.S_ISREG(mode):
                files.append(path)
    return sorted(files), ignored


def _hidden(name):
    return name.startswith((".", "__"))


def _student_of_folder(name):
    match = MOODLE.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def _name_and_number(prefix):
    name = prefix.rstrip("_- ")
    rest = NUMBERS.search(name)
    number = re.search(r"\d+", rest[0]) if rest else None
    return NUMBERS.sub("", name), number[0] if number else ""


def _nth(path):
    """Which hand-in a file is: 0 without a number, before that a copy; then by name."""
    copy, number = re.search(r"copy\d*\.ipynb$", path.name, re.IGNORECASE), re.search(r"(\d+)\)?\.ipynb$", path.name)
    return -1 if copy else int(number[1]) if number else 0, path.as_posix()
