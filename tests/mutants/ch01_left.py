"""Wrong and right answers of chapter 01 on what is left of the picture: its prior KL and its brightness."""

import math

import torch
from torch.distributions import Normal, kl_divergence

from tests.mutants import alternative, mutant
from tests.mutants.ch01 import F64


# --- prior_kl ---

def _a(alpha_bar_T):
    return torch.as_tensor(alpha_bar_T, dtype=F64)


@mutant("ch01.prior_kl")
def forgets_the_half(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return a * x0.double() ** 2 - a - torch.log1p(-a)


@mutant("ch01.prior_kl")
def only_the_mean(x0, alpha_bar_T):
    return 0.5 * _a(alpha_bar_T) * x0.double() ** 2


@mutant("ch01.prior_kl")
def in_bits(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return 0.5 * (a * x0.double() ** 2 - a - torch.log1p(-a)) / math.log(2)


@mutant("ch01.prior_kl")
def mean_not_squared(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return 0.5 * (a.sqrt() * x0.double() - a - torch.log1p(-a))


@mutant("ch01.prior_kl")
def wrong_sign_of_the_logarithm(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return 0.5 * (a * x0.double() ** 2 - a + torch.log1p(-a))


@mutant("ch01.prior_kl")
def logarithm_of_alpha_bar(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return 0.5 * (a * x0.double() ** 2 - a - torch.log(a))


@mutant("ch01.prior_kl")
def the_other_direction(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return kl_divergence(Normal(0 * a, 1 + 0 * a), Normal(a.sqrt() * x0.double(), (1 - a).sqrt()))


@mutant("ch01.prior_kl")
def mean_over_the_pixels(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return (0.5 * (a * x0.double() ** 2 - a - torch.log1p(-a))).mean()


@mutant("ch01.prior_kl")
def variance_for_a_standard_deviation(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return kl_divergence(Normal(a.sqrt() * x0.double(), 1 - a), Normal(0 * a, 1 + 0 * a))


@mutant("ch01.prior_kl")
def all_in_float32(x0, alpha_bar_T):
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float32)
    return (0.5 * (a * x0.float() ** 2 - a - torch.log(1 - a))).double()


@mutant("ch01.prior_kl")
def stays_in_float32(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return (0.5 * (a * x0.double() ** 2 - a - torch.log1p(-a))).float()


@alternative("ch01.prior_kl")
def by_the_library(x0, alpha_bar_T):
    a = _a(alpha_bar_T)
    return kl_divergence(Normal(a.sqrt() * x0.double(), (1 - a).sqrt()), Normal(0 * a, 1 + 0 * a))


@alternative("ch01.prior_kl")
def from_mean_and_variance(x0, alpha_bar_T):
    m, v = float(alpha_bar_T) ** 0.5 * x0.double(), 1 - float(alpha_bar_T)
    return (v + m.square() - 1 - math.log(v)) / 2


# --- brightness_ratio ---

@mutant("ch01.brightness_ratio")
def no_square_root(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return 1 / (a * d * sd**2 + 1 - a)


@mutant("ch01.brightness_ratio")
def one_pixel_instead_of_d(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return 1 / (a * sd**2 + 1 - a) ** 0.5


@mutant("ch01.brightness_ratio")
def spread_instead_of_its_square(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return 1 / (a * d * sd + 1 - a) ** 0.5


@mutant("ch01.brightness_ratio")
def pixels_squared_too(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return 1 / (a * (d * sd) ** 2 + 1 - a) ** 0.5


@mutant("ch01.brightness_ratio")
def the_wrong_way_up(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return (a * d * sd**2 + 1 - a) ** 0.5


@mutant("ch01.brightness_ratio")
def root_of_alpha_bar(alpha_bar_T, d, sd):
    a = float(alpha_bar_T) ** 0.5
    return 1 / (a * d * sd**2 + 1 - a) ** 0.5


@mutant("ch01.brightness_ratio")
def noise_of_variance_one(alpha_bar_T, d, sd):
    return 1 / (float(alpha_bar_T) * d * sd**2 + 1) ** 0.5


@mutant("ch01.brightness_ratio")
def the_random_way_back(alpha_bar_T, d, sd):
    a, s2 = float(alpha_bar_T), d * sd**2
    v = a * s2 + 1 - a
    return (a * s2 / v**2 + (1 - a) / v) ** 0.5


@mutant("ch01.brightness_ratio")
def always_28_by_28(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return 1 / (a * 784 * sd**2 + 1 - a) ** 0.5


@mutant("ch01.brightness_ratio")
def never_above_one(alpha_bar_T, d, sd):
    a = float(alpha_bar_T)
    return min(1.0, 1 / (a * d * sd**2 + 1 - a) ** 0.5)


@alternative("ch01.brightness_ratio")
def by_tensors(alpha_bar_T, d, sd):
    a = torch.as_tensor(alpha_bar_T, dtype=F64)
    return (1 - a + a * d * sd * sd).rsqrt()


@alternative("ch01.brightness_ratio")
def by_numpy_and_standard_deviations(alpha_bar_T, d, sd):
    signal, noise = math.sqrt(alpha_bar_T) * math.sqrt(d) * sd, math.sqrt(1 - alpha_bar_T)
    return 1 / math.hypot(signal, noise)


@mutant("ch01.prior_kl")
def log_of_1_minus_a(x0, alpha_bar_T):
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float64)
    return 0.5 * (a * x0.double() ** 2 - a - torch.log(1 - a))


@mutant("ch01.brightness_ratio")
def ratio_in_float32(alpha_bar_T, d, sd):
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float32)
    return float(1 / (a * d * sd**2 + 1 - a).sqrt())
