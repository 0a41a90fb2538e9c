"""What comes before the clock of training starts: choose the precision, compile, and leave no trace of either."""

import contextlib
import math
import sys
import time
from dataclasses import dataclass

import torch

from minidiff.training.device import PRECISIONS, has_fast_bfloat16, synchronize
from minidiff.training.state import random_state, set_random_state

# Measured with the U-Net of mnist-flow: an H100 compiles for 66 s and then trains 1.5 times as many images a second
# (11,700 against 7,800); two cores of a processor with AVX-512 compile for 70 s and train 1.25 times as many.
COMPILING = {"cuda": (66.0, 1.5), "cpu": (70.0, 1.25)}


@dataclass(frozen=True)
class Prepared:
    """What a run trains with: `model`, the net or its compiled form; the precision; and what it took to find out."""

    model: torch.nn.Module
    precision: str
    compiled: bool
    seconds: float


def compiling_pays(seconds, device):
    """Whether compiling costs less time than it saves in a run of that many seconds without it.

    By the figures in COMPILING: in runs of more than 66 / (1 - 1 / 1.5) = 198 s on a card, and 350 s on a CPU.
    """
    cost, gain = COMPILING.get(torch.device(device).type, (math.inf, 1.0))
    return seconds * (1 - 1 / gain) > cost


def prepare_model(net, one_pass, device, *, compile, precision, seconds=None, steps=None):
    """Everything that is slow once, done before training: returns `Prepared`.

    one_pass(model, precision): the forward and backward passes of a step. compile: True, False, or "auto": where
    `compiling_pays` for a run of `seconds`, or of as many `steps` as long as the one tried here. Where compiling fails,
    as it does without a C++ compiler, one line says so, and the net is trained as it is. precision: as in `autocast`,
    or "auto": bfloat16 on CUDA; on a CPU that has units for it where a step is measured to be a tenth faster with it;
    float32 elsewhere. On a CPU without compiling and with a precision that is given, nothing is run at all.
    """
    start, device = time.monotonic(), torch.device(device)
    if precision == "auto":
        precision = _faster_precision(net, one_pass, device)
    if compile == "auto" and seconds is None:
        seconds = steps * seconds_of_a_pass(net, one_pass, device, precision)
    model, compiled = net, False
    if compiling_pays(seconds, device) if compile == "auto" else compile:
        try:
            model = torch.compile(net, dynamic=False)
            seconds_of_a_pass(model, one_pass, device, precision)
            compiled = True
        except Exception as error:  # torch.compile fails in as many ways as there are machines
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            print(f"compiling failed, so the net is trained without: {reason}", file=sys.stderr, flush=True)
            model = net
    if device.type == "cuda" and not compiled:
        seconds_of_a_pass(net, one_pass, device, precision)  # loads kernels, and tries which are fastest
    return Prepared(model, precision, compiled, time.monotonic() - start)


def seconds_of_a_pass(model, one_pass, device, precision):
    """How long the second of two passes takes: the first one compiles and loads. The model is left as it was."""
    with left_as_it_was(model):
        one_pass(model, precision)
        synchronize(device)
        start = time.monotonic()
        one_pass(model, precision)
        synchronize(device)
        return time.monotonic() - start


@contextlib.contextmanager
def left_as_it_was(net):
    """Within it a net may be run forward and backward; then its buffers and torch's random numbers are as before.

    No weight moves in a pass; the gradients are given up.
    """
    buffers, random = [(b, b.clone()) for b in net.buffers()], random_state()
    try:
        yield
    finally:
        with torch.no_grad():
            for b, kept in buffers:
                b.copy_(kept)
        net.zero_grad(set_to_none=True)
        set_random_state(random)


def _faster_precision(net, one_pass, device):
    if device.type != "cpu" or not has_fast_bfloat16(device):
        return "bfloat16" if has_fast_bfloat16(device) else "float32"
    single, half = (seconds_of_a_pass(net, one_pass, device, precision) for precision in PRECISIONS)
    return "bfloat16" if half < 0.9 * single else "float32"
