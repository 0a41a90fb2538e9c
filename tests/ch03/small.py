"""A net so small that a test can train it, its batches and its loss."""

import torch
from torch import nn


def net(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(dropout), nn.Tanh(), nn.Linear(16, 4))


def batch_at(step):
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(step))


def loss_fn(net, batch, generator):
    noise = torch.randn(batch.shape, generator=generator)
    return (net(batch + noise) - batch).square().mean(), {}


def weights(*nets):
    return torch.cat([p.detach().flatten() for net in nets for p in net.parameters()])


class Stop(Exception):
    """Ends a run as a kill does: in the middle, and nothing is tidied up."""


def stop_after(step):
    """A callback that ends the run after that step."""
    def callback(now, loss, ema):
        if now == step:
            raise Stop
    return callback


class Clock:
    """A clock that only moves when it is told to: in place of the module `time`."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now
