"""Batches that have to be made, made ahead of the step that needs them."""

from concurrent.futures import ThreadPoolExecutor


class Prefetch:
    """A function of the step, called in a thread up to `ahead` steps before it is needed: Prefetch(batch_at).at(step).

    batch_at: a pure function of the step, so that a batch is the same whoever asks, and in whatever order. What it
    raises for a step is raised by `at` for that step. The thread ends with the process, or when `close` is called.
    """

    def __init__(self, batch_at, ahead=2):
        if ahead < 1:
            raise ValueError(f"ahead must be at least 1, got {ahead}")
        self.batch_at, self.ahead, self.coming = batch_at, ahead, {}
        self.thread = ThreadPoolExecutor(1, "prefetch")

    def at(self, step):
        """The batch of a step; those of the next steps are being made when it returns."""
        window = range(step, step + self.ahead + 1)
        for old in self.coming.keys() - set(window):
            self.coming.pop(old).cancel()
        for new in window:
            if new not in self.coming:
                self.coming[new] = self.thread.submit(self.batch_at, new)
        return self.coming.pop(step).result()

    def to(self, device):
        """Itself: what is made anew for every step moves to a device when it is used."""
        return self

    def close(self):
        """End the thread; batches that nobody has asked for are given up."""
        self.thread.shutdown(cancel_futures=True)
