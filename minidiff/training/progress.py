"""How far a run is: a bar on a terminal; a line a minute where nobody looks at a bar, as in a log."""

import sys
import time

from tqdm import tqdm

SECONDS_A_LINE = 60.0


class Progress:
    """Shows how much of `total` units ("steps" or "s") is done, and some words. shown=False: nothing at all."""

    def __init__(self, total, unit, begun=0, shown=True):
        self.total, self.unit, self.shown, self.bar, self.said = total, unit, shown, None, time.monotonic()
        if shown and sys.stderr.isatty():
            self.bar = tqdm(total=total, initial=min(begun, total), unit=unit, mininterval=0.5,
                            bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} {unit}, {remaining} left{postfix}")

    def update(self, done, words):
        """`done` of the total is done; words: a function that returns what there is to say, called when it is shown."""
        if self.bar is not None:
            if time.monotonic() - self.said >= 0.5:
                self.bar.set_postfix_str(words(), refresh=False)
                self.said = time.monotonic()
            self.bar.update(min(done, self.total) - self.bar.n)
        elif self.shown and time.monotonic() - self.said >= SECONDS_A_LINE:
            print(f"{done:.0f}/{self.total:.0f} {self.unit}, {words()}", file=sys.stderr, flush=True)
            self.said = time.monotonic()

    def close(self):
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
