"""How fast is a class graded, with how much memory, and does every student get the mark that must come out?

Run as `python -m benchmarks.grading` in the root of the repository; writes benchmarks/grading.json. It grades three
classes of chapter 01 (6 exercises) with `python -m minidiff.grading run -j 2`: 100 ordinary students, the same with 5
endless loops, and everybody in tests/submissions and tests/mutants. Memory is that of all its processes together,
shared pages counted once, read every half second (Linux); load: how many processes wanted a processor when a class
began.
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

from minidiff.grading.sandbox import descendants
from minidiff.recipes.run import hardware
from minidiff.training.checkpoint import write_whole
from tests.submissions import classes

CHAPTER, STUDENTS, LOOPS, SEED = "ch01", 100, 5, 1


def main():
    known = classes.every_known_answer(CHAPTER)
    ordinary = classes.right(40, CHAPTER) + known
    ordinary += classes.partly_right(STUDENTS - len(ordinary), CHAPTER)
    everybody = classes.right(5, CHAPTER) + classes.partly_right(10, CHAPTER) + known + classes.every_abuse(CHAPTER)
    record = {"hardware": hardware(), "chapter": CHAPTER, "seed": SEED, "jobs": 2,
              "ordinary": graded(ordinary),
              "five endless loops": graded(classes.with_endless_loops(ordinary, LOOPS, CHAPTER)),
              "everybody": graded(everybody, "--timeout", "4", "--memory", "2")}
    text = json.dumps(record, indent=1)
    write_whole(Path(__file__).with_suffix(".json"), text + "\n")
    print(text)


def graded(students, *options):
    """Grade a class as a teacher does. Returns its figures, and every mark that is not the one that must come out."""
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "class"), Path(name, "marks")
        for student in students:
            student.hand_in(folder, CHAPTER)
        load, start, peak = os.getloadavg()[0], time.monotonic(), [0]
        command = [sys.executable, "-m", "minidiff.grading", "run", folder, "-o", out, "-j", "2", "--seed", str(SEED)]
        with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as process:
            threading.Thread(target=watch, args=(process, peak)).start()
            process.wait()
        seconds = time.monotonic() - start
        with open(out / "grades.csv", encoding="utf-8", newline="") as stream:
            rows = {row["student"]: row for row in csv.DictReader(stream)}
        promises = json.loads((out / "run.json").read_text(encoding="utf-8"))["promises"]
    expected = [s for s in students if "no network" in promises or not s.isolated]
    wrong = [miss for s in expected for miss in s.wrong_marks(CHAPTER, rows[s.name])]
    return {"notebooks": len(students), "seconds": round(seconds, 1), "peak_gb": round(peak[0] / 1e9, 2),
            "load": round(load, 1), "promises": promises, "wrong_marks": wrong}


def watch(process, peak):
    """Note the largest memory of a process and all below it, in bytes, until it ends."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(memory_of, [process.pid, *descendants(process.pid)])))
        time.sleep(0.5)


def memory_of(pid):
    """The memory of a process in bytes, pages that it shares with others divided between them; 0 if it is unknown."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
