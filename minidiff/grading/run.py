"""`python -m minidiff.grading run`: marks for a folder of notebooks."""

import argparse
import csv
import json
import random
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from minidiff.grading import sandbox
from minidiff.grading.mark import GradingError, Marker, Sheet, load_hidden, notebooks
from minidiff.grading.nursery import Limits
from minidiff.grading.submissions import collect
from minidiff.training.checkpoint import write_whole

LIMITS = Limits()
ABOUT = f"""Marks every notebook in SUBMISSIONS and writes OUT/grades.csv, and a .json and a .md for each student.

SUBMISSIONS holds a folder for each student, or files named STUDENT_ID_NN_name.ipynb as course sites give them. Only the
answers of a notebook run, each in a process of its own: {LIMITS.timeout:g} s of wall clock for one call and
six times as much for one answer, {LIMITS.cpu} s of processor time, {LIMITS.memory:g} GiB of memory, {LIMITS.files} MB
for one file, {sandbox.PROCESSES} processes, one thread; no network and no other processes in sight where the kernel
allows it (Linux).
Student code still runs as your user: use a container where you do not trust it."""


def add_command(commands):
    """Add `run` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("run", help="mark a folder of notebooks", description=ABOUT,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=Path, metavar="SUBMISSIONS")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="a folder for the marks")
    parser.add_argument("--hidden", type=Path, metavar="DIR", help="your own hidden cases: chNN.py with HIDDEN")
    parser.add_argument("--timeout", type=float, default=LIMITS.timeout, metavar="S", help="seconds of one call")
    parser.add_argument("--memory", type=float, default=LIMITS.memory, metavar="GIB", help="of one answer")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="notebooks at a time")
    parser.add_argument("--seed", type=int, help="of the checks' random inputs (default: a fresh one, written to "
                                                 "OUT/run.json; the same seed gives the same marks)")
    parser.set_defaults(command=command)


def command(args):
    """Run `run` with parsed arguments. Returns the exit status; raises GradingError."""
    folder, out = args.submissions, args.out
    if not folder.is_dir():
        raise GradingError(f"{folder}: no such folder of submissions")
    if out.resolve().is_relative_to(folder.resolve()):
        raise GradingError(f"{out} lies inside {folder}: the next run would take the marks for submissions")
    if args.timeout <= 0 or args.memory <= 0 or args.jobs < 1:
        raise GradingError("--timeout, --memory and --jobs must be positive")
    if args.hidden and not any(args.hidden.glob("ch[0-9][0-9].py")):
        raise GradingError(f"{args.hidden}: no hidden cases there, expected files such as ch01.py")
    found, ignored = collect(folder, notebooks())
    if not found:
        raise GradingError(f"{folder}: no notebook there is named like a chapter, such as "
                           f"STUDENT/{next(iter(notebooks().values()))}.ipynb")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradingError(f"{out}: cannot be made ({error.strerror})") from None
    for chapter in {s.chapter for s in found}:
        load_hidden(chapter, args.hidden)
    seed = random.SystemRandom().randrange(2**31) if args.seed is None else args.seed
    limits = Limits(args.timeout, LIMITS.cpu, args.memory, LIMITS.files)
    with tqdm(total=len(found), unit="notebook") as bar:
        sheets, isolated = grade(found, seed, limits, args.jobs, args.hidden, (folder, out), bar.update)
    write(out, sheets, ignored, seed, sandbox.promises(isolated))
    print(f"{len(sheets)} notebooks of {len({s.student for s in sheets})} students, seed {seed}: {out / 'grades.csv'}")
    for name, why in ignored:
        print(f"  not graded: {name} ({why})")
    return 0


def grade(found, seed, limits=LIMITS, jobs=2, hidden=None, hide=(), done=lambda: None):
    """The sheets of some submissions, in their order, and whether all answers ran isolated."""
    sheets, isolated, local, markers = {}, [], threading.local(), []

    def one(submission):
        chapter = submission.chapter
        known = local.__dict__.setdefault("markers", {})
        if chapter not in known:
            known[chapter] = Marker(chapter, seed, limits, hidden, hide)
            known[chapter].__enter__()
            markers.append(known[chapter])
        try:
            sheet = known[chapter].sheet(submission)
        except Exception as error:  # one notebook never stops a class
            sheet = Sheet(submission.student, chapter, submission.path.name, (),
                          f"the grader failed on this file ({type(error).__name__})")
        sheets[submission] = sheet
        done()

    try:
        with ThreadPoolExecutor(jobs) as pool:
            for future in [pool.submit(one, s) for s in sorted(found, key=lambda s: s.chapter)]:
                future.result()
    finally:
        for marker in markers:
            marker.__exit__()
            isolated.append(marker.nursery.isolated)
    return [sheets[s] for s in found], bool(isolated) and all(isolated)


def write(out, sheets, ignored, seed, promises):
    """Write grades.csv, run.json, and for each student a .json and a .md."""
    columns = sorted({m.id: None for s in sheets for m in s.marks})
    rows = [["student", "chapter", "file", "points", "of", "state", "note"]
            + [f"{c} {what}" for c in columns for what in ("points", "state", "note")]]
    for sheet in sheets:
        marks = {m.id: m for m in sheet.marks}
        row = [sheet.student, sheet.chapter, sheet.file, round(sheet.points, 2), sheet.of, sheet.state, sheet.problem]
        for c in columns:
            row += [marks[c].points, marks[c].state, marks[c].note] if c in marks else ["", "", ""]
        rows.append([safe(value) for value in row])
    write_csv(out / "grades.csv", rows)
    write_whole(out / "run.json", json.dumps({"seed": seed, "promises": promises, "not graded": ignored}, indent=1))
    names = file_names({s.student for s in sheets})
    for student, name in names.items():
        own = [s for s in sheets if s.student == student]
        write_whole(out / f"{name}.json", json.dumps([asdict(s) | {"points": s.points, "of": s.of, "state": s.state}
                                                      for s in own], indent=1))
        write_whole(out / f"{name}.md", "\n\n".join(page(s) for s in own) + f"\n\n---\n{promises}\n")


def write_csv(path, rows):
    """Write rows to a CSV file, whole or not at all."""
    import io
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue())


def safe(value):
    """A cell that no spreadsheet takes for a formula, on one line."""
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line


def file_names(students):
    """A file name for each student: letters, digits, dots and dashes, no two alike, whatever their case."""
    names, taken = {}, Counter()
    for student in sorted(students):
        name = re.sub(r"[^\w.-]+", "_", student).strip("._")[:80] or "student"
        name = f"{name}_" if name.lower() in ("grades", "run", "report") else name
        taken[name.lower()] += 1
        names[student] = name if taken[name.lower()] == 1 else f"{name}-{taken[name.lower()]}"
    return names


def page(sheet):
    """What a student reads about one notebook."""
    lines = [f"# {sheet.chapter}: {round(sheet.points, 2):g} of {sheet.of} points", "", f"`{sheet.file}`"]
    if sheet.problem:
        return "\n".join([*lines, "", f"The notebook could not be graded: {sheet.problem}."])
    for mark in sheet.marks:
        if mark.state == "to be read":
            lines += ["", f"## {mark.id}: to be read (up to {mark.of} points)", "",
                      *(f"> {line}" for line in (mark.text or "nothing written").splitlines())]
            continue
        lines += ["", f"## {mark.id}: {mark.state}, {mark.points:g} of {mark.of} points", ""]
        lines += [f"- {'ok' if c.passed else 'MISS'}: {c.says}" + (f"\n  {c.miss}" if c.miss else "")
                  for c in mark.cases] or ([mark.note] if mark.note else [])
        lines += [f"\nHint: {hint}" for hint in [next((c.hint for c in mark.cases if c.hint), "")] if hint]
    return "\n".join(lines)
