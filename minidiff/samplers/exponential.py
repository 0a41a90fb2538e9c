"""The exponential integrator in lambda: a step back that is exact while the denoiser's answer does not change."""

import math

import torch

from minidiff.process.continuous import lambda_of


def exponential_step(x, value, t, s, path, form="x0"):
    """The exact step from t to s if the denoiser answered `value` on the whole way (Lu et al. 2022, eq. 3.4).

    x, value: (B, ...); value is a picture if `form` is "x0" (DPM-Solver++) and a noise if it is "eps" (DPM-Solver);
    t, s: times of `path`, one for the whole batch, alpha_s > 0; s may be clean. With the denoiser's own answer at t it
    is DDIM in both forms; a solver of higher order hands it a better value. Raises ValueError for the form "eps" where
    alpha_t = 0: noise alone does not tell the picture.
    """
    alpha_t, sigma_t, alpha_s, sigma_s = path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s)
    if form == "eps" and alpha_t == 0:
        raise ValueError(f"the form eps cannot start where alpha = 0, at t = {float(t):.4g}: take the form x0 there")
    new = -torch.expm1(lambda_of(path, t) - lambda_of(path, s))  # 1 - e^-h, which is 1 when s is clean
    if form == "x0":
        return float(sigma_s / sigma_t) * x + float(alpha_s * new) * value
    return float(alpha_s / alpha_t) * x - float(alpha_s * sigma_t / alpha_t * new) * value


def phi(k, z):
    """phi_k(z), the integral of e^((1 - u) z) u^(k - 1) / (k - 1)! over u in 0..1 (Hochbruck and Ostermann 2010, 2.10).

    k: 1, 2, ...; z: a finite number; returns a float. phi_1(z) = (e^z - 1) / z, and each next one is
    (phi_k(z) - 1 / k!) / z, which cancels near 0: there it is the series sum_j z^j / (j + k)!.
    """
    z = float(z)
    if abs(z) < 1:
        return sum(z**j / math.factorial(j + k) for j in range(18))
    value = math.expm1(z) / z
    for i in range(1, k):
        value = (value - 1 / math.factorial(i)) / z
    return value
