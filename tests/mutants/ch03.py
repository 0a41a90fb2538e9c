"""Wrong and right answers to the exercises of chapter 03 on scores and walks; on training in ch03_training."""

import torch

from minidiff.evaluation.mixture import gmm_log_parts
from minidiff.process.forward import expand_like
from tests.mutants import alternative, mutant


# --- gmm_score ------------------------------------------------------------------------------------------------------

@mutant("ch03.gmm_score")
def points_away_from_the_means(x, weights, means, stds):
    share = torch.softmax(gmm_log_parts(x, weights, means, stds), dim=-1)
    return (share[..., None] * (x[..., None, :] - means) / stds[..., None] ** 2).sum(dim=-2)


@mutant("ch03.gmm_score")
def divides_by_the_standard_deviation(x, weights, means, stds):
    share = torch.softmax(gmm_log_parts(x, weights, means, stds), dim=-1)
    return (share[..., None] * (means - x[..., None, :]) / stds[..., None]).sum(dim=-2)


@mutant("ch03.gmm_score")
def shares_are_the_weights(x, weights, means, stds):
    return (weights[:, None] * (means - x[..., None, :]) / stds[..., None] ** 2).sum(dim=-2)


@mutant("ch03.gmm_score")
def forgets_the_weights(x, weights, means, stds):
    share = torch.softmax(gmm_log_parts(x, weights, means, stds) - weights.log(), dim=-1)
    return (share[..., None] * (means - x[..., None, :]) / stds[..., None] ** 2).sum(dim=-2)


@mutant("ch03.gmm_score")
def gradient_of_the_density(x, weights, means, stds):
    part = gmm_log_parts(x, weights, means, stds).exp()
    return (part[..., None] * (means - x[..., None, :]) / stds[..., None] ** 2).sum(dim=-2)


@mutant("ch03.gmm_score")
def divides_zero_by_zero_far_away(x, weights, means, stds):
    part = gmm_log_parts(x, weights, means, stds).exp()
    share = part / part.sum(dim=-1, keepdim=True)
    return (share[..., None] * (means - x[..., None, :]) / stds[..., None] ** 2).sum(dim=-2)


@mutant("ch03.gmm_score")
def softmax_over_the_points(x, weights, means, stds):
    share = torch.softmax(gmm_log_parts(x, weights, means, stds), dim=0)
    return (share[..., None] * (means - x[..., None, :]) / stds[..., None] ** 2).sum(dim=-2)


@mutant("ch03.gmm_score")
def takes_the_nearest_part_alone(x, weights, means, stds):
    share = gmm_log_parts(x, weights, means, stds)
    share = (share == share.amax(dim=-1, keepdim=True)).to(x)
    return (share[..., None] * (means - x[..., None, :]) / stds[..., None] ** 2).sum(dim=-2)


@alternative("ch03.gmm_score")
def by_einsum(x, weights, means, stds):
    log_parts = gmm_log_parts(x, weights, means, stds)
    share = (log_parts - torch.logsumexp(log_parts, dim=-1, keepdim=True)).exp()
    return torch.einsum("bk,bkd->bd", share / stds**2, means - x[:, None])


@alternative("ch03.gmm_score")
def by_autograd(x, weights, means, stds):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(torch.logsumexp(gmm_log_parts(x, weights, means, stds), dim=-1).sum(), x)[0]


# --- tweedie --------------------------------------------------------------------------------------------------------

@mutant("ch03.tweedie")
def standard_deviation_times_score(x_t, score, t, path):
    a = expand_like(path.alpha_bar[t], x_t)
    return (x_t + (1 - a).sqrt() * score) / a.sqrt()


@mutant("ch03.tweedie")
def takes_the_score_for_the_noise(x_t, score, t, path):
    a = expand_like(path.alpha_bar[t], x_t)
    return (x_t - (1 - a).sqrt() * score) / a.sqrt()


@mutant("ch03.tweedie")
def forgets_to_scale_back(x_t, score, t, path):
    return x_t + (1 - expand_like(path.alpha_bar[t], x_t)) * score


@mutant("ch03.tweedie")
def divides_by_alpha_bar(x_t, score, t, path):
    a = expand_like(path.alpha_bar[t], x_t)
    return (x_t + (1 - a) * score) / a


@mutant("ch03.tweedie")
def scales_the_point_alone(x_t, score, t, path):
    a = expand_like(path.alpha_bar[t], x_t)
    return x_t / a.sqrt() + (1 - a) * score


@mutant("ch03.tweedie")
def one_step_for_all_points(x_t, score, t, path):
    a = path.alpha_bar[t].reshape(-1)[0].to(x_t)
    return (x_t + (1 - a) * score) / a.sqrt()


@mutant("ch03.tweedie")
def steps_along_the_width(x_t, score, t, path):
    a = path.alpha_bar[t].to(x_t)
    return (x_t + (1 - a) * score) / a.sqrt()


@alternative("ch03.tweedie")
def by_the_noise(x_t, score, t, path):
    a = expand_like(path.alpha_bar[t], x_t)
    eps = -(1 - a).sqrt() * score
    return x_t * a.rsqrt() - eps * (1 / a - 1).sqrt()


@alternative("ch03.tweedie")
def by_a_view(x_t, score, t, path):
    a = path.alpha_bar[torch.as_tensor(t)].to(x_t).reshape(-1, *[1] * (x_t.ndim - 1))
    return torch.addcmul(x_t, 1 - a, score).div(torch.sqrt(a))


# --- langevin -------------------------------------------------------------------------------------------------------

@mutant("ch03.langevin")
def root_of_h_alone(score, x, step_size, steps, generator):
    for _ in range(steps):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step_size * score(x) + step_size**0.5 * z
        yield x


@mutant("ch03.langevin")
def walks_downhill(score, x, step_size, steps, generator):
    for _ in range(steps):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x - step_size * score(x) + (2 * step_size) ** 0.5 * z
        yield x


@mutant("ch03.langevin")
def without_noise(score, x, step_size, steps, generator):
    for _ in range(steps):
        x = x + step_size * score(x)
        yield x


@mutant("ch03.langevin")
def variance_instead_of_standard_deviation(score, x, step_size, steps, generator):
    for _ in range(steps):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step_size * score(x) + 2 * step_size * z
        yield x


@mutant("ch03.langevin")
def one_noise_for_the_whole_walk(score, x, step_size, steps, generator):
    z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    for _ in range(steps):
        x = x + step_size * score(x) + (2 * step_size) ** 0.5 * z
        yield x


@mutant("ch03.langevin")
def score_of_the_start(score, x, step_size, steps, generator):
    force = score(x)
    for _ in range(steps):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step_size * force + (2 * step_size) ** 0.5 * z
        yield x


@mutant("ch03.langevin")
def yields_before_the_step(score, x, step_size, steps, generator):
    for _ in range(steps):
        yield x
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step_size * score(x) + (2 * step_size) ** 0.5 * z


@mutant("ch03.langevin")
def one_step_too_many(score, x, step_size, steps, generator):
    for _ in range(steps + 1):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step_size * score(x) + (2 * step_size) ** 0.5 * z
        yield x


@mutant("ch03.langevin")
def ignores_the_generator(score, x, step_size, steps, generator):
    for _ in range(steps):
        x = x + step_size * score(x) + (2 * step_size) ** 0.5 * torch.randn_like(x)
        yield x


@mutant("ch03.langevin")
def returns_the_end_alone(score, x, step_size, steps, generator):
    for _ in range(steps):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step_size * score(x) + (2 * step_size) ** 0.5 * z
    return x


@mutant("ch03.langevin")
def returns_a_list(score, x, step_size, steps, generator):
    states = [x]
    while len(states) <= steps:
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        states.append(torch.add(states[-1], score(states[-1]), alpha=step_size).add(z, alpha=(2 * step_size) ** 0.5))
    return states[1:]


@mutant("ch03.langevin")
def walks_to_the_end_before_it_yields(score, x, step_size, steps, generator):
    yield from returns_a_list(score, x, step_size, steps, generator)


@alternative("ch03.langevin")
def by_recursion(score, x, step_size, steps, generator):
    if steps:
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = torch.add(x, score(x), alpha=step_size).add(z, alpha=(2 * step_size) ** 0.5)
        yield x
        yield from by_recursion(score, x, step_size, steps - 1, generator)


@alternative("ch03.langevin")
def noise_first(score, x, step_size, steps, generator):
    for _ in range(steps):
        kick = torch.randn(*x.shape, generator=generator, dtype=x.dtype).mul_((2 * step_size) ** 0.5)
        x = kick + x + score(x) * step_size
        yield x
