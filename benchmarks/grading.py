"""How fast is a class graded, with how much memory, and does every student get the mark that must come out?

Run as `python -m benchmarks.grading` in the root of the repository; writes benchmarks/grading.json. It grades four
classes of chapter 01 (6 exercises) with `python -m minidiff.grading run -j 2`: 100 ordinary students, the same with ten
attacks in it (two of them endless loops in every exercise), honest notebooks in many styles, and everybody in
tests/submissions and tests/mutants. Memory is that of the grader itself, and that of all its processes together, shared
pages counted once, read every half second (Linux); load: how many processes wanted a processor when a class began.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from minidiff.grading.sandbox import descendants, memory_of
from minidiff.recipes.run import hardware
from minidiff.training.checkpoint import write_whole
from tests.submissions import classes

CHAPTER, STUDENTS, SEED = "ch01", 100, 1


def main():
    known = classes.every_known_answer(CHAPTER)
    ordinary = classes.right(40, CHAPTER) + known
    ordinary += classes.partly_right(STUDENTS - len(ordinary), CHAPTER)
    everybody = classes.right(5, CHAPTER) + classes.partly_right(10, CHAPTER) + known + classes.every_abuse(CHAPTER)
    record = {"hardware": hardware(), "chapter": CHAPTER, "seed": SEED, "jobs": 2,
              "ordinary": graded(ordinary),
              "ten attacks": graded(classes.with_attacks(ordinary, CHAPTER)),
              "honest": graded(classes.honest(CHAPTER)),
              "everybody": graded(everybody)}
    text = json.dumps(record, indent=1)
    write_whole(Path(__file__).with_suffix(".json"), text + "\n")
    print(text)


def graded(students):
    """Grade a class as a teacher does. Returns its figures, and every mark that is not the one that must come out."""
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "class"), Path(name, "marks")
        for student in students:
            student.hand_in(folder, CHAPTER)
        load, start, peak = os.getloadavg()[0], time.monotonic(), [0, 0]
        command = [sys.executable, "-m", "minidiff.grading", "run", folder, "-o", out, "-j", "2", "--seed", str(SEED)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            threading.Thread(target=watch, args=(process, peak)).start()
            process.wait()
        seconds = time.monotonic() - start
        with open(out / "grades.csv", encoding="utf-8", newline="") as stream:
            rows = {row["student"]: row for row in csv.DictReader(stream)}
        promises = json.loads((out / "run.json").read_text(encoding="utf-8"))["promises"]
    expected = [s for s in students if "no network" in promises or not s.isolated]
    wrong = [miss for s in expected for miss in s.wrong_marks(CHAPTER, rows[s.name])]
    return {"notebooks": len(students), "seconds": round(seconds, 1), "peak_gb": round(peak[0] / 1e9, 2),
            "grader_gb": round(peak[1] / 1e9, 2), "load": round(load, 1), "promises": promises, "wrong_marks": wrong}


def watch(process, peak):
    """Note the largest memory of a process and all below it, and of itself, in bytes, until it ends."""
    while process.poll() is None:
        peak[0] = max(peak[0], memory_of([process.pid, *descendants(process.pid)]))
        peak[1] = max(peak[1], memory_of([process.pid]))
        time.sleep(0.5)


if __name__ == "__main__":
    main()
