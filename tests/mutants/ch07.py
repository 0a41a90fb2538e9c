"""Wrong and right answers to the exercises of chapter 07."""

import torch

from minidiff.process.forward import expand_like
from minidiff.process.sde import drift_and_diffusion
from minidiff.samplers.grids import spaced
from tests.mutants import alternative, mutant


def levels(path, t, s):
    return path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s)


def combined(x0, eps, t, s, path, q, kept, generator, draw=None):
    x_s = float(path.alpha(s)) * x0 + float(kept) * eps
    if q > 0 if draw is None else draw:
        x_s = x_s + float(q) * torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    return x_s


def spread(path, t, s, eta):
    alpha_t, sigma_t, alpha_s, sigma_s = levels(path, t, s)
    return eta * sigma_s / sigma_t * (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2).clamp(min=0).sqrt()


# --- step -----------------------------------------------------------------------------------------------------------

@mutant("ch07.ddim_step")
def keeps_all_noise_and_adds_more(x0, eps, t, s, path, eta=1.0, generator=None):
    return combined(x0, eps, t, s, path, spread(path, t, s, eta), path.sigma(s), generator)


@mutant("ch07.ddim_step")
def eta_outside_of_the_spread(x0, eps, t, s, path, eta=1.0, generator=None):
    q = spread(path, t, s, 1.0)
    return combined(x0, eps, t, s, path, eta * q, (path.sigma(s) ** 2 - q**2).sqrt(), generator)


@mutant("ch07.ddim_step")
def eta_multiplies_the_variance(x0, eps, t, s, path, eta=1.0, generator=None):
    q = spread(path, t, s, eta**0.5)
    return combined(x0, eps, t, s, path, q, (path.sigma(s) ** 2 - q**2).sqrt(), generator)


@mutant("ch07.ddim_step")
def variance_of_the_forward_step(x0, eps, t, s, path, eta=1.0, generator=None):
    alpha_t, sigma_t, alpha_s, sigma_s = levels(path, t, s)
    q = eta * (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2).sqrt()
    return combined(x0, eps, t, s, path, q, (sigma_s**2 - q**2).clamp(min=0).sqrt(), generator)


@mutant("ch07.ddim_step")
def pair_of_neighbours(x0, eps, t, s, path, eta=1.0, generator=None):
    q = spread(path, t, t - 1, eta)
    return combined(x0, eps, t, s, path, q, (path.sigma(s) ** 2 - q**2).clamp(min=0).sqrt(), generator)


@mutant("ch07.ddim_step")
def draws_even_for_nothing(x0, eps, t, s, path, eta=1.0, generator=None):
    q = spread(path, t, s, eta)
    return combined(x0, eps, t, s, path, q, (path.sigma(s) ** 2 - q**2).sqrt(), generator, draw=True)


@mutant("ch07.ddim_step")
def draws_in_the_last_step_of_ancestral(x0, eps, t, s, path, eta=1.0, generator=None):
    q = spread(path, t, s, eta)
    return combined(x0, eps, t, s, path, q, (path.sigma(s) ** 2 - q**2).sqrt(), generator, draw=eta > 0)


@mutant("ch07.ddim_step")
def assumes_that_the_variance_is_kept(x0, eps, t, s, path, eta=1.0, generator=None):
    alpha_t, _, alpha_s, _ = levels(path, t, s)
    q = eta * ((1 - alpha_s**2) / (1 - alpha_t**2).clamp(min=1e-9) * (1 - alpha_t**2 / alpha_s**2)).sqrt()
    return combined(x0, eps, t, s, path, q, (1 - alpha_s**2 - q**2).clamp(min=0).sqrt(), generator)


@mutant("ch07.ddim_step")
def deterministic_unless_told(x0, eps, t, s, path, eta=0.0, generator=None):
    q = spread(path, t, s, eta)
    return combined(x0, eps, t, s, path, q, (path.sigma(s) ** 2 - q**2).sqrt(), generator)


@alternative("ch07.ddim_step")
def posterior_variance_first(x0, eps, t, s, path, eta=1.0, generator=None):
    alpha_t, sigma_t, alpha_s, sigma_s = levels(path, t, s)
    rho2 = alpha_t**2 / alpha_s**2
    variance = eta**2 * sigma_s**2 * (1 - rho2 * sigma_s**2 / sigma_t**2).clamp(min=0)
    return combined(x0, eps, t, s, path, variance.sqrt(), (sigma_s**2 - variance).clamp(min=0).sqrt(), generator)


@alternative("ch07.ddim_step")
def noise_by_hypotenuse(x0, eps, t, s, path, eta=1.0, generator=None):
    q = spread(path, t, s, eta)
    x_s = alpha_times(x0, path, s) + ((path.sigma(s) - q) * (path.sigma(s) + q)).clamp(min=0).sqrt() * eps
    if float(q) == 0:
        return x_s
    return torch.add(x_s, torch.randn(x0.shape, generator=generator, dtype=x0.dtype), alpha=float(q))


def alpha_times(x0, path, s):
    return torch.mul(x0, float(path.alpha(s)))


# --- timestep_subset ------------------------------------------------------------------------------------------------

def ended(steps):
    return torch.cat([steps, torch.zeros(1, dtype=torch.int64)])


def three(T, n, spacing, trailing=None, leading=None, linspace=None):
    """The right answer with one of its three parts exchanged."""
    right = spaced(T, n)
    return {"trailing": trailing or (lambda: right),
            "leading": leading or (lambda: ended(1 + T // n * torch.arange(n - 1, -1, -1))),
            "linspace": linspace or (lambda: ended(1 + torch.linspace(T - 1, 0, n, dtype=torch.float64).round().long()))
            }[spacing]()


@mutant("ch07.timestep_subset")
def leading_counts_from_0(T, n, spacing="trailing"):
    return three(T, n, spacing, leading=lambda: ended(T // n * torch.arange(n - 1, -1, -1)))


@mutant("ch07.timestep_subset")
def leading_starts_at_T(T, n, spacing="trailing"):
    return three(T, n, spacing, leading=lambda: ended(T - T // n * torch.arange(n)))


@mutant("ch07.timestep_subset")
def leading_visits_all_multiples(T, n, spacing="trailing"):
    return three(T, n, spacing, leading=lambda: ended(torch.arange(1, T + 1, T // n).flip(0)))


@mutant("ch07.timestep_subset")
def forgets_the_clean_end(T, n, spacing="trailing"):
    return three(T, n, spacing)[:-1]


@mutant("ch07.timestep_subset")
def increasing(T, n, spacing="trailing"):
    return three(T, n, spacing).flip(0)


@mutant("ch07.timestep_subset")
def trailing_in_whole_steps(T, n, spacing="trailing"):
    return three(T, n, spacing, trailing=lambda: ended(T - T // n * torch.arange(n)))


@mutant("ch07.timestep_subset")
def linspace_to_0(T, n, spacing="trailing"):
    return three(T, n, spacing, linspace=lambda: torch.linspace(T, 0, n + 1, dtype=torch.float64).round().long())


@mutant("ch07.timestep_subset")
def linspace_cut_off_and_not_rounded(T, n, spacing="trailing"):
    return three(T, n, spacing, linspace=lambda: ended(torch.linspace(T, 1, n, dtype=torch.float64).long()))


@mutant("ch07.timestep_subset")
def refuses_nothing(T, n, spacing="trailing"):
    try:
        return three(T, n, spacing)
    except ValueError:
        return torch.zeros(n + 1, dtype=torch.int64)


@mutant("ch07.timestep_subset")
def as_floats(T, n, spacing="trailing"):
    return three(T, n, spacing).double()


@alternative("ch07.timestep_subset")
def with_ranges(T, n, spacing="trailing"):
    if spacing == "trailing":
        return spaced(T, n)
    if not 0 < n <= T:
        raise ValueError(f"n must be 1..{T}, got {n}")
    if spacing == "leading":
        return torch.tensor([1 + i * (T // n) for i in reversed(range(n))] + [0])
    rise = torch.linspace(0, T - 1, n, dtype=torch.float64) if n > 1 else torch.tensor([T - 1.0])
    return torch.cat([torch.tensor([0]), 1 + rise.round().long()]).flip(0)


@alternative("ch07.timestep_subset")
def by_slices(T, n, spacing="trailing"):
    whole = spaced(T, n)
    steps = torch.arange(1, T + 1)
    if spacing == "leading":
        return ended(steps[::T // n][:n].flip(0))
    if spacing == "linspace":
        return ended(steps[torch.linspace(T - 1, 0, n, dtype=torch.float64).round().long()])
    return whole


# --- pf_ode_rhs -----------------------------------------------------------------------------------------------------

def ode(eps, x, t, path, share=0.5, power=1, drift=1.0, sign=1.0):
    f, g2 = drift_and_diffusion(path, t)
    return drift * expand_like(f, x) * x + sign * share * expand_like(g2 / path.sigma(t) ** power, x) * eps


@mutant("ch07.pf_ode_rhs")
def drift_of_the_reverse_sde(eps, x, t, path):
    return ode(eps, x, t, path, share=1.0)


@mutant("ch07.pf_ode_rhs")
def score_with_the_wrong_sign(eps, x, t, path):
    return ode(eps, x, t, path, sign=-1.0)


@mutant("ch07.pf_ode_rhs")
def noise_taken_for_the_score(eps, x, t, path):
    return ode(eps, x, t, path, power=0)


@mutant("ch07.pf_ode_rhs")
def divided_by_the_variance(eps, x, t, path):
    return ode(eps, x, t, path, power=2)


@mutant("ch07.pf_ode_rhs")
def without_the_drift(eps, x, t, path):
    return ode(eps, x, t, path, drift=0.0)


@mutant("ch07.pf_ode_rhs")
def time_turned_round(eps, x, t, path):
    return -ode(eps, x, t, path)


@mutant("ch07.pf_ode_rhs")
def g_for_its_square(eps, x, t, path):
    f, g2 = drift_and_diffusion(path, t)
    return expand_like(f, x) * x + expand_like(g2.sqrt() / (2 * path.sigma(t)), x) * eps


@mutant("ch07.pf_ode_rhs")
def times_along_the_width(eps, x, t, path):
    f, g2 = drift_and_diffusion(path, t)
    return f.to(x) * x + (g2 / (2 * path.sigma(t))).to(x) * eps


@alternative("ch07.pf_ode_rhs")
def by_the_rates_of_the_path(eps, x, t, path):
    t = torch.as_tensor(t, dtype=torch.float64).clone().requires_grad_()
    with torch.enable_grad():
        sigma_rate, = torch.autograd.grad(path.sigma(t).sum(), t)
    f, _ = drift_and_diffusion(path, t)
    x0_part = expand_like(f, x) * (x - expand_like(path.sigma(t).detach(), x) * eps)
    return x0_part + expand_like(sigma_rate, x) * eps


@alternative("ch07.pf_ode_rhs")
def by_the_score(eps, x, t, path):
    f, g2 = drift_and_diffusion(path, t)
    score = -eps / expand_like(path.sigma(t), x)
    return expand_like(f, x) * x - 0.5 * expand_like(g2, x) * score


# --- invert ---------------------------------------------------------------------------------------------------------

def climb(denoiser, x, times, path, where=None, gain=None, noise=None):
    """The way up with its parts open to change: where it asks, and what it makes of x and eps."""
    with torch.no_grad():
        for s, t in zip(times[:-1], times[1:]):
            alpha_t, sigma_t, alpha_s, sigma_s = map(float, levels(path, t, s))
            asked = (s if sigma_s > 0 else t) if where is None else where(s, t)
            _, eps = denoiser(x, asked)
            a = alpha_t / alpha_s if gain is None else gain(alpha_s, sigma_s, alpha_t, sigma_t)
            b = (sigma_t - alpha_t / alpha_s * sigma_s if noise is None
                 else noise(alpha_s, sigma_s, alpha_t, sigma_t))
            x = a * x + b * eps
            yield int(t), x, eps


@mutant("ch07.invert")
def asks_at_the_time_of_arrival(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, where=lambda s, t: t)


@mutant("ch07.invert")
def asks_for_the_noise_of_clean_data(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, where=lambda s, t: s)


@mutant("ch07.invert")
def forgets_the_noise_that_is_there(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, noise=lambda alpha_s, sigma_s, alpha_t, sigma_t: sigma_t)


@mutant("ch07.invert")
def forgets_to_shrink(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, gain=lambda *levels: 1.0)


@mutant("ch07.invert")
def grows_by_the_difference_of_noise(denoiser, x, times, path):
    yield from climb(denoiser, x, times, path, noise=lambda alpha_s, sigma_s, alpha_t, sigma_t: sigma_t - sigma_s)


@mutant("ch07.invert")
def adds_noise_like_the_forward_process(denoiser, x, times, path):
    def noise(alpha_s, sigma_s, alpha_t, sigma_t):
        return (sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2) ** 0.5
    yield from climb(denoiser, x, times, path, noise=noise)


@mutant("ch07.invert")
def walks_down(denoiser, x, times, path):
    yield from climb(denoiser, x, times.flip(0), path)


@mutant("ch07.invert")
def yields_where_it_came_from(denoiser, x, times, path):
    for s, (_, x, eps) in zip(times, climb(denoiser, x, times, path)):
        yield int(s), x, eps


@mutant("ch07.invert")
def does_not_go_on_from_x_t(denoiser, x, times, path):
    for s, t in zip(times[:-1], times[1:]):
        yield from climb(denoiser, x, torch.stack([s, t]), path)


@alternative("ch07.invert")
@torch.no_grad()
def in_the_straight_coordinates(denoiser, x, times, path):
    for s, t in zip(times[:-1], times[1:]):
        alpha_t, sigma_t, alpha_s, sigma_s = levels(path, t, s)
        eps = denoiser(x, t if sigma_s == 0 else s)[1]
        x = float(alpha_t) * (x / float(alpha_s) + float(sigma_t / alpha_t - sigma_s / alpha_s) * eps)
        yield int(t), x, eps


@alternative("ch07.invert")
@torch.no_grad()
def by_the_picture_at_x(denoiser, x, times, path):
    left = list(times)
    while len(left) > 1:
        s, t = left.pop(0), left[0]
        alpha_t, sigma_t, alpha_s, sigma_s = map(float, levels(path, t, s))
        eps = denoiser(x, s if s > 0 else t)[1]
        x0 = (x - sigma_s * eps) / alpha_s
        x = alpha_t * x0 + sigma_t * eps
        yield t.item(), x, eps


# --- hutchinson -----------------------------------------------------------------------------------------------------

def signs(x, generator):
    return (2 * torch.randint(2, x.shape, generator=generator) - 1).to(x)


def product(f, x, z):
    """f(x) and the row z^T J."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = f(x)
        zJ, = torch.autograd.grad(y, x, z)
    return y.detach(), zJ


@mutant("ch07.hutchinson")
def normal_numbers(f, x, generator):
    z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def zeros_and_ones(f, x, generator):
    z = torch.randint(2, x.shape, generator=generator).to(x)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def sum_of_the_row(f, x, generator):
    y, zJ = product(f, x, signs(x, generator))
    return y, zJ.flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def one_row_of_signs_for_all(f, x, generator):
    z = signs(x[:1], generator).expand_as(x)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def one_trace_for_the_batch(f, x, generator):
    z = signs(x, generator)
    y, zJ = product(f, x, z)
    return y, (z * zJ).sum().expand(len(x))


@mutant("ch07.hutchinson")
def mean_over_the_pixels(f, x, generator):
    z = signs(x, generator)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).mean(dim=1)


@mutant("ch07.hutchinson")
def sum_over_the_last_axis(f, x, generator):
    z = signs(x, generator)
    y, zJ = product(f, x, z)
    return y, (z * zJ).sum(dim=-1)


@mutant("ch07.hutchinson")
def with_ones(f, x, generator):
    y, zJ = product(f, x, torch.ones_like(x))
    return y, (signs(x, generator) * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def needs_gradients_switched_on(f, x, generator):
    z, x = signs(x, generator), x.detach().requires_grad_()
    y = f(x)
    return y.detach(), (z * torch.autograd.grad(y, x, z)[0]).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def keeps_the_graph(f, x, generator):
    with torch.enable_grad():
        z, x = signs(x, generator), x.detach().requires_grad_()
        y = f(x)
        return y, (z * torch.autograd.grad(y, x, z, create_graph=True)[0]).flatten(1).sum(dim=1)


@alternative("ch07.hutchinson")
def by_a_jacobian_vector_product(f, x, generator):
    z = signs(x, generator)
    with torch.enable_grad():
        y, pull = torch.func.vjp(f, x)
    return y.detach(), torch.einsum("bi,bi->b", pull(z)[0].detach().flatten(1), z.flatten(1))


@alternative("ch07.hutchinson")
def by_a_scalar(f, x, generator):
    z = torch.where(torch.randint(0, 2, x.shape, generator=generator) == 1, 1.0, -1.0).to(x)
    with torch.enable_grad():
        x = x.clone().detach().requires_grad_(True)
        y = f(x)
        row, = torch.autograd.grad((z * y).sum(), x)
    return y.detach(), (row * z).reshape(len(x), -1).sum(1)
