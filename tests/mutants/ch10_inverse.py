"""Wrong and right answers to the exercises of chapter 10 about measurements and views."""

import torch

from minidiff.process.likelihood_guidance import moved
from minidiff.process.views import averaged
from tests.mutants import alternative, mutant


# --- reconstruction_guided ------------------------------------------------------------------------------------------

def slope(denoiser, log_likelihood, x, t, cond, total=torch.sum):
    """The gradient through the denoiser, and the pair beside it."""
    with torch.enable_grad():
        seen = x.detach().requires_grad_()
        x0, eps = denoiser(seen, t, **cond)
        gradient, = torch.autograd.grad(total(log_likelihood(x0, t)), seen)
    return gradient, x0.detach(), eps.detach()


@mutant("ch10.reconstruction_guided")
def gradient_stops_at_the_picture(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        x0, eps = denoiser(x, t, **cond)
        with torch.enable_grad():
            x0 = x0.detach().requires_grad_()
            gradient, = torch.autograd.grad(log_likelihood(x0, t).sum(), x0)
        return moved(x, eps, gradient, t, path, scale)
    return denoise


@mutant("ch10.reconstruction_guided")
def measures_the_noisy_picture(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, _ = slope(lambda x, t: (x, x), log_likelihood, x, t, {})
        return moved(x, denoiser(x, t, **cond)[1], gradient, t, path, scale)
    return denoise


@mutant("ch10.reconstruction_guided")
def pushes_away(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, eps = slope(denoiser, log_likelihood, x, t, cond)
        return moved(x, eps, -gradient, t, path, scale)
    return denoise


@mutant("ch10.reconstruction_guided")
def a_gradient_in_half_the_precision(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, eps = slope(denoiser, log_likelihood, x, t, cond)
        return moved(x, eps, gradient.float().to(x), t, path, scale)
    return denoise


@mutant("ch10.reconstruction_guided")
def mean_over_the_batch(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, eps = slope(denoiser, log_likelihood, x, t, cond, torch.mean)
        return moved(x, eps, gradient, t, path, scale)
    return denoise


@mutant("ch10.reconstruction_guided")
def moves_the_picture_and_keeps_the_noise(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, eps = slope(denoiser, log_likelihood, x, t, cond)
        return moved(x, eps, gradient, t, path, scale)[0], eps
    return denoise


@mutant("ch10.reconstruction_guided")
def adds_the_gradient_to_the_picture(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, x0, _ = slope(denoiser, log_likelihood, x, t, cond)
        alpha, sigma = path.at(t, x)
        x0 = x0 + scale * gradient
        return x0, (x - alpha * x0) / sigma
    return denoise


@mutant("ch10.reconstruction_guided")
def forgets_the_scale(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, eps = slope(denoiser, log_likelihood, x, t, cond)
        return moved(x, eps, gradient, t, path, 1.0)
    return denoise


@mutant("ch10.reconstruction_guided")
def forgets_the_label(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, _, eps = slope(denoiser, log_likelihood, x, t, {})
        return moved(x, eps, gradient, t, path, scale)
    return denoise


@mutant("ch10.reconstruction_guided")
def keeps_the_graph(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            x0, eps = denoiser(seen, t, **cond)
            gradient, = torch.autograd.grad(log_likelihood(x0, t).sum(), seen, retain_graph=True)
            return moved(x, eps, gradient, t, path, scale)
    return denoise


@alternative("ch10.reconstruction_guided")
def by_backward(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        with torch.enable_grad():
            leaf = x.clone().requires_grad_(True)
            x0, eps = denoiser(leaf, t, **cond)
            log_likelihood(x0, t).sum().backward()
        alpha, sigma = path.at(t, x)
        eps = eps.detach() - scale * sigma * leaf.grad
        return (x - sigma * eps) / alpha, eps
    return denoise


@alternative("ch10.reconstruction_guided")
def by_the_shift_of_the_picture(denoiser, log_likelihood, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient, x0, _ = slope(denoiser, log_likelihood, x, t, cond)
        alpha, sigma = path.at(t, x)
        x0 = x0 + scale * sigma**2 / alpha * gradient
        return x0, (x - alpha * x0) / sigma
    return denoise


# --- averaged -------------------------------------------------------------------------------------------------------

def whole(denoisers, views):
    if len(denoisers) != len(views):
        raise ValueError("a view for each")


def brought_back(denoisers, views, x, t, cond):
    return [[back(side) for side in ask(there(x), t, **cond)] for ask, (there, back) in zip(denoisers, views)]


@mutant("ch10.averaged")
def never_brings_the_answer_back(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        pairs = [ask(there(x), t, **cond) for ask, (there, _) in zip(denoisers, views)]
        return tuple(torch.stack(side).mean(dim=0) for side in zip(*pairs))
    return denoise


@mutant("ch10.averaged")
def goes_there_twice(denoisers, views):
    return averaged(denoisers, [(there, there) for there, _ in views] if len(views) == len(denoisers) else views)


@mutant("ch10.averaged")
def a_mean_in_half_the_precision(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        sides = zip(*brought_back(denoisers, views, x, t, cond))
        return tuple(torch.stack(side).float().mean(dim=0).to(x) for side in sides)
    return denoise


@mutant("ch10.averaged")
def adds_them_up(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        return tuple(map(sum, zip(*brought_back(denoisers, views, x, t, cond))))
    return denoise


@mutant("ch10.averaged")
def brings_only_the_noise_back(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        pairs = [(x0, back(eps)) for ask, (there, back) in zip(denoisers, views)
                 for x0, eps in [ask(there(x), t, **cond)]]
        return tuple(torch.stack(side).mean(dim=0) for side in zip(*pairs))
    return denoise


@mutant("ch10.averaged")
def asks_the_first_one_only(denoisers, views):
    whole(denoisers, views)
    return averaged([denoisers[0]] * len(views), views)


@mutant("ch10.averaged")
def the_last_one_wins(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        return tuple(brought_back(denoisers, views, x, t, cond)[-1])
    return denoise


@mutant("ch10.averaged")
def halves_whatever_their_number(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        return tuple(sum(side) / 2 for side in zip(*brought_back(denoisers, views, x, t, cond)))
    return denoise


@mutant("ch10.averaged")
def tells_nobody_the_label(denoisers, views):
    whole(denoisers, views)

    def denoise(x, t, **cond):
        pairs = brought_back(denoisers, views, x, t, {})
        return tuple(torch.stack(side).mean(dim=0) for side in zip(*pairs))
    return denoise


@mutant("ch10.averaged")
def stops_at_the_shorter_list(denoisers, views):
    def denoise(x, t, **cond):
        pairs = brought_back(denoisers, views, x, t, cond)
        return tuple(torch.stack(side).mean(dim=0) for side in zip(*pairs))
    return denoise


@mutant("ch10.averaged")
def the_view_of_the_neighbour(denoisers, views):
    whole(denoisers, views)
    return averaged(denoisers, views[1:] + views[:1])


@alternative("ch10.averaged")
def one_after_the_other(denoisers, views):
    if len(denoisers) != len(views):
        raise ValueError(f"{len(denoisers)} denoisers, {len(views)} views")

    def denoise(x, t, **cond):
        x0, eps = torch.zeros_like(x), torch.zeros_like(x)
        for k in range(len(views)):
            a, b = denoisers[k](views[k][0](x), t, **cond)
            x0, eps = x0 + views[k][1](a) / len(views), eps + views[k][1](b) / len(views)
        return x0, eps
    return denoise


@alternative("ch10.averaged")
def sums_divided_by_their_number(denoisers, views):
    if len(denoisers) - len(views):
        raise ValueError("a view for each denoiser")

    def denoise(x, t, **cond):
        sides = zip(*brought_back(denoisers, views, x, t, cond))
        return tuple(sum(side) / len(denoisers) for side in sides)
    return denoise
