"""Ctrl-C and a termination as a request that training answers between two steps, when nothing is half done."""

import contextlib
import os
import signal
import threading


class Interrupt:
    """Within `with Interrupt() as stop`, the first Ctrl-C or SIGTERM makes stop() true; the second ends the process.

    stop.number: the signal that came, or None. Outside the main thread, where Python gives signals to nobody, nothing
    is changed.
    """

    def __init__(self):
        self.number, self._before = None, {}

    def __call__(self):
        return self.number is not None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._came) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *reason):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _came(self, number, frame):
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        with contextlib.suppress(OSError):  # not print: the signal may have come in the middle of one
            os.write(2, b"\nstopping after this step, and keeping what is learned; once more to stop at once\n")
