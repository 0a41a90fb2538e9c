"""What can go wrong while data are found, downloaded or read, said in one sentence."""


class DataError(RuntimeError):
    """A data set cannot be found, downloaded or read, or its bytes are not those that were published."""


def check_split(split):
    """Raise DataError unless `split` is "train" or "test"."""
    if split not in ("train", "test"):
        raise DataError(f'split must be "train" or "test", got {split!r}')
