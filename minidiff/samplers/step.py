"""One step back, from time t to an earlier time s: the formula of which DDPM and DDIM are two cases."""

from minidiff.process.noise import normal_like


def ddim_step(x0, eps, t, s, path, eta=1.0, generator=None):
    """x_s = alpha_s x0 + sqrt(sigma_s^2 - q^2) eps + q z, with z normal (Song et al. 2021, DDIM, eqs. 12 and 16).

    x0, eps: (B, ...), what the denoiser says at x_t; t > s: times of `path`, one for the whole batch. The spread is
    q = eta (sigma_s / sigma_t) sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2): eta = 1 is the posterior's, DDPM;
    eta = 0 is DDIM. z is drawn from `generator`, and only where q > 0: never for eta = 0 or s = 0.
    """
    alpha_t, sigma_t, alpha_s, sigma_s = path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s)
    q = eta * sigma_s / sigma_t * (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2).clamp(min=0).sqrt()
    x_s = float(alpha_s) * x0 + float((sigma_s**2 - q**2).clamp(min=0).sqrt()) * eps
    if q > 0:
        x_s = x_s + float(q) * normal_like(x0, generator)
    return x_s


def final_sample(steps):
    """Run a sampler to its end and return the final picture."""
    for _, x, _ in steps:
        pass
    return x
