"""An exponential moving average of the weights: the net that is sampled from."""

import torch


def ema_decay(n, largest=0.999):
    """The decay of update n = 0, 1, 2, ...: (1 + n) / (10 + n) until it reaches `largest`.

    Without this warm-up the average would hold on to the random initial weights for thousands of steps.
    """
    return min(largest, (1 + n) / (10 + n))


@torch.no_grad()
def ema_update(average, net, n, decay=0.999):
    """Move the net `average` towards `net`, in place: average <- d average + (1 - d) net, d = ema_decay(n, decay).

    average, net: modules of the same shape; n: how many updates there were before this one. Buffers are copied.
    """
    d = ema_decay(n, decay)
    for kept, new in zip(average.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1 - d)
    for kept, new in zip(average.buffers(), net.buffers(), strict=True):
        kept.copy_(new)


@torch.no_grad()
def ema_update_at_once(average, net, n, decay=0.999):
    """`ema_update` in a few calls for all weights, which a card answers faster than one call a weight.

    Weights that are whole numbers, which cannot be averaged, are copied like buffers.
    """
    pairs = list(zip(average.parameters(), net.parameters(), strict=True))
    moved = [pair for pair in pairs if pair[0].is_floating_point()]
    copied = [pair for pair in pairs if not pair[0].is_floating_point()]
    copied += zip(average.buffers(), net.buffers(), strict=True)
    if moved:
        kept, new = map(list, zip(*moved, strict=True))
        torch._foreach_lerp_(kept, new, 1 - ema_decay(n, decay))
    for kept, new in copied:
        kept.copy_(new)
