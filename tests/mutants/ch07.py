"""Wrong and right answers to the exercises of chapter 07 on steps; on the ODE in ch07_ode and ch07_likelihood."""

import torch

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
