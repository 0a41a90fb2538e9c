"""Following a flow from noise to a picture: steps of an ODE solver in the path's own time t, and an SDE beside it.

Each sampler yields (s, x_s, x0) after each step from t to s, with the denoiser's x0 at x_t; the grid may end at 0.
"""

import torch

from minidiff.process.continuous import in_real_time
from minidiff.process.flow import velocity_of
from minidiff.process.noise import normal_like
from minidiff.samplers.sampler import Sampler


def decreasing_pairs(times):
    """The pairs (t, s) of neighbours in a grid, float64. Raises ValueError unless it falls and has a step at least."""
    times = torch.as_tensor(times, dtype=torch.float64)
    if times.ndim != 1 or len(times) < 2 or not (times.diff() < 0).all():
        raise ValueError(f"times must be a decreasing grid of at least 2 entries, got {times.tolist()}")
    return zip(times[:-1], times[1:], strict=True)


@torch.no_grad()
def euler_flow(denoiser, x, times, path):
    """Euler's method, x_s = x_t + (s - t) u(x_t, t): order 1, one evaluation a step. Draws nothing.

    denoiser: (x, t) -> (x0, eps); x: (B, ...) noise at times[0]; times: decreasing, of the path's own t. On the
    straight path it is DDIM, and the last x_s is the last x0 (Liu et al. 2023, section 2).
    """
    for t, s in decreasing_pairs(times):
        x0, eps = denoiser(x, t)
        x = x + float(s - t) * velocity_of(x0, eps, t, path)
        yield float(s), x, x0


@torch.no_grad()
def heun_flow(denoiser, x, times, path):
    """Heun's method: the mean of the velocities at both ends of a step. Order 2, 2 n - 1 evaluations for n steps.

    denoiser, x (B, ...), times and path as for `euler_flow`. The step to s = 0 is Euler's, as in Karras et al. 2022,
    algorithm 1: on most paths there is no velocity at 0.
    """
    for t, s in decreasing_pairs(times):
        x0, eps = denoiser(x, t)
        u = velocity_of(x0, eps, t, path)
        if s > 0:
            u = (u + velocity_of(*denoiser(x + float(s - t) * u, s), s, path)) / 2
        x = x + float(s - t) * u
        yield float(s), x, x0


@torch.no_grad()
def rk4_flow(denoiser, x, times, path):
    """The classical Runge-Kutta method: order 4, four evaluations a step, the last at s itself.

    denoiser, x (B, ...), times and path as for `euler_flow`; a grid that ends at 0 needs a path with a finite velocity
    there, as the straight one.
    """
    for t, s in decreasing_pairs(times):
        h, middle = float(s - t), (t + s) / 2
        x0, eps = denoiser(x, t)
        k1 = velocity_of(x0, eps, t, path)
        k2 = velocity_of(*denoiser(x + h / 2 * k1, middle), middle, path)
        k3 = velocity_of(*denoiser(x + h / 2 * k2, middle), middle, path)
        k4 = velocity_of(*denoiser(x + h * k3, s), s, path)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        yield float(s), x, x0


@torch.no_grad()
def sde_flow(denoiser, x, times, path, diffusion, generator):
    """Euler-Maruyama for a flow with any amount of noise added, order 1 in the law (Ma et al. 2024, SiT, section 2).

    denoiser, x (B, ...), times and path as for `euler_flow`; diffusion: function t -> g^2 >= 0, free to choose at
    sampling: every choice has the densities of the ODE. Backward in time, dx = (u - g^2 / 2 score) dt + g dw. Noise is
    drawn from `generator` where g > 0, but not in the step to s = 0, which is Euler's on the ODE and ends at
    the last x0 of the straight path. Raises ValueError for a negative g^2.
    """
    for t, s in decreasing_pairs(times):
        x0, eps = denoiser(x, t)
        u, g2 = velocity_of(x0, eps, t, path), float(diffusion(t)) if s > 0 else 0.0
        if g2 < 0:
            raise ValueError(f"diffusion must be at least 0, got {g2:.4g} at t = {float(t):.4g}")
        score = -eps / float(path.sigma(t))
        x = x + float(s - t) * (u - g2 / 2 * score)
        if g2 > 0:
            z = normal_like(x, generator)
            x = x + (g2 * float(t - s)) ** 0.5 * z
        yield float(s), x, x0


EULER_FLOW = Sampler(euler_flow, ready=in_real_time)
HEUN_FLOW = Sampler(heun_flow, each=2, more=-1, ready=in_real_time)
