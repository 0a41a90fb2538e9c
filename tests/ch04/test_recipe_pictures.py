"""The one route from a recipe to pictures: seeds, evaluations, wrappers, and what `sample` refuses."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from minidiff.process.noise import Streams, normal_like
from minidiff.recipes import mnist_classifier
from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import sample
from minidiff.samplers.ancestral import ANCESTRAL, ancestral
from minidiff.samplers.sampler import Sampler

DIGITS = replace(RECIPE, config=RECIPE.config | {"shape": [1, 4, 4]})
DDIM = Sampler(partial(ancestral, eta=0.0))


def third(x, t):
    """A net that looks at each number of its input alone, so that its answers do not depend on the batch at all."""
    return 0.3 * x


@pytest.mark.parametrize("sampler", [ANCESTRAL, DDIM], ids=["ancestral", "ddim"])
def test_a_picture_of_a_seed_is_the_same_for_every_number_and_batch(sampler):
    draw = partial(sample, DIGITS, third, steps=6, sampler=sampler, seed=2)
    seven = draw(7)
    assert torch.equal(draw(3), seven[:3]) and torch.equal(draw(7, batch=2), seven) and torch.equal(draw(7), seven)
    assert len({float(picture.sum()) for picture in seven}) == 7
    assert not torch.equal(draw(3, seed=1), seven[:3])


def test_the_first_noise_of_a_picture_is_that_of_its_stream_scaled_by_sigma():
    heard = []
    sample(DIGITS, lambda x, t: heard.append(x) or x, 3, steps=1, seed=5)
    noise = normal_like(torch.empty(3, 1, 4, 4), Streams(5, 0, 3))
    torch.testing.assert_close(heard[0], float(DIGITS.draw(DIGITS.config).path.sigma(1000)) * noise)


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize("each, more", [(1, 0), (2, 0), (2, -1), (3, 1)])
def test_steps_count_evaluations_of_the_net(steps, each, more):
    """A sampler that asks each * n + more times for n steps makes as many steps as the evaluations pay for."""
    asked, visited = [], []

    def walk(denoiser, x, times, path):
        visited.append(times)
        for _ in range(each * (len(times) - 1) + more):
            denoiser(x, times[0])
        yield 0, x, x

    def net(x, t):
        asked.append(float(t))
        return x
    draw = partial(sample, DIGITS, net, 2, steps=steps, sampler=Sampler(walk, each=each, more=more))
    if steps < each + more:
        with pytest.raises(ValueError, match=f"one step takes {each + more} evaluations of the net, got {steps}"):
            draw()
        return
    draw()
    assert steps - each < len(asked) <= steps
    assert (visited[0][0], visited[0][-1]) == (1000, 0)


def test_what_is_not_asked_for_is_as_the_recipe_says():
    asked = []
    sample(DIGITS, lambda x, t: asked.append(int(t)) or x, 1)
    assert len(asked) == 100 and asked[0] == 1000  # of the recipe, on its grid
    asked.clear()
    sample(DIGITS, lambda x, t: asked.append(int(t)) or x, 1, steps=4, grid=lambda path, n: torch.tensor([900, 7, 0]))
    assert asked == [900, 7]


def test_a_wrapper_is_inside_clipping():
    seen = []

    def far(denoiser):
        def denoise(x, t, **cond):
            x0, eps = denoiser(x, t, **cond)
            seen.append(x0)
            return 50 * x0, eps
        return denoise
    plain, wrapped = sample(DIGITS, third, 4, steps=5), sample(DIGITS, third, 4, steps=5, wrap=far)
    assert max(float(x0.abs().max()) for x0 in seen) > 2  # what it wraps was not clipped yet
    assert wrapped.abs().max() == 1 and not torch.equal(plain, wrapped)
    assert torch.equal(sample(DIGITS, third, 4, steps=5, wrap=lambda denoiser: denoiser), plain)


def test_a_draw_without_clipping_is_not_clipped():
    free = replace(DIGITS, draw=lambda config: replace(RECIPE.draw(config), clip=False))
    assert sample(free, third, 4, steps=5).abs().max() > 1


def test_progress_goes_around_the_batches():
    seen = []

    def progress(batches):
        for first in batches:
            seen.append(first)
            yield first
    sample(DIGITS, third, 7, steps=2, batch=3, progress=progress)
    assert seen == [0, 3, 6]


@pytest.mark.parametrize("wrong, said", [
    ({"n": 0}, "n and batch must be at least 1, got 0 and 250"), ({"batch": 0}, "got 1 and 0"),
    ({"steps": -3}, "one step takes 1 evaluations of the net, got -3"), ({"steps": 1001}, r"1\.\.1000")], ids=str)
def test_sample_says_what_it_wants(wrong, said):
    with pytest.raises(ValueError, match=said):
        sample(DIGITS, third, **{"n": 1} | wrong)


def test_a_condition_that_the_recipe_does_not_know_is_refused():
    with pytest.raises(ValueError, match="takes no condition, asked for was label"):
        sample(DIGITS, third, 1, label=3)


def test_a_recipe_that_draws_nothing_says_so():
    with pytest.raises(ValueError, match="mnist-classifier draws no pictures"):
        sample(mnist_classifier.RECIPE, third, 1)


def test_pictures_that_are_not_finite_are_refused():
    free = replace(DIGITS, draw=lambda config: replace(RECIPE.draw(config), clip=False))
    with pytest.raises(ValueError, match="not finite"):
        sample(free, lambda x, t: x * float("nan"), 1, steps=2)


def test_a_walk_leaves_the_callers_gradients_on_and_has_none():
    weight = torch.nn.Parameter(torch.tensor(0.3))
    assert not sample(DIGITS, lambda x, t: weight * x, 2, steps=2).requires_grad and torch.is_grad_enabled()
