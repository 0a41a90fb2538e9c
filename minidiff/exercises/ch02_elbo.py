"""The exercise of chapter 02 about the terms of the ELBO, and the numbers of its experiment."""

import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.exercises.ch02 import T, a_table, grey
from minidiff.exercises.core import Case, Exercise
from minidiff.exercises.numbers import Numbers
from minidiff.process.elbo import elbo_terms, kl_gauss
from minidiff.process.posterior import posterior_variance
from minidiff.process.schedules import alpha_bar_of, linear_betas


def elbo_inputs(*shape):
    return lambda g: (grey(g, *shape), a_table(g), int(torch.randint(10_000, (1,), generator=g)))


def blind(x_t, t):
    """A denoiser that looks only at the clock: with it, no term depends on the draw."""
    return torch.zeros_like(x_t) + 0.5 * torch.sin(t.to(x_t)).reshape(-1, *[1] * (x_t.ndim - 1))


def terms_of(fn, x0, alpha_bar, seed, denoiser=blind, **kwargs):
    return fn(denoiser, x0, alpha_bar, torch.Generator().manual_seed(seed), **kwargs)


def one_entry(pick, **kwargs):
    return lambda fn, x0, alpha_bar, seed: terms_of(fn, x0, alpha_bar, seed, **kwargs)[pick]


def what_the_denoiser_sees(fn, x0, alpha_bar, seed):
    """Mean and mean square of the noise in every x_t, and the times, in the order of t."""
    seen = {}

    def watch(x_t, t):
        a = alpha_bar[int(t[0])]
        eps = (x_t.double() - a.sqrt() * x0) / (1 - a).sqrt()
        seen[int(t[0])] = torch.stack([eps.mean(), eps.square().mean()])
        return blind(x_t, t)

    terms_of(fn, x0, alpha_bar, seed, denoiser=watch)
    return sorted(seen), torch.stack([seen[t] for t in sorted(seen)])


def bold(x_t, t):
    """A denoiser whose pictures leave the range of grey values."""
    return 4 * blind(x_t, t)


def noise_of_every_step(fn, x0, alpha_bar, seed):
    """Whether two of the noises that the denoiser sees, at different t, are alike."""
    seen = []

    def watch(x_t, t):
        a = alpha_bar[int(t[0])]
        seen.append(((x_t.double() - a.sqrt() * x0) / (1 - a).sqrt()).flatten())
        return blind(x_t, t)

    terms_of(fn, x0, alpha_bar, seed, denoiser=watch)
    alike = torch.corrcoef(torch.stack(seen)).abs() - torch.eye(len(seen))
    return bool(alike.max() > 0.5)


def draws_from_its_generator(fn, x0, alpha_bar, seed):
    first, again, other = (terms_of(fn, x0, alpha_bar, k, lambda x_t, t: x_t / 2) for k in (seed, seed, seed + 1))
    return bool((first == again).all()), bool((first == other).all())


ELBO_TERMS = Exercise(
    id="ch02.elbo_terms", title="every term of the bound", reference=elbo_terms, points=5, minutes=30,
    difficulty="hard", cases=(
        Case("entries 1..T-1 are the step KLs", elbo_inputs(5, 1, 5, 5), drive=one_entry(slice(1, -1)),
             hint="entry t - 1 belongs to step t; step_kl gives nats per pixel, of which you want the mean",
             central=True),
        Case("entry 0 is the decoder's, with its own std", elbo_inputs(3, 1, 6, 6), drive=one_entry(0),
             hint="at t = 1 the term is -discretized_loglik, at std sqrt(beta_1) = sqrt(1 - alpha_bar[1])",
             central=True),
        Case("entry 0 takes another decoder_std", elbo_inputs(2, 1, 4, 4), drive=one_entry(0, decoder_std=0.3)),
        Case("entry T is the prior's", elbo_inputs(4, 1, 4, 4), drive=one_entry(-1),
             hint="prior_kl of chapter 01, at alpha_bar[T]", central=True),
        Case("shows the denoiser x_t of every t in 1..T", elbo_inputs(50, 1, 20, 20), drive=what_the_denoiser_sees,
             expect=lambda x0, alpha_bar, seed: (list(range(1, T + 1)), torch.tensor([[0.0, 1.0]] * T).double()),
             rtol=0, atol=0.06, hint="x_t = q_sample(x0, times, eps, alpha_bar), times a (B,) tensor full of t",
             central=True),
        Case("draws fresh noise for every step", elbo_inputs(4, 1, 12, 12), drive=noise_of_every_step,
             expect=lambda *given: False, hint="torch.randn(...) inside of the loop: one noise for all t is one draw",
             central=True),
        Case("takes the denoiser's picture as it is", elbo_inputs(3, 1, 4, 4), drive=lambda fn, *given: terms_of(
            fn, *given, denoiser=bold)[1:-1], hint="no clamp: the bound is about what the net says"),
        Case("draws its noise from the generator", elbo_inputs(2, 1, 4, 4), drive=draws_from_its_generator,
             expect=lambda *given: (True, False), hint="torch.randn(x0.shape, generator=generator, dtype=x0.dtype)"),
        Case("gives (T + 1,) numbers in float64, for float32 pictures too",
             lambda g: (grey(g, 1, 3, 4, 4).float(), a_table(g), 0), drive=terms_of, kind="shape", rtol=1e-4),
    ),
    hints=("A loop over t = 1..T: noise x0 to t, ask predict for x0_hat, store the mean of the term in entry t - 1.",
           "t = 1 is the decoder's: -discretized_loglik(x0, x0_hat, std). All others: step_kl of x0 and x0_hat.",
           "After the loop entry T is prior_kl(x0, alpha_bar[T]).mean()."),
)


def gap_with_beta(T):
    """The gap of DDPM's line in nats, if the model's steps have the variance beta_t, for data N(-0.3, 0.25)."""
    world, t = Gaussian(mean=-0.3, variance=0.25), torch.arange(2, T + 1)
    a = alpha_bar_of(linear_betas(T, 0.1 / T, 20 / T))
    terms, variance = world.elbo_terms(a), posterior_variance(t, a)
    kl = kl_gauss(0, variance, (2 * variance * terms[1:-1]).sqrt(), 1 - a[2:] / a[1:-1])
    return float(terms[[0, -1]].sum() + kl.sum() - world.entropy())


NUMBERS = (Numbers("ch02.experiment_variance", lambda: {T: gap_with_beta(T) for T in (500, 1000)}, rtol=0.05),)
EXERCISES = (ELBO_TERMS,)
