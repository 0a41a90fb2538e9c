"""Guidance by a likelihood: Bayes' rule adds the gradient of log p(y | x_t) to the score.

score(x_t | y) = score(x_t) + grad log p(y | x_t), and score = -eps / sigma: so eps moves by -sigma times the gradient.
"""

import torch


def classifier_guided(denoiser, log_prob, path, scale=1.0):
    """Classifier guidance: a classifier of noisy pictures pulls towards its class (Dhariwal and Nichol 2021, alg. 2).

    denoiser: (x, t, **cond) -> (x0, eps); log_prob: function (x (B, ...), t) -> (B,), the log-probability of what is
    wanted, for noisy x; scale = 1 is Bayes' rule. alpha(t) > 0. Returns a denoiser.
    """
    def denoise(x, t, **cond):
        _, eps = denoiser(x, t, **cond)
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            gradient, = torch.autograd.grad(log_prob(seen, t).sum(), seen)
        return moved(x, eps, gradient, t, path, scale)
    return denoise


def reconstruction_guided(denoiser, log_likelihood, path, scale=1.0):
    """Diffusion posterior sampling: p(y | x_t) read off the denoiser's own picture (Chung et al. 2023, DPS, eq. 16).

    log_likelihood: function (x0 (B, ...), t) -> (B,), log p(y | x0) of a measurement y; the gradient runs through the
    denoiser, so a step costs a backward pass. It is exact where log_likelihood accounts for what x_t leaves open of x0,
    as `linear_log_likelihood` can; without it, DPS's approximation. alpha(t) > 0. Returns a denoiser.
    """
    def denoise(x, t, **cond):
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            x0, eps = denoiser(seen, t, **cond)
            gradient, = torch.autograd.grad(log_likelihood(x0, t).sum(), seen)
        return moved(x, eps.detach(), gradient, t, path, scale)
    return denoise


def linear_log_likelihood(y, measure, variance):
    """log p(y | x0), up to a constant, of y = measure(x0) + noise: a function (x0, t) -> (B,).

    measure: a linear function of pictures (blur, mask, fewer pixels); variance: of the noise, a number, or a function
    of t that adds the variance of measure(x0) given x_t, with which guidance is exact for Gaussian data.
    """
    def log_likelihood(x0, t):
        spread = variance(t) if callable(variance) else variance
        return -((y - measure(x0)).square() / (2 * spread)).flatten(1).sum(dim=1)
    return log_likelihood


def moved(x, eps, gradient, t, path, scale):
    """The pair after a gradient of log-likelihood (B, ...) was added to the score: eps - sigma scale gradient."""
    alpha, sigma = path.at(t, x)
    eps = eps - scale * sigma * gradient
    return (x - sigma * eps) / alpha, eps
