"""Answers to chapter 10 that show only near a special weight, at a second question, or in what stays of x."""

import torch

from minidiff.process.guidance import autoguided, cfg, interval
from minidiff.process.likelihood_guidance import moved
from minidiff.process.views import averaged
from tests.mutants import alternative, mutant
from tests.mutants.ch10 import combined, weight_at

# --- classifier_guided, reconstruction_guided -----------------------------------------------------------------------


@mutant("ch10.classifier_guided")
def asks_x_itself_for_a_gradient(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        _, eps = denoiser(x, t, **cond)
        with torch.enable_grad():
            x.requires_grad_()
            gradient, = torch.autograd.grad(log_prob(x, t).sum(), x)
        return moved(x, eps, gradient, t, path, scale)
    return denoise


@mutant("ch10.classifier_guided")
def clamps_the_gradient(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        _, eps = denoiser(x, t, **cond)
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            gradient, = torch.autograd.grad(log_prob(seen, t).sum(), seen)
        return moved(x, eps, gradient.clamp(-1, 1), t, path, scale)
    return denoise


@mutant("ch10.classifier_guided")
def counts_the_scale_twice(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        _, eps = denoiser(x, t, **cond)
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            gradient, = torch.autograd.grad(scale * log_prob(seen, t).sum(), seen)
        return moved(x, eps, gradient, t, path, scale)
    return denoise


@alternative("ch10.classifier_guided")
def picture_by_picture(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        _, eps = denoiser(x, t, **cond)
        gradients = []
        with torch.enable_grad():
            for k in range(len(x)):
                seen = x[k:k + 1].detach().requires_grad_()
                gradients += torch.autograd.grad(log_prob(seen, t if t.ndim == 0 else t[k:k + 1])[0], seen)
        return list(moved(x, eps, torch.cat(gradients), t, path, scale))
    return denoise


@mutant("ch10.reconstruction_guided")
def reads_x_itself(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        with torch.enable_grad():
            x.requires_grad_()
            x0, eps = denoiser(x, t, **cond)
            gradient, = torch.autograd.grad(log_likelihood(x0, t).sum(), x)
        return moved(x.detach(), eps.detach(), gradient, t, path, scale)
    return denoise


@alternative("ch10.reconstruction_guided")
def by_the_chain_rule(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            x0, eps = denoiser(seen, t, **cond)
            guess = x0.detach().requires_grad_()
            pull, = torch.autograd.grad(log_likelihood(guess, t).sum(), guess)
            gradient, = torch.autograd.grad(x0, seen, pull)
        return moved(x, eps.detach(), gradient, t, path, scale)
    return denoise


# --- cfg ------------------------------------------------------------------------------------------------------------

@mutant("ch10.cfg")
def between_0_and_1_is_the_condition(denoiser, w, null):
    def denoise(x, t, **cond):
        weight = weight_at(w, t)
        return cfg(denoiser, 1 if 0 < weight <= 1 else weight, null)(x, t, **cond)
    return denoise


@mutant("ch10.cfg")
def nearly_1_is_1(denoiser, w, null):
    def denoise(x, t, **cond):
        weight = weight_at(w, t)
        return cfg(denoiser, round(weight) if abs(weight - round(weight)) < 0.05 else weight, null)(x, t, **cond)
    return denoise


@mutant("ch10.cfg")
def asks_once_for_numbers_alone(denoiser, w, null):
    return combined(lambda c, u, w: u + w * (c - u), early=not callable(w))(denoiser, w, null)


@mutant("ch10.cfg")
def remembers_its_first_weight(denoiser, w, null):
    first = []

    def denoise(x, t, **cond):
        first.append(weight_at(w, t))
        return cfg(denoiser, first[0], null)(x, t, **cond)
    return denoise


@alternative("ch10.cfg")
def both_in_one_batch(denoiser, w, null):
    def denoise(x, t, **cond):
        weight, free = weight_at(w, t), null(cond)
        if weight in (0, 1):
            return denoiser(x, t, **(cond if weight else free))
        pair = denoiser(torch.cat([x, x]), t, **{name: torch.cat([free[name], cond[name]]) for name in cond})
        return [u + weight * (c - u) for u, c in (side.chunk(2) for side in pair)]
    return denoise


# --- interval -------------------------------------------------------------------------------------------------------

@mutant("ch10.interval")
def lets_an_empty_one_pass(w, low, high):
    return interval(w, low, high) if low != high else lambda t: w if float(t) == low else 1.0


@mutant("ch10.interval")
def complains_when_it_is_used(w, low, high):
    return lambda t: interval(w, low, high)(t)


@mutant("ch10.interval")
def half_open(w, low, high):
    if not low < high:
        raise ValueError(f"low {low} must be below high {high}")
    return lambda t: w if low <= float(t) < high else 1.0


@alternative("ch10.interval")
def with_an_error_of_its_own(w, low, high):
    class UpsideDown(ValueError):
        pass

    if low >= high:
        raise UpsideDown(f"{low} is not below {high}")
    return lambda t: torch.where((torch.as_tensor(t) >= low) & (torch.as_tensor(t) <= high),
                                 torch.tensor(w, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))


# --- autoguided -----------------------------------------------------------------------------------------------------

@mutant("ch10.autoguided")
def nearly_1_is_the_better(denoiser, worse, w):
    return autoguided(denoiser, worse, 1 if abs(w - 1) < 0.05 else w)


@mutant("ch10.autoguided")
def never_below_0(denoiser, worse, w):
    return autoguided(denoiser, worse, abs(w))


@alternative("ch10.autoguided")
def asks_one_alone_where_one_will_do(denoiser, worse, w):
    return {0: worse, 1: denoiser}.get(w) or autoguided(denoiser, worse, w)


# --- averaged -------------------------------------------------------------------------------------------------------

@mutant("ch10.averaged")
def refuses_too_few_alone(denoisers, views):
    if len(views) < len(denoisers):
        raise ValueError(f"{len(denoisers)} denoisers, {len(views)} views")
    return averaged(denoisers, views[:len(denoisers)])


@mutant("ch10.averaged")
def compares_when_it_is_asked(denoisers, views):
    return lambda x, t, **cond: averaged(denoisers, views)(x, t, **cond)


@mutant("ch10.averaged")
def used_up_after_one_question(denoisers, views):
    averaged(denoisers, views)
    pairs = zip(denoisers, views)

    def denoise(x, t, **cond):
        answers = [tuple(map(back, ask(there(x), t, **cond))) for ask, (there, back) in pairs]
        return tuple(torch.stack(side).mean(dim=0) for side in zip(*answers))
    return denoise


@mutant("ch10.averaged")
def goes_on_adding(denoisers, views):
    averaged(denoisers, views)
    total = [0, 0]

    def denoise(x, t, **cond):
        for ask, (there, back) in zip(denoisers, views):
            for k, side in enumerate(ask(there(x), t, **cond)):
                total[k] = total[k] + back(side) / len(views)
        return tuple(total)
    return denoise


@alternative("ch10.averaged")
def by_a_strict_zip(denoisers, views):
    pairs = list(zip(denoisers, views, strict=True))

    def denoise(x, t, **cond):
        answers = torch.stack([torch.stack([back(side) for side in ask(there(x), t, **cond)])
                               for ask, (there, back) in pairs])
        return answers.mean(dim=0).unbind()
    return denoise
