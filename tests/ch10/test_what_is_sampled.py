"""Where a walk begins is the recipe's noise, or what one gives it; and the rest of `sample` is as it was."""

from functools import partial

import pytest
import torch

from minidiff.places import CHECKPOINTS
from minidiff.recipes.recipe import load, sample
from minidiff.samplers.edit import half_way
from minidiff.samplers.sampler import Sampler


@pytest.fixture(scope="module")
def flow():
    return load(CHECKPOINTS / "mnist-flow.safetensors")


def from_picture(picture, strength):
    return lambda shape, times, path, generator: half_way(picture.expand(shape), times, path, strength, generator)


def test_the_whole_way_from_a_picture_is_the_way_from_noise(flow):
    """At strength 1 a flow has nothing of the picture left, and the noise comes from the same streams."""
    whole = sample(*flow, 2, steps=9, start=from_picture(torch.ones(1, 1, 28, 28), 1.0))
    assert torch.equal(whole, sample(*flow, 2, steps=9))


def test_a_short_way_keeps_the_picture(flow):
    digits = sample(*flow, 4, steps=9, seed=5)
    far = [float((sample(*flow, 4, steps=39, label=torch.arange(4), start=from_picture(digits[2:3], strength))
                  - digits[2:3]).square().mean()) for strength in (0.1, 0.5, 0.9)]
    assert far[0] < far[1] < far[2] and far[0] < 0.05 < far[2]


def test_a_start_is_asked_for_every_batch_by_its_own_streams(flow):
    start = from_picture(torch.zeros(1, 1, 28, 28), 0.6)
    draw = partial(sample, *flow, steps=9, start=start)
    torch.testing.assert_close(draw(5, batch=2)[:3], draw(3, batch=3), rtol=1e-4, atol=1e-4)


def test_a_sampler_walks_the_times_that_are_left(flow):
    seen = []

    def walk(denoiser, x, times, path):
        seen.append(times.tolist())
        yield 0.0, x, x
    sample(*flow, 1, steps=10, sampler=Sampler(walk), start=from_picture(torch.zeros(1, 1, 28, 28), 0.3))
    sample(*flow, 1, steps=10, sampler=Sampler(walk))
    assert len(seen[0]) == 4 and len(seen[1]) == 11 and seen[0] == seen[1][-4:]
