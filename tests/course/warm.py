"""Fresh interpreters that start at once: forks of one process that has the libraries loaded, and nothing of minidiff.

To load torch, scipy and matplotlib takes seconds of a core, and a fork takes none. What runs in a fork finds no module
of minidiff loaded, and nothing that another fork did.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SERVE = '''
import gc, importlib, json, os, signal, sys, traceback
import hypothesis, matplotlib.pyplot, nbclient, nbformat, pytest, scipy.integrate, scipy.optimize, scipy.stats, torch

def serve(job):
    os.chdir(job["folder"])
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, job["said"], os.O_WRONLY | os.O_CREAT)):
        os.dup2(os.open(name, flags), number)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.path[:0] = [job["folder"]]
    signal.alarm(600)  # nothing here takes so long: who hangs is killed
    try:
        exec(job["code"], {"__name__": "__main__"})
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    job = json.loads(line)
    for name in job["load"]:
        importlib.import_module(name)
    gc.freeze()  # a fork that collects garbage looks at what is its own
    if not (child := os.fork()):
        code = serve(job)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
'''


@functools.cache
def server():
    """The process that is forked: one for each process of pytest, started when it is first asked for."""
    environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    process = subprocess.Popen([sys.executable, "-c", SERVE], env=environment, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    atexit.register(process.communicate)  # its input ends, and so does it
    return process


def run(folder, code, load=(), **environment):
    """Run Python code in a fork that stands in `folder` and imports from it first.

    load: further libraries to have loaded. Returns (exit status, what it said on stdout and stderr).
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "MPLBACKEND": "agg", **environment}
    environment.pop("PYTEST_ADDOPTS", None)
    with TemporaryDirectory() as own:
        said = Path(own) / "said.txt"
        job = {"folder": str(folder), "code": code, "load": load, "environment": environment, "said": str(said)}
        server().stdin.write(json.dumps(job) + "\n")
        server().stdin.flush()
        return int(server().stdout.readline()), said.read_text()


def run_tests(folder, *arguments, load=()):
    """pytest, without plugins, in a copy made by `tree.copy_of_package`. Returns (exit status, what it said)."""
    options = "-q -p where -p no:cacheprovider -rfE --tb=short --color=no".split()
    code = f"import sys, pytest\nsys.exit(int(pytest.main({[*options, *map(str, arguments)]!r})))"
    return run(folder, code, load, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", COLUMNS="200")
