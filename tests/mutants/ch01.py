"""Wrong and right answers to the exercises of chapter 01."""

import math

import torch
from torch.distributions import Normal, kl_divergence

from tests.mutants import alternative, mutant

F64 = torch.float64


def _zero_before(beta):
    return torch.cat([torch.zeros(1, dtype=F64), beta.to(F64)])


# --- linear_betas ---

@mutant("ch01.linear_betas")
def without_the_zero_of_clean_data(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.linspace(beta_1, beta_T, T, dtype=F64)


@mutant("ch01.linear_betas")
def the_line_starts_at_t_0(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.linspace(beta_1, beta_T, T + 1, dtype=F64)


@mutant("ch01.linear_betas")
def a_line_from_zero(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.linspace(0, beta_T, T + 1, dtype=F64)


@mutant("ch01.linear_betas")
def linear_in_the_square_root(T=1000, beta_1=1e-4, beta_T=0.02):
    return _zero_before(torch.linspace(beta_1**0.5, beta_T**0.5, T, dtype=F64) ** 2)


@mutant("ch01.linear_betas")
def geometric(T=1000, beta_1=1e-4, beta_T=0.02):
    return _zero_before(torch.logspace(math.log10(beta_1), math.log10(beta_T), T, dtype=F64))


@mutant("ch01.linear_betas")
def float32(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.cat([torch.zeros(1), torch.linspace(beta_1, beta_T, T)])


@mutant("ch01.linear_betas")
def never_reaches_beta_T(T=1000, beta_1=1e-4, beta_T=0.02):
    return _zero_before(beta_1 + (beta_T - beta_1) * torch.arange(T, dtype=F64) / T)


@mutant("ch01.linear_betas")
def always_a_thousand_steps(T=1000, beta_1=1e-4, beta_T=0.02):
    return _zero_before(torch.linspace(beta_1, beta_T, 1000, dtype=F64))


@mutant("ch01.linear_betas")
def ignores_its_ends(T=1000, beta_1=1e-4, beta_T=0.02):
    return _zero_before(torch.linspace(1e-4, 0.02, T, dtype=F64))


@mutant("ch01.linear_betas")
def other_defaults(T=1000, beta_1=1e-3, beta_T=0.02):
    return _zero_before(torch.linspace(beta_1, beta_T, T, dtype=F64))


@mutant("ch01.linear_betas")
def the_zero_at_the_end(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.cat([torch.linspace(beta_1, beta_T, T, dtype=F64), torch.zeros(1, dtype=F64)])


@alternative("ch01.linear_betas")
def filled_in_place(T=1000, beta_1=1e-4, beta_T=0.02):
    betas = torch.zeros(T + 1, dtype=F64)
    betas[1:] = torch.linspace(beta_1, beta_T, T, dtype=F64)
    return betas


@alternative("ch01.linear_betas")
def one_step_after_the_other(T=1000, beta_1=1e-4, beta_T=0.02):
    betas = [0.0]
    for t in range(1, T + 1):
        betas.append(beta_1 + (beta_T - beta_1) * (t - 1) / (T - 1))
    return torch.tensor(betas, dtype=F64)


@alternative("ch01.linear_betas")
def padded(T=1000, beta_1=1e-4, beta_T=0.02):
    steps = torch.arange(T, dtype=F64) / (T - 1)
    return torch.nn.functional.pad(torch.lerp(torch.tensor(beta_1, dtype=F64), torch.tensor(beta_T, dtype=F64), steps),
                                   (1, 0))


# --- alpha_bar_of ---

@mutant("ch01.alpha_bar_of")
def product_of_betas(betas):
    return torch.cumprod(betas.double(), dim=0)


@mutant("ch01.alpha_bar_of")
def one_minus_the_product(betas):
    return 1 - torch.cumprod(betas.double(), dim=0)


@mutant("ch01.alpha_bar_of")
def one_minus_the_sum(betas):
    return 1 - torch.cumsum(betas.double(), dim=0)


@mutant("ch01.alpha_bar_of")
def exponential_of_the_sum(betas):
    return torch.exp(-torch.cumsum(betas.double(), dim=0))


@mutant("ch01.alpha_bar_of")
def without_the_step_t_itself(betas):
    return torch.cumprod(1 - betas.double(), dim=0).roll(1).index_fill(0, torch.tensor(0), 1.0)


@mutant("ch01.alpha_bar_of")
def without_the_entry_of_clean_data(betas):
    return torch.cumprod(1 - betas.double(), dim=0)[1:]


@mutant("ch01.alpha_bar_of")
def an_extra_one_in_front(betas):
    return _zero_before(1 - torch.cumprod(1 - betas.double(), dim=0)).neg().add(1)


@mutant("ch01.alpha_bar_of")
def the_whole_product(betas):
    return (1 - betas.double()).prod().expand_as(betas)


@mutant("ch01.alpha_bar_of")
def only_this_steps_factor(betas):
    return 1 - betas.double()


@mutant("ch01.alpha_bar_of")
def in_float32(betas):
    return torch.cumprod(1 - betas.float(), dim=0).double()


@mutant("ch01.alpha_bar_of")
def in_the_dtype_of_the_betas(betas):
    return torch.cumprod(1 - betas, dim=0)


@mutant("ch01.alpha_bar_of")
def already_the_square_root(betas):
    return torch.cumprod((1 - betas.double()).sqrt(), dim=0)


@mutant("ch01.alpha_bar_of")
def overwrites_the_betas(betas):
    return torch.cumprod(betas.neg_().add_(1).double(), dim=0)


@alternative("ch01.alpha_bar_of")
def loop(betas):
    alpha_bar = torch.ones(len(betas), dtype=F64)
    for t in range(1, len(betas)):
        alpha_bar[t] = alpha_bar[t - 1] * (1 - betas[t].double())
    return alpha_bar


@alternative("ch01.alpha_bar_of")
def sum_of_logarithms(betas):
    return torch.log1p(-betas.to(F64)).cumsum(0).exp()


# --- q_sample ---

def _like(values, x):
    """An entry per image, shaped (B, 1, ...): the mutants' own way of broadcasting."""
    return torch.as_tensor(values, dtype=x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))


@mutant("ch01.q_sample")
def variance_instead_of_standard_deviation(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a) * eps


@mutant("ch01.q_sample")
def no_root_on_the_picture(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def roots_of_factors_that_add_to_one(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t].sqrt(), x0)
    return a * x0 + (1 - a) * eps


@mutant("ch01.q_sample")
def picture_and_noise_swapped(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return (1 - a).sqrt() * x0 + a.sqrt() * eps


@mutant("ch01.q_sample")
def counts_from_zero(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t - 1], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def same_time_for_all(x0, t, eps, alpha_bar):
    a = alpha_bar[torch.as_tensor(t).flatten()[0]].to(x0.dtype)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def a_time_per_column(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0.dtype)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def only_one_step(x0, t, eps, alpha_bar):
    before = alpha_bar[torch.as_tensor(t) - 1]
    a = _like(alpha_bar[t] / before, x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def draws_its_own_noise(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * torch.randn_like(x0)


@mutant("ch01.q_sample")
def promotes_to_float64(x0, t, eps, alpha_bar):
    a = alpha_bar[t].reshape((-1,) + (1,) * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def adds_noise_without_shrinking(x0, t, eps, alpha_bar):
    return x0 + (1 - _like(alpha_bar[t], x0)).sqrt() * eps


@mutant("ch01.q_sample")
def only_pictures(x0, t, eps, alpha_bar):
    a = torch.as_tensor(alpha_bar[t]).to(x0.dtype).view(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def cuts_the_gradient(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return a.sqrt() * x0.detach() + (1 - a).sqrt() * eps


@mutant("ch01.q_sample")
def in_place(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return x0.mul_(a.sqrt()).add_((1 - a).sqrt() * eps)


@mutant("ch01.q_sample")
def clamped_to_the_range_of_pictures(x0, t, eps, alpha_bar):
    a = _like(alpha_bar[t], x0)
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps).clamp(-1, 1)


@alternative("ch01.q_sample")
def one_image_after_the_other(x0, t, eps, alpha_bar):
    times = torch.as_tensor(t).expand(len(x0)).tolist()
    rows = [math.sqrt(alpha_bar[s]) * x + math.sqrt(1 - alpha_bar[s]) * e for x, s, e in zip(x0, times, eps)]
    return torch.stack(rows)


@alternative("ch01.q_sample")
def unsqueezed(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0.dtype)
    while 0 < a.ndim < x0.ndim:
        a = a.unsqueeze(-1)
    return torch.sqrt(1 - a) * eps + torch.sqrt(a) * x0


@alternative("ch01.q_sample")
def images_last(x0, t, eps, alpha_bar):
    a = alpha_bar[t].to(x0)
    axes = tuple(reversed(range(x0.ndim)))
    return (a**0.5 * x0.permute(axes) + (1 - a) ** 0.5 * eps.permute(axes)).permute(axes)


# --- snr ---

@mutant("ch01.snr")
def ratio_of_standard_deviations(alpha_bar):
    return (alpha_bar / (1 - alpha_bar)).sqrt()


@mutant("ch01.snr")
def upside_down(alpha_bar):
    return (1 - alpha_bar) / alpha_bar


@mutant("ch01.snr")
def logarithm(alpha_bar):
    return torch.log(alpha_bar / (1 - alpha_bar))


@mutant("ch01.snr")
def decibels(alpha_bar):
    return 10 * torch.log10(alpha_bar / (1 - alpha_bar))


@mutant("ch01.snr")
def noise_power_only(alpha_bar):
    return 1 / (1 - alpha_bar)


@mutant("ch01.snr")
def noise_without_its_square(alpha_bar):
    return alpha_bar / (1 - alpha_bar).sqrt()


@mutant("ch01.snr")
def squared_twice(alpha_bar):
    return alpha_bar**2 / (1 - alpha_bar) ** 2


@mutant("ch01.snr")
def share_of_the_whole(alpha_bar):
    return alpha_bar


@mutant("ch01.snr")
def guarded_against_the_infinite(alpha_bar):
    return alpha_bar / (1 - alpha_bar + 1e-8)


@mutant("ch01.snr")
def as_float32(alpha_bar):
    return (alpha_bar / (1 - alpha_bar)).float()


@alternative("ch01.snr")
def odds(alpha_bar):
    return 1 / (1 / alpha_bar - 1)


@alternative("ch01.snr")
def squares_of_alpha_and_sigma(alpha_bar):
    alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return (alpha / sigma) ** 2


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


# --- one precision lower --------------------------------------------------------------------------------------------

@mutant("ch01.linear_betas")
def ramp_in_float32_cast_later(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.cat([torch.zeros(1), torch.linspace(beta_1, beta_T, T)]).double()


@mutant("ch01.prior_kl")
def log_of_1_minus_a(x0, alpha_bar_T):
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float64)
    return 0.5 * (a * x0.double() ** 2 - a - torch.log(1 - a))


@mutant("ch01.brightness_ratio")
def ratio_in_float32(alpha_bar_T, d, sd):
    a = torch.as_tensor(alpha_bar_T, dtype=torch.float32)
    return float(1 / (a * d * sd**2 + 1 - a).sqrt())
