"""Where the time goes: the seconds that the parts of a pipeline take, by a clock at their doors."""

import contextlib
import time

import torch

from minidiff.training.device import synchronize


@contextlib.contextmanager
def timed(**parts):
    """Within it, each call of a part is timed: gives {name: {"seconds": float, "calls": int}}, filled as it goes.

    parts: modules by name; the time of a part that is called within another one counts for both. A card is waited for
    at every door, so the sum is right and the whole a little slower.
    """
    found = {name: {"seconds": 0.0, "calls": 0} for name in parts}
    hooks = [hook for name, part in parts.items() for hook in _doors(part, found[name])]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _doors(part, row):
    """The two hooks that time the calls of a module into a row."""
    device = next((p.device for p in part.parameters()), torch.device("cpu"))
    begun = []

    def enter(module, given):
        synchronize(device)
        begun.append(time.perf_counter())

    def leave(module, given, answer):
        synchronize(device)
        row["seconds"] += time.perf_counter() - begun.pop()
        row["calls"] += 1
    return part.register_forward_pre_hook(enter), part.register_forward_hook(leave)


def kept_for_backward(loss):
    """The bytes that a computation keeps until its gradients are known: loss() -> scalar with a graph; an int.

    Each storage counts once, however many operations keep it; weights, which are there anyway, do not count. It is what
    the memory of training grows by with the batch (Chen et al. 2016, "Sublinear memory cost").
    """
    sizes = {}

    def keep(x):
        if not (x.is_leaf and x.requires_grad):
            sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        value = loss()
    del value
    return sum(sizes.values())
