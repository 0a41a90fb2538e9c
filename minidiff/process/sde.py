"""The forward process in continuous time: its drift and diffusion, and the two equations that run it backwards."""

import torch

from minidiff.process.forward import expand_like


def drift_and_diffusion(path, t):
    """f and g^2 of the SDE dx = f x dt + g dw whose x_t are alpha x0 + sigma eps (Lu et al. 2022, section 2.1).

    f = d log alpha / dt and g^2 = d sigma^2 / dt - 2 f sigma^2, by autograd through a path for real times; t: () or
    (B,), where alpha and sigma are positive, else ValueError. Returns two float64 tensors of the shape of t.
    """
    t = torch.as_tensor(t, dtype=torch.float64).detach().clone().requires_grad_()
    with torch.enable_grad():
        alpha, sigma = path.alpha(t), path.sigma(t)
        if not ((alpha > 0) & (sigma > 0)).all():
            raise ValueError(f"drift and diffusion need alpha > 0 and sigma > 0, so 0 < t < {path.T} or a path that "
                             f"ends with alpha > 0; t lies in {t.min().item():.4g}..{t.max().item():.4g}")
        f, = torch.autograd.grad(alpha.log().sum() + 0 * t.sum(), t)
        growth, = torch.autograd.grad(sigma.square().sum() + 0 * t.sum(), t)
    return f, growth - 2 * f * sigma.detach() ** 2


def pf_ode_rhs(eps, x, t, path):
    """dx/dt of the probability-flow ODE, f x - g^2 score / 2, where score = -eps / sigma (Song et al. 2021, eq. 13).

    Without any noise its x have the densities of the forward process at all times. eps, x: (B, ...), eps the denoiser's
    at x; t: () or (B,), in the time of `path`. Returns (B, ...).
    """
    f, g2 = drift_and_diffusion(path, t)
    return expand_like(f, x) * x + expand_like(g2 / (2 * path.sigma(t)), x) * eps


def reverse_drift(eps, x, t, path, eta=1.0):
    """The drift of dx = drift dt + eta g dw for a falling t, which has the same densities for every eta.

    It is that of the ODE, and eta^2 / 2 g^2 score more, a pull that undoes the noise: eta = 1 is the reverse SDE
    (Anderson 1982; Song et al. 2021, SDE, eq. 6), eta = 0 the ODE. Arguments as for `pf_ode_rhs`.
    """
    _, g2 = drift_and_diffusion(path, t)
    return pf_ode_rhs(eps, x, t, path) + expand_like(eta**2 / 2 * g2 / path.sigma(t), x) * eps
