"""The notebook in which a student's cells run: IPython's own shell, without history, system commands and display.

What works in a notebook works here: magics and `await` are read by IPython itself, and functions keep their source.
Magics that are about Python (`%time`, `%timeit`, `%%capture`, `%%writefile`, ...) work; all others, and lines that
begin with `!`, do nothing and give None, or an empty list.
"""

import contextlib
import re
import signal

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList
from traitlets.config import Config

OF_PYTHON = ("time", "timeit", "prun", "capture", "writefile")  # magics that work
ONCE = "-n 1 -r 1 "  # %timeit takes seconds else


class TimeLimit(BaseException):
    """A cell or a call took too long; no `except Exception` catches it."""

    def __init__(self, seconds):
        super().__init__(f"took more than {seconds:g} s")


@contextlib.contextmanager
def within(seconds):
    """Raise TimeLimit in the main thread after so many seconds (where the system has such an alarm)."""
    def stop(number, frame):
        raise TimeLimit(seconds)
    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def open_shell():
    """The shell of this process, empty."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.ast_node_interactivity = "none"
    shell = InteractiveShell.instance(config=config)
    shell.showtraceback = shell.showsyntaxerror = shell.ask_exit = lambda *words, **options: None
    shell.system = shell.system_piped = shell.system_raw = lambda command: None
    shell.getoutput = lambda command, split=True, depth=0: SList([])
    line_magic, cell_magic = shell.run_line_magic, shell.run_cell_magic

    def run_line_magic(name, line, depth=1):
        return line_magic(name, _quick(name, line), depth + 1) if name in OF_PYTHON else None

    def run_cell_magic(name, line, cell):
        return cell_magic(name, _quick(name, line), cell) if name in OF_PYTHON else None
    shell.run_line_magic, shell.run_cell_magic = run_line_magic, run_cell_magic
    return shell


def _quick(name, line):
    """The words behind a magic, where %timeit takes one run unless it says itself how many."""
    return ONCE + line if name == "timeit" and not re.search(r"(^|\s)-[nr]\s*\d", line) else line


def run_cell(shell, source, seconds):
    """Run a cell; the exception that stopped it, or None."""
    try:
        with within(seconds):
            result = shell.run_cell(source, store_history=False, silent=True)
        return result.error_before_exec or result.error_in_exec
    except BaseException as error:  # of the alarm, in IPython's own code
        return error
