"""The exercise of chapter 09 about the pairs that a flow itself makes."""

import torch

from minidiff.exercises.ch09 import PATHS, some_seed
from minidiff.exercises.core import Case, Exercise
from minidiff.samplers.reflow import reflow_pairs


def pairs_inputs(n, batch, times=(1.0, 0.7, 0.3, 0.0), shape=(2,)):
    def draw(generator):
        return [n, *shape], batch, torch.tensor(times, dtype=torch.float64), some_seed(generator)
    return draw


def pairs(fn, shape, batch, times, seed):
    """The pairs of a flow into two islands at +-1 (a smooth step, which does not let x0 and eps be confused)."""
    path, sizes = PATHS["flow"], []

    def denoise(x, t):
        sizes.append(len(x))
        x0 = torch.tanh(3 * x) + 0.1 * float(t)
        return x0, x0 + (x - x0) / float(t)

    generator = torch.Generator().manual_seed(seed)
    x0, eps = fn(denoise, tuple(shape), times, path, generator, batch=batch)
    return {"x0": x0, "eps": eps, "the generator's next number": torch.rand(1, generator=generator),
            "sizes of the batches that were walked": sizes}


def pairs_by(fn, shape, batch, times, seed):
    """The pairs by another sampler, which marks what it has walked."""
    def walk(denoiser, x, times, path):
        yield 0.5, -x, x
        yield 0.0, 2 * x + 1, x

    generator = torch.Generator().manual_seed(seed)
    x0, eps = fn(lambda x, t: (x, x), tuple(shape), times, PATHS["flow"], generator, walk=walk)
    return {"x0": x0, "eps": eps}


REFLOW_PAIRS = Exercise(
    id="ch09.reflow_pairs", title="the pairs that a flow makes", reference=reflow_pairs, points=3, minutes=15,
    difficulty="medium",
    cases=(
        Case("walks each noise to its end and keeps the two together", pairs_inputs(6, 6), pairs,
             hint="all noise comes from the generator; x0 is where the walk of ITS noise ends, and is returned first"),
        Case("walks in batches, the last of which may be smaller", pairs_inputs(7, 3), pairs,
             hint="draw all noises at once with torch.randn(shape, generator=generator), then eps.split(batch)",
             central=True),
        Case("makes pairs of pictures", pairs_inputs(5, 2, shape=(1, 4, 5)), pairs),
        Case("walks with the sampler that it is given", pairs_inputs(4, 2), pairs_by,
             hint="call walk(denoiser, noise, times, path), not euler_flow"),
        Case("works for one pair and one step", pairs_inputs(1, 10, times=(1.0, 0.0)), pairs),
    ),
    hints=("First all the noise, from the generator; then one walk for each of eps.split(batch).",
           "The picture is where the walk ends, not what the denoiser said first.",
           "return torch.cat([...]), eps: row i of one belongs to row i of the other."))


EXERCISES = (REFLOW_PAIRS,)
