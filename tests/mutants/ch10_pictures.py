"""Wrong and right answers to the exercises of chapter 10 about a classifier's pull and about contrast."""

import torch

from minidiff.process.guidance_rules import linear, rescaled, spread
from minidiff.process.likelihood_guidance import classifier_guided, moved
from tests.mutants import alternative, mutant

# --- classifier_guided ----------------------------------------------------------------------------------------------


def pull(log_prob, x, t, summed=torch.sum):
    with torch.enable_grad():
        seen = x.detach().requires_grad_()
        return torch.autograd.grad(summed(log_prob(seen, t)), seen)[0]


def with_pull(change):
    """A wrapper of the form of `classifier_guided` with another change (x, eps, x0, gradient, t, path, scale)."""
    def wrapper(denoiser, log_prob, path, scale=1.0):
        def denoise(x, t, **cond):
            x0, eps = denoiser(x, t, **cond)
            return change(x, eps, x0, pull(log_prob, x, t), t, path, scale)
        return denoise
    return wrapper


@mutant("ch10.classifier_guided")
def mean_over_the_batch(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient = pull(log_prob, x, t, torch.mean)
        return moved(x, denoiser(x, t, **cond)[1], gradient, t, path, scale)
    return denoise


@mutant("ch10.classifier_guided")
def away_from_the_class(denoiser, log_prob, path, scale=1.0):
    return classifier_guided(denoiser, log_prob, path, -scale)


@mutant("ch10.classifier_guided")
def without_sigma(denoiser, log_prob, path, scale=1.0):
    def change(x, eps, x0, gradient, t, path, scale):
        alpha, sigma = path.at(t, x)
        eps = eps - scale * gradient
        return (x - sigma * eps) / alpha, eps
    return with_pull(change)(denoiser, log_prob, path, scale)


@mutant("ch10.classifier_guided")
def variance_for_sigma(denoiser, log_prob, path, scale=1.0):
    def change(x, eps, x0, gradient, t, path, scale):
        alpha, sigma = path.at(t, x)
        eps = eps - scale * sigma**2 * gradient
        return (x - sigma * eps) / alpha, eps
    return with_pull(change)(denoiser, log_prob, path, scale)


@mutant("ch10.classifier_guided")
def picture_left_where_it_was(denoiser, log_prob, path, scale=1.0):
    def change(x, eps, x0, gradient, t, path, scale):
        return x0, moved(x, eps, gradient, t, path, scale)[1]
    return with_pull(change)(denoiser, log_prob, path, scale)


@mutant("ch10.classifier_guided")
def noise_left_as_it_was(denoiser, log_prob, path, scale=1.0):
    def change(x, eps, x0, gradient, t, path, scale):
        return moved(x, eps, gradient, t, path, scale)[0], eps
    return with_pull(change)(denoiser, log_prob, path, scale)


@mutant("ch10.classifier_guided")
def probability_for_its_logarithm(denoiser, log_prob, path, scale=1.0):
    return classifier_guided(denoiser, lambda x, t: log_prob(x, t).exp(), path, scale)


@mutant("ch10.classifier_guided")
def classifies_the_denoised_picture(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        x0, eps = denoiser(x, t, **cond)
        return moved(x, eps, pull(log_prob, x0, t), t, path, scale)
    return denoise


@mutant("ch10.classifier_guided")
def always_scale_1(denoiser, log_prob, path, scale=1.0):
    return classifier_guided(denoiser, log_prob, path)


@mutant("ch10.classifier_guided")
def gradient_in_half_the_precision(denoiser, log_prob, path, scale=1.0):
    def change(x, eps, x0, gradient, t, path, scale):
        return moved(x, eps, gradient.float().to(x), t, path, scale)
    return with_pull(change)(denoiser, log_prob, path, scale)


@mutant("ch10.classifier_guided")
def unit_gradient(denoiser, log_prob, path, scale=1.0):
    def change(x, eps, x0, gradient, t, path, scale):
        size = gradient.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))
        return moved(x, eps, gradient / size, t, path, scale)
    return with_pull(change)(denoiser, log_prob, path, scale)


@alternative("ch10.classifier_guided")
def by_backward(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        pair = denoiser(x, t, **cond)
        with torch.enable_grad():
            seen = x.clone().detach().requires_grad_(True)
            log_prob(seen, t).sum().backward()
        alpha, sigma = path.at(t, x)
        push = scale * sigma * seen.grad
        return pair[0] + sigma / alpha * push, pair[1] - push
    return denoise


@alternative("ch10.classifier_guided")
@torch.no_grad()
def by_torch_func(denoiser, log_prob, path, scale=1.0):
    def denoise(x, t, **cond):
        gradient = torch.func.grad(lambda seen: log_prob(seen, t).sum())(x)
        return moved(x, denoiser(x, t, **cond)[1], gradient.detach(), t, path, scale)
    return denoise


# --- rescaled -------------------------------------------------------------------------------------------------------

@mutant("ch10.rescaled")
def one_contrast_for_the_batch(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    return share * (cond.std() / guided.std()) * guided + (1 - share) * guided


@mutant("ch10.rescaled")
def each_channel_alone(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    ratio = cond.flatten(2).std(dim=2) / guided.flatten(2).std(dim=2) if cond.ndim > 2 else spread(cond)
    ratio = ratio.reshape(*ratio.shape[:2], *[1] * (cond.ndim - 2))
    return share * ratio * guided + (1 - share) * guided


@mutant("ch10.rescaled")
def ratio_upside_down(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    return share * spread(guided) / spread(cond) * guided + (1 - share) * guided


@mutant("ch10.rescaled")
def contrast_of_the_free_answer(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    return share * spread(free) / spread(guided) * guided + (1 - share) * guided


@mutant("ch10.rescaled")
def share_of_the_other(cond, free, w, share=0.7):
    return rescaled(cond, free, w, 1 - share)


@mutant("ch10.rescaled")
def rest_of_the_condition(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    return share * spread(cond) / spread(guided) * guided + (1 - share) * cond


@mutant("ch10.rescaled")
def variances(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    return share * (spread(cond) / spread(guided)) ** 2 * guided + (1 - share) * guided


@mutant("ch10.rescaled")
def lengths_for_deviations(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    size = [a.flatten(1).norm(dim=1).reshape(-1, *[1] * (a.ndim - 1)) for a in (cond, guided)]
    return share * size[0] / size[1] * guided + (1 - share) * guided


@mutant("ch10.rescaled")
def all_of_it_by_default(cond, free, w, share=1.0):
    return rescaled(cond, free, w, share)


@mutant("ch10.rescaled")
def ratio_in_half_the_precision(cond, free, w, share=0.7):
    guided = linear(cond, free, w)
    ratio = (spread(cond) / spread(guided)).float().to(cond)
    return share * ratio * guided + (1 - share) * guided


@alternative("ch10.rescaled")
def one_factor(cond, free, w, share=0.7):
    guided = (1 - w) * free + w * cond
    return guided * (1 + share * (spread(cond) / spread(guided) - 1))


@alternative("ch10.rescaled")
def by_variances_over_all_but_the_first(cond, free, w, share=0.7):
    guided, over = free + w * (cond - free), tuple(range(1, cond.ndim))
    ratio = (cond.var(dim=over, keepdim=True) / guided.var(dim=over, keepdim=True)).sqrt()
    return torch.lerp(guided, ratio * guided, share)
