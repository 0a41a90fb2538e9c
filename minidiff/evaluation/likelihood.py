"""How probable is a picture under a diffusion model? The probability-flow ODE tells, with the trace of a Jacobian."""

import math

import torch

from minidiff.evaluation.convergence import rk4_step
from minidiff.process.continuous import lambda_of, time_of
from minidiff.process.elbo import discretized_loglik
from minidiff.process.noise import normal_like


def exact_trace(f, x):
    """f(x) and the trace of its Jacobian for each row: (B, D) -> ((B, D), (B,)), in D backward passes.

    f: (B, D) -> (B, D), each row a function of its own row alone.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = f(x)
        rows = [torch.autograd.grad(y[:, i].sum(), x, retain_graph=True)[0][:, i] for i in range(x.shape[1])]
    return y.detach(), torch.stack(rows).sum(dim=0)


def hutchinson(f, x, generator):
    """f(x) and an unbiased estimate of the trace of its Jacobian for each row, z^T J z, in one backward pass.

    f: (B, ...) -> (B, ...), each row a function of its own row alone; z: signs, +1 or -1 with equal chance, drawn on
    the CPU from `generator` (Hutchinson 1989; Grathwohl et al. 2019, FFJORD). Returns ((B, ...), (B,)).
    """
    z = (2 * torch.randint(2, x.shape, generator=generator) - 1).to(x)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = f(x)
        zJ, = torch.autograd.grad(y, x, z)
    return y.detach(), (z * zJ).flatten(1).sum(dim=1)


def standard_normal(x):
    """log N(x; 0, I) in nats: (B, ...) -> (B,) float64."""
    return -0.5 * (x.double().square() + math.log(2 * math.pi)).flatten(1).sum(dim=1)


def log_density(denoiser, x, path, t, end, steps, trace, log_prior=standard_normal):
    """log p_t(x) in nats, (B,) float64, of a model that starts at time `end` from a prior and follows its ODE to t.

    denoiser: (x, t) -> (x0, eps), with gradients; x: (B, ...); t < end: times of a path for real times, both with alpha
    and sigma positive; trace: function (f, x) -> (f(x), trace), such as `exact_trace`; log_prior: log density at `end`.
    In y = x / alpha and lambda the ODE is dy/dlambda = -(sigma / alpha) eps, and along it log p(y) grows at the rate
    sigma tr(d eps / dx) (Chen et al. 2018, eq. 8). `steps` steps of RK4, equal in lambda, of 4 evaluations each.
    Raises ValueError for fewer than 1 step, and for times without picture or without noise.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    for name, u in (("t", t), ("end", end)):
        if not lambda_of(path, u).isfinite():
            raise ValueError(f"{name} must be a time with alpha > 0 and sigma > 0, got {float(u):.4g}")
    lams = torch.linspace(float(lambda_of(path, t)), float(lambda_of(path, end)), 2 * steps + 1, dtype=torch.float64)
    times, h = time_of(path, lams), float(lams[1] - lams[0])  # in half steps, as RK4 asks there too

    def slopes(state, i):
        u = times[round(i)]
        alpha, sigma = float(path.alpha(u)), float(path.sigma(u))
        eps, tr = trace(lambda x: denoiser(x, u)[1], alpha * state[0])
        return -h * sigma / alpha * eps, -h * sigma * tr.double()

    alpha, alpha_end = float(path.alpha(t)), float(path.alpha(end))
    state = x / alpha, torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for i in range(0, 2 * steps, 2):
        state = rk4_step(slopes, state, i, 2)
    y, gained = state
    return log_prior(alpha_end * y) + gained + x[0].numel() * math.log(alpha_end / alpha)


def uniform_nats(log_p, x0, generator, levels=256):
    """A bound on -log P(x0) of grey values in nats per dimension, (B,) float64, by uniform dequantisation.

    A grey value is a bin of width 2 / (levels - 1): spread x0 (B, ...) evenly over its bin, and the mean of
    -log p(x) - log(width) is at least -log P (Theis et al. 2016, section 3.1). log_p: (B, ...) -> (B,), a log density.
    """
    width = 2 / (levels - 1)
    u = torch.rand(x0.shape, generator=generator, dtype=x0.dtype).to(x0.device)
    return -log_p(x0 + (u - 0.5) * width) / x0[0].numel() - math.log(width)


def decoder_nats(log_p, denoiser, x0, path, t, decoder_std, generator, levels=256):
    """A bound on -log P(x0) of grey values in nats per dimension, (B,) float64, by noising x0 to time t and decoding.

    With x_t = alpha x0 + sigma eps: -log p_t(x_t) - log P(x0 | x_t) - H(x_t | x0), where P is N(denoiser's x0,
    decoder_std^2) in bins (chapter 02) and H = log(2 pi e sigma^2) / 2 per dimension. log_p: the log density at time t.
    """
    x_t = path.mix(x0, normal_like(x0, generator), t)
    with torch.no_grad():
        decoded = discretized_loglik(x0, denoiser(x_t, t)[0], torch.tensor(decoder_std), levels).double()
    entropy = 0.5 * math.log(2 * math.pi * math.e * float(path.sigma(t)) ** 2)
    return -log_p(x_t) / x0[0].numel() - decoded.flatten(1).mean(dim=1) - entropy
