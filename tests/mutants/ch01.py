"""Wrong and right answers of chapter 01 on the schedule; on noised pictures in ch01_forward and ch01_left."""

import math

import torch

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


# --- one precision lower --------------------------------------------------------------------------------------------

@mutant("ch01.linear_betas")
def ramp_in_float32_cast_later(T=1000, beta_1=1e-4, beta_T=0.02):
    return torch.cat([torch.zeros(1), torch.linspace(beta_1, beta_T, T)]).double()
