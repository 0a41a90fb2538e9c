"""Cases of chapter 02 that only the grader runs."""

import torch

from minidiff.exercises.ch02 import bins_sum, gaussians, grey, noised_at, normal, posterior_inputs
from minidiff.exercises.ch02_elbo import blind, terms_of
from minidiff.exercises.core import Case


def long_table(generator, T):
    """A random table alpha_bar (T + 1,) of another length than the public cases have."""
    betas = 0.01 + 0.1 * torch.rand(T, generator=generator, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])


def far_back(generator):
    """Points of the plane, one t and one earlier s for all."""
    t, s = 45, int(torch.randint(1, 44, (), generator=generator))
    return normal(generator, 5, 2), normal(generator, 5, 2), t, long_table(generator, 50), s


def clean(generator):
    x_t = normal(generator, 4, 3)
    return x_t, torch.zeros(4, dtype=torch.int64), normal(generator, 4, 3), long_table(generator, 9)


def one_pixel(generator, levels, n=7):
    std = 0.05 + 2 * torch.rand(n, generator=generator, dtype=torch.float64)
    return 2 * normal(generator, n), std, levels


def bounded(generator, T, *shape):
    return grey(generator, *shape), long_table(generator, T), int(torch.randint(10_000, (1,), generator=generator))


HIDDEN = {
    "ch02.posterior": (
        Case("steps far back, one t and one s for all", far_back),
        Case("works for clips (B, F, C, H, W)", posterior_inputs(3, 2, 3, 4, 3)),
    ),
    "ch02.predict_x0": (
        Case("gives x_t back at t = 0", clean, expect=lambda x_t, t, eps, alpha_bar: x_t),
        Case("works for points, as many as they have coordinates", noised_at(5, 5)),
    ),
    "ch02.kl_gauss": (
        Case("broadcasts: one mean and one variance for a whole batch", lambda g: (
            normal(g, 3, 2, 4, 4), torch.rand((), generator=g).double() + 0.1, normal(g, 1)[0],
            torch.tensor(0.7).double())),
        Case("is right for variances of very different size", lambda g: (
            *gaussians(6)(g)[:2], normal(g, 6), torch.logspace(-4, 4, 6, dtype=torch.float64))),
    ),
    "ch02.discretized_loglik": (
        Case("the 16 bins of a pixel sum to 1", lambda g: one_pixel(g, 16), bins_sum,
             expect=lambda mean, std, levels: torch.ones_like(mean), rtol=1e-5, atol=1e-6),
        Case("is right for colour pictures and one std for each channel", lambda g: (
            grey(g, 2, 3, 5, 4), normal(g, 2, 3, 5, 4) / 2, 0.05 + torch.rand(1, 3, 1, 1, generator=g).double())),
    ),
    "ch02.elbo_terms": (
        Case("gives every term for another number of steps", lambda g: bounded(g, 11, 3, 3, 4, 5), terms_of),
        Case("gives every term for points, with a decoder_std", lambda g: bounded(g, 26, 6, 2),
             lambda fn, *given: terms_of(fn, *given, denoiser=lambda x_t, t: 0.9 * blind(x_t, t), decoder_std=0.2)),
    ),
}
