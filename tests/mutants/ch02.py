"""Wrong and right answers to the exercises of chapter 02: posterior, predict_x0, kl_gauss."""

import math

import torch
from torch.distributions import Normal, kl_divergence

from minidiff.process.forward import expand_like
from minidiff.process.posterior import posterior, posterior_variance
from minidiff.process.targets import predict_x0
from tests.mutants import alternative, mutant


def posterior_with(weight_x0, weight_x_t, variance=posterior_variance):
    def posterior(x_t, x0, t, alpha_bar, s=None):
        a_t, a_s = alpha_bar[t], alpha_bar[t - 1 if s is None else s]
        w_0, w_t = weight_x0(a_t, a_s), weight_x_t(a_t, a_s)
        return expand_like(w_0, x0) * x0 + expand_like(w_t, x_t) * x_t, variance(t, alpha_bar, s)
    return posterior


def right_x0(a_t, a_s):
    return a_s.sqrt() * (1 - a_t / a_s) / (1 - a_t)


def right_x_t(a_t, a_s):
    return (a_t / a_s).sqrt() * (1 - a_s) / (1 - a_t)


@mutant("ch02.posterior")
def weights_swapped(x_t, x0, t, alpha_bar, s=None):
    return posterior_with(right_x_t, right_x0)(x_t, x0, t, alpha_bar, s)


@mutant("ch02.posterior")
def alpha_bar_t_in_the_weight_of_x0(x_t, x0, t, alpha_bar, s=None):
    def wrong(a_t, a_s):
        return a_t.sqrt() * (1 - a_t / a_s) / (1 - a_t)
    return posterior_with(wrong, right_x_t)(x_t, x0, t, alpha_bar, s)


@mutant("ch02.posterior")
def root_missing_in_the_weight_of_x_t(x_t, x0, t, alpha_bar, s=None):
    return posterior_with(right_x0, lambda a_t, a_s: a_t / a_s * (1 - a_s) / (1 - a_t))(x_t, x0, t, alpha_bar, s)


@mutant("ch02.posterior")
def beta_as_the_variance(x_t, x0, t, alpha_bar, s=None):
    def beta(t, alpha_bar, s):
        return 1 - alpha_bar[t] / alpha_bar[t - 1 if s is None else s]
    return posterior_with(right_x0, right_x_t, beta)(x_t, x0, t, alpha_bar, s)


@mutant("ch02.posterior")
def standard_deviation_instead_of_variance(x_t, x0, t, alpha_bar, s=None):
    def std(t, alpha_bar, s):
        return posterior_variance(t, alpha_bar, s).sqrt()
    return posterior_with(right_x0, right_x_t, std)(x_t, x0, t, alpha_bar, s)


@mutant("ch02.posterior")
def s_is_ignored(x_t, x0, t, alpha_bar, s=None):
    return posterior_with(right_x0, right_x_t)(x_t, x0, t, alpha_bar)


@mutant("ch02.posterior")
def variance_of_the_step_before_t_for_every_s(x_t, x0, t, alpha_bar, s=None):
    mean, _ = posterior_with(right_x0, right_x_t)(x_t, x0, t, alpha_bar, s)
    return mean, posterior_variance(t, alpha_bar)


@mutant("ch02.posterior")
def weights_broadcast_along_the_width(x_t, x0, t, alpha_bar, s=None):
    a_t, a_s = alpha_bar[t], alpha_bar[t - 1 if s is None else s]
    return right_x0(a_t, a_s) * x0 + right_x_t(a_t, a_s) * x_t, posterior_variance(t, alpha_bar, s)


@alternative("ch02.posterior")
def by_adding_precisions(x_t, x0, t, alpha_bar, s=None):
    s = t - 1 if s is None else s
    a_t, a_s = alpha_bar[t], alpha_bar[s]
    alpha, beta, v_s = a_t / a_s, 1 - a_t / a_s, 1 - a_s
    variance = beta * v_s / (alpha * v_s + beta)
    w_t, w_0 = alpha.sqrt() * v_s / (alpha * v_s + beta), a_s.sqrt() * beta / (alpha * v_s + beta)
    return expand_like(w_t, x_t) * x_t + expand_like(w_0, x0) * x0, variance


@alternative("ch02.posterior")
def by_the_gain_of_a_kalman_filter(x_t, x0, t, alpha_bar, s=None):
    s = t - 1 if s is None else s
    a_t, a_s = alpha_bar[t], alpha_bar[s]
    gain = (a_t / a_s).sqrt() * (1 - a_s) / (1 - a_t)
    guess = expand_like(a_s.sqrt(), x0) * x0
    mean = guess + expand_like(gain, x_t) * (x_t - expand_like((a_t / a_s).sqrt(), x_t) * guess)
    return mean, (1 - a_s) * (1 - gain * (a_t / a_s).sqrt())


def checked(alpha_bar, t):
    if (alpha_bar[t] == 0).any():
        raise ValueError("pure noise")
    return alpha_bar[t]


@mutant("ch02.predict_x0")
def forgets_to_divide(x_t, t, eps, alpha_bar):
    return x_t - expand_like((1 - checked(alpha_bar, t)).sqrt(), x_t) * eps


@mutant("ch02.predict_x0")
def variance_instead_of_standard_deviation(x_t, t, eps, alpha_bar):
    a = expand_like(checked(alpha_bar, t), x_t)
    return (x_t - (1 - a) * eps) / a.sqrt()


@mutant("ch02.predict_x0")
def divides_by_alpha_bar(x_t, t, eps, alpha_bar):
    a = expand_like(checked(alpha_bar, t), x_t)
    return (x_t - (1 - a).sqrt() * eps) / a


@mutant("ch02.predict_x0")
def adds_the_noise_again(x_t, t, eps, alpha_bar):
    a = expand_like(checked(alpha_bar, t), x_t)
    return (x_t + (1 - a).sqrt() * eps) / a.sqrt()


@mutant("ch02.predict_x0")
def counts_steps_from_0(x_t, t, eps, alpha_bar):
    checked(alpha_bar, t)
    a = expand_like(alpha_bar[t - 1], x_t)
    return (x_t - (1 - a).sqrt() * eps) / a.sqrt()


@mutant("ch02.predict_x0")
def step_of_the_first_image_for_all(x_t, t, eps, alpha_bar):
    a = checked(alpha_bar, torch.as_tensor(t).flatten()[:1]).to(x_t)
    return (x_t - (1 - a).sqrt() * eps) / a.sqrt()


@mutant("ch02.predict_x0")
def infinity_at_pure_noise(x_t, t, eps, alpha_bar):
    a = expand_like(alpha_bar[t], x_t)
    return (x_t - (1 - a).sqrt() * eps) / a.sqrt()


@mutant("ch02.predict_x0")
def clips_to_the_range_of_pictures(x_t, t, eps, alpha_bar):
    a = expand_like(checked(alpha_bar, t), x_t)
    return ((x_t - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-1, 1)


@alternative("ch02.predict_x0")
def with_the_reciprocals_of_published_code(x_t, t, eps, alpha_bar):
    a = checked(alpha_bar, t)
    return expand_like(a.rsqrt(), x_t) * x_t - expand_like((1 / a - 1).sqrt(), x_t) * eps


@alternative("ch02.predict_x0")
def image_by_image(x_t, t, eps, alpha_bar):
    steps = [t] * len(x_t) if isinstance(t, int) else t.tolist()
    out = torch.empty_like(x_t)
    for i, k in enumerate(steps):
        a = float(alpha_bar[k])
        if a == 0:
            raise ValueError("pure noise")
        out[i] = (x_t[i] - math.sqrt(1 - a) * eps[i]) / math.sqrt(a)
    return out


@mutant("ch02.kl_gauss")
def arguments_in_the_other_order(mean_1, var_1, mean_2, var_2):
    return 0.5 * (torch.log(var_1 / var_2) + (var_2 + (mean_1 - mean_2) ** 2) / var_1 - 1)


@mutant("ch02.kl_gauss")
def takes_standard_deviations(mean_1, var_1, mean_2, var_2):
    return torch.log(var_2 / var_1) + (var_1**2 + (mean_1 - mean_2) ** 2) / (2 * var_2**2) - 0.5


@mutant("ch02.kl_gauss")
def half_missing(mean_1, var_1, mean_2, var_2):
    return torch.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2) ** 2) / var_2 - 1


@mutant("ch02.kl_gauss")
def minus_one_missing(mean_1, var_1, mean_2, var_2):
    return 0.5 * (torch.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2) ** 2) / var_2)


@mutant("ch02.kl_gauss")
def means_not_squared(mean_1, var_1, mean_2, var_2):
    return 0.5 * (torch.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2).abs()) / var_2 - 1)


@mutant("ch02.kl_gauss")
def summed_over_the_picture(mean_1, var_1, mean_2, var_2):
    kl = 0.5 * (torch.log(var_2 / var_1) + (var_1 + (mean_1 - mean_2) ** 2) / var_2 - 1)
    return kl.flatten(1).sum(dim=1) if kl.ndim > 1 else kl.sum()


@mutant("ch02.kl_gauss")
def in_bits(mean_1, var_1, mean_2, var_2):
    return 0.5 * (torch.log2(var_2 / var_1) + ((var_1 + (mean_1 - mean_2) ** 2) / var_2 - 1) / math.log(2))


@alternative("ch02.kl_gauss")
def by_torch_distributions(mean_1, var_1, mean_2, var_2):
    return kl_divergence(Normal(mean_1, var_1.sqrt()), Normal(mean_2, var_2.sqrt()))


@alternative("ch02.kl_gauss")
def with_logarithms_of_variances(mean_1, var_1, mean_2, var_2):
    log_1, log_2 = var_1.log(), var_2.log()
    return 0.5 * (-1 + log_2 - log_1 + torch.exp(log_1 - log_2) + (mean_1 - mean_2).square() * torch.exp(-log_2))


# --- defaults that are falsy, tables used whole, one precision lower -------------------------------------------------

@mutant("ch02.posterior")
def clean_data_taken_for_not_given(x_t, x0, t, alpha_bar, s=None):
    given = s is not None and bool(torch.as_tensor(s).any())
    return posterior(x_t, x0, t, alpha_bar, s if given else None)


@mutant("ch02.posterior")
def weights_in_float32(x_t, x0, t, alpha_bar, s=None):
    mean, variance = posterior(x_t.float(), x0.float(), t, alpha_bar, s)
    return mean.to(x_t.dtype), variance


@mutant("ch02.predict_x0")
def refuses_a_whole_table_for_its_last_entry(x_t, t, eps, alpha_bar):
    if (alpha_bar == 0).any():
        raise ValueError("alpha_bar is 0 somewhere")
    return predict_x0(x_t, t, eps, alpha_bar)
