"""Wrong and right answers of chapter 04 on walks: the way up of the U-Net, and the ancestral walk."""

import torch

from minidiff.models.layers import Upsample
from minidiff.process.forward import expand_like
from minidiff.process.posterior import posterior
from minidiff.samplers.step import ddim_step
from tests.mutants import alternative, mutant


def climb(layers, h, skips, vector, context, take, join=lambda h, skip: torch.cat([h, skip], dim=1)):
    """A way up that takes the next skip by take(skips, h)."""
    skips = list(skips)
    for layer in layers:
        if isinstance(layer, Upsample):
            h = layer(h, size=next(s.shape[-2:] for s in reversed(skips) if s.shape[-1] > h.shape[-1]))
        else:
            h = layer(join(h, take(skips, h)), vector, context)
    return h


@mutant("ch04.walk_up")
def first_of_the_level(layers, h, skips, vector, context=None):
    def take(skips, h):
        return skips.pop(next(i for i, s in enumerate(skips) if s.shape[-1] == h.shape[-1]))
    return climb(layers, h, skips, vector, context, take)


@mutant("ch04.walk_up")
def first_in_first_out(layers, h, skips, vector, context=None):
    return climb(layers, h, skips, vector, context, lambda skips, h: skips.pop(0))


@mutant("ch04.walk_up")
def always_the_last_one(layers, h, skips, vector, context=None):
    return climb(layers, h, skips, vector, context,
                 lambda skips, h: [s for s in skips if s.shape[-1] == h.shape[-1]][-1])


@mutant("ch04.walk_up")
def skip_before_h(layers, h, skips, vector, context=None):
    return climb(layers, h, skips, vector, context, lambda skips, h: skips.pop(),
                 lambda h, skip: torch.cat([skip, h], dim=1))


@mutant("ch04.walk_up")
def without_context(layers, h, skips, vector, context=None):
    return climb(layers, h, skips, vector, None, lambda skips, h: skips.pop())


@mutant("ch04.walk_up")
def doubles_instead_of_meeting_the_skip(layers, h, skips, vector, context=None):
    skips = list(skips)
    for layer in layers:
        if isinstance(layer, Upsample):
            h = layer(h, size=(2 * h.shape[-2], 2 * h.shape[-1]))
        else:
            h = layer(torch.cat([h, skips.pop()], dim=1), vector, context)
    return h


@mutant("ch04.walk_up")
def empties_the_callers_list(layers, h, skips, vector, context=None):
    for layer in layers:
        if isinstance(layer, Upsample):
            h = layer(h, size=skips[-1].shape[-2:])
        else:
            h = layer(torch.cat([h, skips.pop()], dim=1), vector, context)
    return h


@alternative("ch04.walk_up")
def by_an_iterator(layers, h, skips, vector, context=None):
    coming = iter(skips[::-1])
    skip = next(coming)
    for layer in layers:
        if isinstance(layer, Upsample):
            h = layer(h, size=tuple(skip.shape[2:]))
        else:
            h = layer(torch.hstack([h, skip]), vector, context)
            skip = next(coming, None)
    return h


@alternative("ch04.walk_up")
def by_an_index(layers, h, skips, vector, context=None):
    left = len(skips)
    for layer in layers:
        if isinstance(layer, Upsample):
            h = layer(h, skips[left - 1].shape[-2:])
        else:
            left -= 1
            h = layer(torch.cat((h, skips[left]), 1), vector, context)
    return h


def stroll(denoiser, x, times, path, generator, eta=1.0, clean=lambda x0, x: x0, kept=lambda x0, eps: eps):
    """The walk with its parts open to change."""
    with torch.no_grad():
        for t, s in zip(times[:-1], times[1:]):
            x0, eps = denoiser(x, t)
            x = ddim_step(clean(x0, x), kept(x0, eps), t, s, path, eta=eta, generator=generator)
            yield int(s), x, x0


@mutant("ch04.ancestral")
def without_noise(denoiser, x, times, path, generator):
    yield from stroll(denoiser, x, times, path, generator, eta=0.0)


@mutant("ch04.ancestral")
def noise_in_the_last_step(denoiser, x, times, path, generator):
    for s, x, x0 in stroll(denoiser, x, times, path, generator):
        if s == 0:
            x = x + 0.1 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        yield s, x, x0


@mutant("ch04.ancestral")
def draws_for_the_last_step_too(denoiser, x, times, path, generator):
    for s, x, x0 in stroll(denoiser, x, times, path, generator):
        if s == 0:
            torch.randn(x.shape, generator=generator, dtype=x.dtype)
        yield s, x, x0


@mutant("ch04.ancestral")
@torch.no_grad()
def previous_step_is_always_t_minus_one(denoiser, x, times, path, generator):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        x = ddim_step(x0, eps, t, t - 1, path, eta=1.0, generator=generator)
        yield int(s), x, x0


@mutant("ch04.ancestral")
@torch.no_grad()
def asks_at_the_time_of_arrival(denoiser, x, times, path, generator):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, s.clamp(min=1))
        x = ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator)
        yield int(s), x, x0


@mutant("ch04.ancestral")
@torch.no_grad()
def forgets_to_go_on_from_x_s(denoiser, x, times, path, generator):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        yield int(s), ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator), x0


@mutant("ch04.ancestral")
def yields_t_instead_of_s(denoiser, x, times, path, generator):
    for t, (_, x, x0) in zip(times, stroll(denoiser, x, times, path, generator)):
        yield int(t), x, x0


@mutant("ch04.ancestral")
def keeps_gradients(denoiser, x, times, path, generator):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        x = ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator)
        yield int(s), x, x0


@mutant("ch04.ancestral")
@torch.no_grad()
def posterior_with_the_variance_as_spread(denoiser, x, times, path, generator):
    alpha_bar = path.alpha(torch.arange(path.T + 1)) ** 2
    for t, s in zip(times[:-1], times[1:]):
        x0, _ = denoiser(x, t)
        x, variance = posterior(x, x0, t, alpha_bar, s)
        if s > 0:
            x = x + variance * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        yield int(s), x, x0


@mutant("ch04.ancestral")
def returns_a_list(denoiser, x, times, path, generator):
    return list(stroll(denoiser, x, times, path, generator))


@mutant("ch04.ancestral")
@torch.no_grad()
def formula_with_a_draw_times_zero_at_the_end(denoiser, x, times, path, generator):
    for t, s in zip(times[:-1], times[1:]):
        x0, eps = denoiser(x, t)
        alpha_t, sigma_t, alpha_s, sigma_s = path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s)
        q = sigma_s / sigma_t * (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2).sqrt()
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = alpha_s * x0 + (sigma_s**2 - q**2).sqrt() * eps + q * z
        yield int(s), x, x0


@alternative("ch04.ancestral")
@torch.no_grad()
def by_the_posterior_of_chapter_two(denoiser, x, times, path, generator):
    alpha_bar = path.alpha(torch.arange(path.T + 1)) ** 2
    for t, s in zip(times[:-1], times[1:]):
        x0, _ = denoiser(x, t)
        x, variance = posterior(x, x0, t, alpha_bar, s)
        if s > 0:
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
            x = x + expand_like(variance.sqrt(), x) * noise
        yield int(s), x, x0


@alternative("ch04.ancestral")
def with_a_while_loop(denoiser, x, times, path, generator):
    left = [int(t) for t in times]
    with torch.no_grad():
        while len(left) > 1:
            t, s = torch.tensor(left.pop(0)), torch.tensor(left[0])
            x0, eps = denoiser(x, t)
            x = ddim_step(x0, eps, t, s, path, generator=generator)
            yield left[0], x, x0
