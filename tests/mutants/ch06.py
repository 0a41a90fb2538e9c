"""Wrong and right answers to the exercises of chapter 06 on tables and targets; on losses in ch06_losses."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from minidiff.process.forward import expand_like
from minidiff.process.schedules import as_table
from minidiff.process.targets import from_target, to_target
from minidiff.process.zero_snr import zero_snr
from tests.mutants import alternative, mutant


def curve(T, s, power=2, over=None, u=None):
    u = torch.arange(T + 1, dtype=torch.float64) / T if u is None else u
    return torch.cos((u + s) / (1 + s if over is None else over) * math.pi / 2) ** power


def ratios(f):
    return 1 - f[1:] / f[:-1]


@mutant("ch06.cosine_betas")
def nothing_is_clipped(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s)))


@mutant("ch06.cosine_betas")
def cosine_without_its_square(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s, power=1)).clamp(max=largest))


@mutant("ch06.cosine_betas")
def offset_not_divided_out(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s, over=1)).clamp(max=largest))


@mutant("ch06.cosine_betas")
def no_offset(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, 0)).clamp(max=largest))


@mutant("ch06.cosine_betas")
def clip_written_by_hand(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s)).clamp(max=0.999))


@mutant("ch06.cosine_betas")
def one_minus_the_product(T=1000, s=0.008, largest=0.999):
    f = curve(T, s)
    return as_table((1 - f[1:] / f[0]).clamp(max=largest))


@mutant("ch06.cosine_betas")
def product_clipped_and_not_the_betas(T=1000, s=0.008, largest=0.999):
    f = curve(T, s)
    return as_table(ratios((f / f[0]).clamp(min=1 - largest)))


@mutant("ch06.cosine_betas")
def grid_of_T_points(T=1000, s=0.008, largest=0.999):
    f = curve(T, s, u=torch.linspace(0, 1, T, dtype=torch.float64))
    return as_table(F.pad(ratios(f), (1, 0)).clamp(max=largest))


@mutant("ch06.cosine_betas")
def table_without_clean_data(T=1000, s=0.008, largest=0.999):
    return ratios(curve(T, s)).clamp(max=largest)


@mutant("ch06.cosine_betas")
def computed_in_float32(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s).float()).clamp(max=largest))


@alternative("ch06.cosine_betas")
def step_by_step(T=1000, s=0.008, largest=0.999):
    def f(t):
        return math.cos((t / T + s) / (1 + s) * math.pi / 2) ** 2
    betas = [0.0] + [min(largest, 1 - f(t) / f(t - 1)) for t in range(1, T + 1)]
    return torch.tensor(betas, dtype=torch.float64)


@alternative("ch06.cosine_betas")
def by_numpy_and_half_angles(T=1000, s=0.008, largest=0.999):
    f = (1 + np.cos(np.pi * (np.arange(T + 1) / T + s) / (1 + s))) / 2
    return torch.from_numpy(np.concatenate([[0.0], np.minimum(1 - f[1:] / f[:-1], largest)]))


@mutant("ch06.convert")
def the_answer_is_left_as_it_is(out, x_t, alpha, sigma, source, target):
    return 1.0 * out


@mutant("ch06.convert")
def source_and_target_exchanged(out, x_t, alpha, sigma, source, target):
    return to_target(source, *from_target(target, out, x_t, alpha, sigma), alpha, sigma)


@mutant("ch06.convert")
def the_pair_exchanged(out, x_t, alpha, sigma, source, target):
    x0, eps = from_target(source, out, x_t, alpha, sigma)
    return to_target(target, eps, x0, alpha, sigma)


@mutant("ch06.convert")
def every_answer_is_noise(out, x_t, alpha, sigma, source, target):
    x0 = (x_t - expand_like(sigma, x_t) * out) / expand_like(alpha, x_t)
    return to_target(target, x0, out, alpha, sigma)


@mutant("ch06.convert")
def a_variance_of_1_is_assumed(out, x_t, alpha, sigma, source, target):
    length = (alpha**2 + sigma**2).sqrt()
    return to_target(target, *from_target(source, out, x_t, alpha / length, sigma / length), alpha, sigma)


@mutant("ch06.convert")
def levels_of_the_first_image(out, x_t, alpha, sigma, source, target):
    return to_target(target, *from_target(source, out, x_t, alpha[0], sigma[0]), alpha, sigma)


@mutant("ch06.convert")
def noise_not_derived_again(out, x_t, alpha, sigma, source, target):
    x0, _ = from_target(source, out, x_t, alpha, sigma)
    return to_target(target, x0, out, alpha, sigma)


@alternative("ch06.convert")
def by_cramers_rule_in_one_go(out, x_t, alpha, sigma, source, target):
    A, B, C, D = (expand_like(u(alpha, sigma), x_t) for u in (source.A, source.B, target.A, target.B))
    a, s = expand_like(alpha, x_t), expand_like(sigma, x_t)
    return ((C * B - D * A) * x_t + (D * a - C * s) * out) / (a * B - s * A)


@alternative("ch06.convert")
def image_by_image(out, x_t, alpha, sigma, source, target):
    rows = []
    for i in range(len(out)):
        x0, eps = from_target(source, out[i], x_t[i], alpha[i], sigma[i])
        rows.append(target.A(alpha[i], sigma[i]).to(x0) * x0 + target.B(alpha[i], sigma[i]).to(x0) * eps)
    return torch.stack(rows)


def needs_two_steps(alpha_bar):
    if len(alpha_bar) < 3:
        raise ValueError("two steps")
    return alpha_bar.double().sqrt()


@mutant("ch06.zero_snr")
def shifted_and_not_scaled(alpha_bar):
    root = needs_two_steps(alpha_bar)
    return torch.cat([root[:1], root[1:] - root[-1]]) ** 2


@mutant("ch06.zero_snr")
def clean_data_takes_part(alpha_bar):
    root = needs_two_steps(alpha_bar)
    return ((root - root[-1]) / (1 - root[-1])) ** 2


@mutant("ch06.zero_snr")
def only_the_last_entry_is_moved(alpha_bar):
    root = needs_two_steps(alpha_bar)
    return torch.cat([root[:-1], torch.zeros(1, dtype=torch.float64)]) ** 2


@mutant("ch06.zero_snr")
def without_the_root(alpha_bar):
    needs_two_steps(alpha_bar)
    a = alpha_bar.double()
    return torch.cat([a[:1], (a[1:] - a[-1]) * a[1] / (a[1] - a[-1])])


@mutant("ch06.zero_snr")
def the_roots_are_returned(alpha_bar):
    root = needs_two_steps(alpha_bar)
    return torch.cat([root[:1], (root[1:] - root[-1]) * root[1] / (root[1] - root[-1])])


@mutant("ch06.zero_snr")
def the_betas_are_returned(alpha_bar):
    root = needs_two_steps(alpha_bar)
    new = torch.cat([root[:1], (root[1:] - root[-1]) * root[1] / (root[1] - root[-1])]) ** 2
    return torch.cat([torch.zeros(1, dtype=torch.float64), 1 - new[1:] / new[:-1]])


@mutant("ch06.zero_snr")
def scaled_before_it_is_shifted(alpha_bar):
    root = needs_two_steps(alpha_bar)
    moved = root[1:] * root[1] / (root[1] - root[-1])
    return torch.cat([root[:1], moved - moved[-1]]).clamp(max=1) ** 2 * root[1]


@mutant("ch06.zero_snr")
def nan_for_a_single_step(alpha_bar):
    root = alpha_bar.double().sqrt()
    return torch.cat([root[:1], (root[1:] - root[-1]) * root[1] / (root[1] - root[-1])]) ** 2


@alternative("ch06.zero_snr")
def entry_by_entry(alpha_bar):
    root = needs_two_steps(alpha_bar).tolist()
    scale = root[1] / (root[1] - root[-1])
    return torch.tensor([1.0] + [((r - root[-1]) * scale) ** 2 for r in root[1:]], dtype=torch.float64)


@alternative("ch06.zero_snr")
def as_a_line_through_two_points(alpha_bar):
    root = needs_two_steps(alpha_bar)
    slope = root[1] / (root[1] - root[-1])
    new = slope * root - slope * root[-1]
    new[0] = 1
    return new.square()


@mutant("ch06.cosine_betas")
def clipped_from_below_too(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s)).clamp(min=1e-4, max=largest))


@mutant("ch06.cosine_betas")
def curve_in_float32(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s, u=torch.arange(T + 1) / T)).clamp(max=largest))


@mutant("ch06.zero_snr")
def root_in_float32(alpha_bar):
    return zero_snr(alpha_bar.float().sqrt().double() ** 2)
