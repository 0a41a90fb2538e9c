"""`python -m minidiff.grading run`: marks for a folder of notebooks."""

import argparse
import csv
import io
import json
import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from minidiff.grading import answers, plan, sandbox, wire
from minidiff.grading.mark import ROOT, GradingError, Marker, Sheet, hidden_files, load_hidden, notebooks
from minidiff.grading.nursery import CALLS, SHORTEST, Limits
from minidiff.grading.page import cell, file_names, page
from minidiff.grading.submissions import Submission, collect, readable
from minidiff.training.checkpoint import write_whole

LIMITS = Limits()
ABOUT = f"""Marks every notebook in SUBMISSIONS and writes OUT/grades.csv, and a .json and a .md for each student.

SUBMISSIONS holds a folder for each student, or files named STUDENT_ID_NN_name.ipynb as course sites give them; what is
neither is listed at the end. Each answer runs in a process of its own, with the cells that it needs, within limits:

  one call or cell   {LIMITS.timeout:g} s of wall clock (--timeout), {CALLS} times as much for one answer; half as much
                     for the answers after one that ran over its time, and no less than {SHORTEST:g} s
  processor time     {LIMITS.cpu} s for one answer
  memory             {LIMITS.memory:g} GiB for one answer and all processes that it starts (--memory; Linux)
  one file           {LIMITS.files} MB; where isolated {sandbox.SCRATCH_MB} MB in all, and only in a folder of its own
  processes          {sandbox.PROCESSES} at a time (Linux), all ended with the answer; one thread for torch
  network            none where isolated
  returned values    {wire.LIMIT >> 20} MB of tensors and arrays, {wire.ITEMS:,} values in lists
  a notebook         {answers.BYTES >> 20} MB, {plan.SOURCE:,} characters in one cell, {plan.SOURCES:,} in all own ones

Isolated is an answer on Linux where the kernel allows unprivileged name spaces: it reads Python, its packages and the
course's data alone. OUT/run.json says whether it was. A system without fork (Windows) keeps the wall clock alone.
Student code still runs as your user: where you do not trust it, use a container.

--hidden DIR takes chNN.py files with HIDDEN = {{id: (Case, ...)}}, like those in minidiff/exercises/hidden, in their
place. Before a class is graded the course's own solutions are: where one does not pass, nothing is."""


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
    refuse_wrong(args)
    found, ignored = collect(folder, notebooks())
    if not found:
        raise GradingError(f"{folder}: no notebook there is named like a chapter, such as "
                           f"STUDENT/{next(iter(notebooks().values()))}.ipynb")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GradingError(f"{out}: cannot be made ({error.strerror})") from None
    seed = random.SystemRandom().randrange(2**31) if args.seed is None else args.seed
    limits = Limits(args.timeout, LIMITS.cpu, args.memory, LIMITS.files)
    tried = {}
    try:
        for chapter in sorted({s.chapter for s in found} - {""}):
            tried[chapter] = Marker(chapter, seed, limits, args.hidden, (folder, out)).__enter__()
            trial(tried[chapter], args.hidden)
        with tqdm(total=len(found), unit="notebook") as bar:
            sheets, isolated = grade(found, seed, limits, args.jobs, args.hidden, (folder, out), bar.update, tried)
    finally:
        for marker in tried.values():
            marker.__exit__()
    left = write(out, sheets, ignored, seed, sandbox.promises(isolated), args.hidden)
    print(f"{counted(sheets, 'notebook')} of {counted({s.student for s in sheets}, 'student')}, seed {seed}: "
          f"{out / 'grades.csv'}")
    for name, why in ignored:
        print(f"  not graded: {name} ({why})")
    if left:
        print(f"  of an earlier run, and still in {out}: {', '.join(left)}")
    return 0


def refuse_wrong(args):
    """Raise GradingError for arguments of `run` that are wrong before anything is read."""
    folder, out = args.submissions, args.out
    if not folder.is_dir():
        raise GradingError(f"{folder} is a file, expected a folder of submissions" if folder.exists()
                           else f"{folder}: no such folder of submissions")
    if out.resolve() == folder.resolve():
        raise GradingError(f"{out} is the folder of submissions itself: name another one for the marks")
    if out.resolve().is_relative_to(folder.resolve()):
        raise GradingError(f"{out} lies inside {folder}: the next run would take the marks for submissions")
    if not (0 < args.timeout < math.inf and 0 < args.memory < math.inf and args.jobs > 0):
        raise GradingError("--timeout, --memory and --jobs must be positive")
    if args.hidden and not hidden_files(args.hidden):
        raise GradingError(f"{args.hidden}: no hidden cases there, expected files such as ch01.py")


def counted(things, noun):
    """'1 notebook', '2 notebooks'."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def trial(marker, hidden=None):
    """Grade the course's own solution of a chapter, so that a class is not graded where right answers fail.

    Raises GradingError: for hidden cases that are wrong or not there, and for limits or a machine with which answers do
    not run.
    """
    chapter = marker.chapter
    cases, _ = load_hidden(chapter, hidden)
    if hidden and not any(cases.values()):
        raise GradingError(f"{hidden}: no hidden cases for {chapter} there, expected a file {chapter}.py with "
                           "HIDDEN = {id: (Case, ...)}")
    if not solution(chapter).path.exists():
        return
    for mark in marker.sheet(solution(chapter)).marks:
        if mark.state not in ("passed", "to be read"):
            raise GradingError(f"{chapter} is not graded: the course's own solution of {mark.id} does not pass "
                               f"here ({mark.note}){f': look at the cases in {hidden}' if hidden else ''}")


def solution(chapter):
    """The course's own solution of a chapter, as a Submission."""
    return Submission("solution", chapter, ROOT / "solutions" / f"{notebooks()[chapter]}.ipynb")


def grade(found, seed, limits=LIMITS, jobs=2, hidden=None, hide=(), done=lambda: None, tried=None):
    """The sheets of some submissions, in their order, and whether all answers ran isolated.

    tried: {chapter: a Marker that has begun}, each of which one thread takes over.
    """
    sheets, isolated, local, markers, tried = {}, [], threading.local(), [], {} if tried is None else tried

    def close(marker):
        marker.__exit__()
        isolated.append(marker.nursery.said)

    def marker_of(chapter):
        """This thread's marker of a chapter; that of the chapter before it ends."""
        known = getattr(local, "marker", None)
        if known is None or known.chapter != chapter:
            if known is not None:
                markers.remove(known)
                close(known)
            local.marker = tried.pop(chapter, None) or Marker(chapter, seed, limits, hidden, hide).__enter__()
            markers.append(local.marker)
        return local.marker

    def one(submission):
        say = submission.student, submission.chapter, readable(submission.path.name), ()
        try:
            sheets[submission] = marker_of(submission.chapter).sheet(submission) if submission.chapter else Sheet(
                *say, submission.problem)
        except Exception as error:  # one notebook never stops a class
            sheets[submission] = Sheet(*say, f"the grader failed on this file ({type(error).__name__})")
        done()

    pool = ThreadPoolExecutor(jobs)
    try:
        for future in [pool.submit(one, s) for s in sorted(found, key=lambda s: s.chapter)]:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for marker in markers:
            close(marker)
    return [sheets[s] for s in found], set().union(*isolated) == {True}


def write(out, sheets, ignored, seed, promises, hidden=None):
    """Write grades.csv, run.json, and for each student a .json and a .md. Returns the pages there of earlier runs."""
    columns = sorted({m.id for s in sheets for m in s.marks})
    rows = [["student", "chapter", "file", "points", "of", "state", "note"]
            + [f"{c} {what}" for c in columns for what in ("points", "state", "note")]]
    for sheet in sheets:
        marks = {m.id: m for m in sheet.marks}
        row = [sheet.student, sheet.chapter, sheet.file, round(sheet.points, 2), sheet.of, sheet.state, sheet.problem]
        for c in columns:
            row += [marks[c].points, marks[c].state, marks[c].note] if c in marks else ["", "", ""]
        rows.append([cell(value) for value in row])
    write_csv(out / "grades.csv", rows)
    names = file_names({s.student for s in sheets})
    left = of_earlier_runs(out, names)
    write_whole(out / "run.json", json.dumps({
        "seed": seed, "promises": promises, "hidden": str(hidden) if hidden else "the course's own", "students": names,
        "not graded": ignored, "of earlier runs": left}, indent=1))
    for student, name in names.items():
        own = [s for s in sheets if s.student == student]
        write_whole(out / f"{name}.json", json.dumps([asdict(s) | {"points": s.points, "of": s.of, "state": s.state}
                                                      for s in own], indent=1))
        write_whole(out / f"{name}.md", "\n\n".join(map(page, own)) + "\n")
    return left + sorted(file.name for file in out.glob("report-ch[0-9][0-9].*"))


def of_earlier_runs(out, names):
    """The pages of students in OUT that its run.json knows, and a run with these file names does not write again."""
    try:
        before = json.loads((out / "run.json").read_text(encoding="utf-8"))
        pages = {f"{name}.{kind}" for name in before["students"].values() for kind in ("json", "md")}
        pages |= set(before.get("of earlier runs", ()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or not one of ours
        return []
    again = {f"{name}.{kind}" for name in names.values() for kind in ("json", "md")}
    return sorted(page for page in pages - again if (out / page).is_file())


def write_csv(path, rows):
    """Write rows to a CSV file, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(path, text.getvalue())
