"""Wrong and right answers to the grids of chapter 08 and to EDM's coefficients."""

import math

import torch

from minidiff.process.continuous import lambda_of, time_of
from tests.mutants import alternative, mutant

ZERO = torch.zeros(1, dtype=torch.float64)


def even(start, end, n):
    return start + (end - start) * torch.linspace(0, 1, n, dtype=torch.float64)


@mutant("ch08.lambda_grid")
def even_in_time(path, n, first, last):
    return torch.cat([even(first, last, n), ZERO])


@mutant("ch08.lambda_grid")
def one_time_too_many(path, n, first, last):
    return torch.cat([time_of(path, even(lambda_of(path, first), lambda_of(path, last), n + 1)), ZERO])


@mutant("ch08.lambda_grid")
def without_clean_data(path, n, first, last):
    return time_of(path, even(lambda_of(path, first), lambda_of(path, last), n + 1))


@mutant("ch08.lambda_grid")
def lambdas_for_times(path, n, first, last):
    return torch.cat([even(lambda_of(path, first), lambda_of(path, last), n), ZERO])


@mutant("ch08.lambda_grid")
def from_clean_to_noisy(path, n, first, last):
    return torch.cat([time_of(path, even(lambda_of(path, last), lambda_of(path, first), n)), ZERO])


@mutant("ch08.lambda_grid")
def even_in_sigma(path, n, first, last):
    levels = even((-lambda_of(path, first)).exp(), (-lambda_of(path, last)).exp(), n)
    return torch.cat([time_of(path, -levels.log()), ZERO])


@mutant("ch08.lambda_grid")
def logarithm_of_time(path, n, first, last):
    return torch.cat([even(math.log(first), math.log(last), n).exp(), ZERO])


@mutant("ch08.lambda_grid")
def replaces_the_last_time_by_0(path, n, first, last):
    times = time_of(path, even(lambda_of(path, first), lambda_of(path, last), n + 1))
    times[-1] = 0
    return times


@alternative("ch08.lambda_grid")
def with_torch_lerp(path, n, first, last):
    start, end = lambda_of(path, first), lambda_of(path, last)
    lam = torch.lerp(start, end, torch.linspace(0, 1, n, dtype=torch.float64))
    return torch.nn.functional.pad(time_of(path, lam), (0, 1))


@alternative("ch08.lambda_grid")
def by_ratios_of_the_level(path, n, first, last):
    high, low = (float(path.sigma(t) / path.alpha(t)) for t in (first, last))
    times = [time_of(path, -math.log(high * (low / high) ** (i / max(n - 1, 1)))) for i in range(n)]
    return torch.stack([*times, torch.zeros((), dtype=torch.float64)])


@mutant("ch08.karras_sigmas")
def low_to_high(n, low, high, rho=7.0):
    return torch.cat([even(low ** (1 / rho), high ** (1 / rho), n) ** rho, ZERO])


@mutant("ch08.karras_sigmas")
def power_for_root(n, low, high, rho=7.0):
    return torch.cat([even(high**rho, low**rho, n) ** (1 / rho), ZERO])


@mutant("ch08.karras_sigmas")
def without_the_power(n, low, high, rho=7.0):
    return torch.cat([even(high ** (1 / rho), low ** (1 / rho), n), ZERO])


@mutant("ch08.karras_sigmas")
def always_seven(n, low, high, rho=7.0):
    return torch.cat([even(high ** (1 / 7), low ** (1 / 7), n) ** 7, ZERO])


@mutant("ch08.karras_sigmas")
def even_in_the_logarithm(n, low, high, rho=7.0):
    return torch.cat([even(math.log(high), math.log(low), n).exp(), ZERO])


@mutant("ch08.karras_sigmas")
def divides_by_n(n, low, high, rho=7.0):
    u = torch.arange(n, dtype=torch.float64) / n
    return torch.cat([(high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho, ZERO])


@mutant("ch08.karras_sigmas")
def divides_by_zero_for_one_level(n, low, high, rho=7.0):
    u = torch.arange(n, dtype=torch.float64) / (n - 1)
    return torch.cat([(high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho, ZERO])


@mutant("ch08.karras_sigmas")
def no_clean_end(n, low, high, rho=7.0):
    return even(high ** (1 / rho), low ** (1 / rho), n + 1) ** rho


@alternative("ch08.karras_sigmas")
def from_low_to_high_and_turned(n, low, high, rho=7.0):
    if n == 1:
        return torch.tensor([high, 0.0], dtype=torch.float64)
    return torch.cat([ZERO, even(low ** (1 / rho), high ** (1 / rho), n) ** rho]).flip(0)


@alternative("ch08.karras_sigmas")
def level_by_level(n, low, high, rho=7.0):
    a, b = high ** (1 / rho), low ** (1 / rho)
    levels = [(a + i / max(n - 1, 1) * (b - a)) ** rho for i in range(n)]
    return torch.tensor([*levels, 0.0], dtype=torch.float64)


def four(sigma, s, **changes):
    """EDM's four coefficients, some of them changed."""
    total = sigma**2 + s**2
    right = {"skip": s**2 / total, "out": sigma * s / total.sqrt(), "in": 1 / total.sqrt(), "noise": sigma.log() / 4}
    return tuple((right | changes).values())


@mutant("ch08.edm_precond")
def skip_from_the_noise(sigma, sigma_data):
    return four(sigma, sigma_data, skip=sigma**2 / (sigma**2 + sigma_data**2))


@mutant("ch08.edm_precond")
def out_without_the_root(sigma, sigma_data):
    return four(sigma, sigma_data, out=sigma * sigma_data / (sigma**2 + sigma_data**2))


@mutant("ch08.edm_precond")
def in_without_the_root(sigma, sigma_data):
    return four(sigma, sigma_data, **{"in": 1 / (sigma**2 + sigma_data**2)})


@mutant("ch08.edm_precond")
def noise_without_the_quarter(sigma, sigma_data):
    return four(sigma, sigma_data, noise=sigma.log())


@mutant("ch08.edm_precond")
def log_of_the_variance(sigma, sigma_data):
    return four(sigma, sigma_data, noise=(sigma**2).log() / 4)


@mutant("ch08.edm_precond")
def sigma_data_is_a_variance(sigma, sigma_data):
    return four(sigma, sigma_data**0.5)


@mutant("ch08.edm_precond")
def sigma_data_is_always_one_half(sigma, sigma_data):
    return four(sigma, 0.5)


@mutant("ch08.edm_precond")
def another_order(sigma, sigma_data):
    c_skip, c_out, c_in, c_noise = four(sigma, sigma_data)
    return c_in, c_out, c_skip, c_noise


@alternative("ch08.edm_precond")
def by_a_hypotenuse(sigma, sigma_data):
    r = torch.hypot(sigma, torch.as_tensor(sigma_data, dtype=sigma.dtype))
    return (sigma_data / r) ** 2, sigma / r * sigma_data, r.reciprocal(), 0.25 * torch.log(sigma)


@alternative("ch08.edm_precond")
def by_the_ratio(sigma, sigma_data):
    ratio = sigma / sigma_data
    c_skip = 1 / (1 + ratio**2)
    return c_skip, sigma * c_skip.sqrt(), c_skip.sqrt() / sigma_data, sigma.log() / 4


@mutant("ch08.karras_sigmas")
def ramp_in_float32_cast_later(n, low, high, rho=7.0):
    u = torch.linspace(0, 1, n).double()
    levels = (high ** (1 / rho) + u * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    return torch.cat([levels, torch.zeros(1, dtype=torch.float64)])


@mutant("ch08.lambda_grid")
def lambdas_in_float32(path, n, first, last):
    lam = torch.linspace(float(lambda_of(path, first)), float(lambda_of(path, last)), n)
    return torch.cat([time_of(path, lam.double()), torch.zeros(1, dtype=torch.float64)])
