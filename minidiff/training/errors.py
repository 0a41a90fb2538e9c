"""What can go wrong while a net is trained or kept, said in one sentence."""


class TrainingError(RuntimeError):
    """Training cannot go on; the last good state is kept."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read or written."""
