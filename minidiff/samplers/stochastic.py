"""Solvers that add noise on the way: EDM's churn, and the multistep solver of the reverse SDE."""

import math

import torch

from minidiff.process.continuous import in_real_time, lambda_of, time_of
from minidiff.process.noise import normal_like
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_times, lambda_times
from minidiff.samplers.multistep import better_value
from minidiff.samplers.sampler import Sampler
from minidiff.samplers.step import ddim_step


@torch.no_grad()
def churn(denoiser, x, times, path, generator, s_churn=40.0, s_tmin=0.05, s_tmax=50.0, s_noise=1.003):
    """Heun's method, and before each step a step up into the noise (Karras et al. 2022, algorithm 2).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0], alpha > 0; times: (N + 1,), decreasing. Where the
    noise level k = sigma / alpha lies in s_tmin..s_tmax it first grows by the factor 1 + min(s_churn / N, sqrt(2) - 1),
    but never above that of times[0]; the new noise, drawn from `generator`, has the standard deviation s_noise.
    s_churn = 0 is `heun` and draws nothing. 2N - 1 evaluations; yields (s, x_s, x0).
    """
    lam = lambda_of(path, times[:-1])
    level, gain = (-lam).exp(), min(s_churn / (len(times) - 1), math.sqrt(2) - 1)
    grown = torch.where((s_tmin <= level) & (level <= s_tmax), ((1 + gain) * level).clamp(max=level[0]), level)
    for t, s, t_up, k, k_up in zip(times[:-1], times[1:], time_of(path, -grown.log()), level, grown, strict=True):
        if k_up > k:
            z = normal_like(x, generator)
            more = s_noise * path.alpha(t_up) * (k_up**2 - k**2).sqrt()
            x, t = float(path.alpha(t_up) / path.alpha(t)) * x + float(more) * z, t_up
        for _, x, x0 in heun(denoiser, x, (t, s), path):
            yield s.item(), x, x0


@torch.no_grad()
def dpmpp_2m_sde(denoiser, x, times, path, generator):
    """DPM-Solver++2M for the reverse SDE: the ancestral step with the better value (Lu et al. 2022, ++, appendix).

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: (N + 1,), decreasing. Noise is drawn from
    `generator`, N - 1 times: the step to clean data draws none. N evaluations; yields (s, x_s, x0).
    """
    past = []
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, _ = denoiser(x, t)
        past = [(lambda_of(path, t), x0), *past][:2]
        value = better_value(past if path.sigma(s) > 0 else past[:1], lambda_of(path, s))
        eps = (x - float(path.alpha(t)) * value) / float(path.sigma(t))
        x = ddim_step(value, eps, t, s, path, eta=1.0, generator=generator)
        yield s.item(), x, x0


CHURN = Sampler(churn, each=2, more=-1, draws=True, grid=karras_times, ready=in_real_time)
DPMPP_2M_SDE = Sampler(dpmpp_2m_sde, draws=True, grid=lambda_times, ready=in_real_time)
