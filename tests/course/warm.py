"""Runs pytest in many folders from one process that has torch loaded: a fork each, at most `width` at a time."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = '''
import os, sys
import hypothesis, pytest, torch
width, arguments, running, folders = int(sys.argv[1]), sys.argv[2].split(), 0, sys.argv[3:]
for folder in folders + [None] * width:
    if running == width or folder is None:
        running -= bool(running and os.wait())
    if folder is None:
        continue
    running += 1
    if not os.fork():
        os.chdir(folder)
        out = os.open("out.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1), os.dup2(out, 2)
        sys.path.insert(0, folder)
        with open("tests.txt") as file:
            code = pytest.main([*arguments, *file.read().split()])
        with open("code.txt", "w") as file:
            print(int(code), file=file)
        sys.stdout.flush()
        os._exit(0)
'''


def run_in_each(folders, width=2):
    """pytest on the tests that each folder's tests.txt names. Returns {folder: (exit code, output)}."""
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = "-q -p where -p no:nbval -p no:cacheprovider -rfE --tb=no"
    subprocess.run([sys.executable, "-c", SCRIPT, str(width), arguments, *map(str, folders)], env=environment,
                   cwd=Path(folders[0]), check=True, timeout=900)
    return {folder: (int((folder / "code.txt").read_text()), (folder / "out.txt").read_text()) for folder in folders}
