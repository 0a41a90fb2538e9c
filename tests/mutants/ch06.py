"""Wrong and right answers to the exercises of chapter 06."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from minidiff.process.forward import expand_like
from minidiff.process.schedules import as_table
from minidiff.process.targets import from_target, predict_x0, to_target
from minidiff.process.variance import learned_variance, vlb_estimate, vlb_term
from minidiff.process.weights import LEAST, loss_weight
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


def kept(alpha, sigma, least=LEAST):
    return alpha.double().clamp(min=least), sigma.double().clamp(min=least)


def determinant(target, alpha, sigma):
    return alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)


def refused(weights, limit=1 / LEAST):
    if (weights > limit).any():
        raise ValueError("infinite")
    return weights


@mutant("ch06.loss_weight")
def the_weight_of_x0_on_every_target(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    return refused(weight((alpha / sigma) ** 2) * torch.ones_like(alpha))


@mutant("ch06.loss_weight")
def identity_without_its_square(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    return refused(weight((alpha / sigma) ** 2) * (sigma / determinant(target, alpha, sigma)).abs())


@mutant("ch06.loss_weight")
def identity_upside_down(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    return refused(weight((alpha / sigma) ** 2) * (determinant(target, alpha, sigma) / sigma) ** 2)


@mutant("ch06.loss_weight")
def snr_without_its_square(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    return refused(weight(alpha / sigma) * (sigma / determinant(target, alpha, sigma)) ** 2)


@mutant("ch06.loss_weight")
def determinant_with_a_plus(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    d = alpha * target.B(alpha, sigma) + sigma * target.A(alpha, sigma)
    return refused(weight((alpha / sigma) ** 2) * (sigma / d) ** 2)


@mutant("ch06.loss_weight")
def every_target_is_noise(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    snr = (alpha / sigma) ** 2
    return refused(weight(snr) / snr)


@mutant("ch06.loss_weight")
def nan_at_zero_snr(weight, target, alpha, sigma):
    alpha, sigma = alpha.double(), sigma.double()
    return refused(weight((alpha / sigma) ** 2) * (sigma / determinant(target, alpha, sigma)) ** 2)


@mutant("ch06.loss_weight")
def infinite_weights_go_unnoticed(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    return weight((alpha / sigma) ** 2) * (sigma / determinant(target, alpha, sigma)) ** 2


@mutant("ch06.loss_weight")
def ends_cut_at_a_tenth(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma, least=0.1)
    return refused(weight((alpha / sigma) ** 2) * (sigma / determinant(target, alpha, sigma)) ** 2, limit=100)


@mutant("ch06.loss_weight")
def gamma_written_by_hand(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    weight((alpha / sigma) ** 2)
    return refused(((alpha / sigma) ** 2).clamp(max=5) * (sigma / determinant(target, alpha, sigma)) ** 2)


@alternative("ch06.loss_weight")
def by_the_error_of_x0_for_an_error_of_1(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    A, B = target.A(alpha, sigma), target.B(alpha, sigma)
    off = -sigma / (alpha * B - sigma * A)  # from_target, for two answers that differ by 1
    return refused(off.square() * weight(alpha.square() / sigma.square()))


@alternative("ch06.loss_weight")
def by_logarithms(weight, target, alpha, sigma):
    alpha, sigma = kept(alpha, sigma)
    away = sigma.log() - determinant(target, alpha, sigma).abs().log()
    return refused(weight(torch.exp(2 * (alpha.log() - sigma.log()))) * torch.exp(2 * away))


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


def answers(net, x0, t, eps, path):
    x_t = path.mix(x0, eps, t)
    return x_t, *net(x_t, t).chunk(2, dim=1)


@mutant("ch06.hybrid_loss")
def the_bound_moves_the_noise_too(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    return (eps_hat - eps).square().mean() + vlb_weight * vlb_estimate(x0, x_t, eps_hat, mix, t, path).mean()


@mutant("ch06.hybrid_loss")
def the_variance_is_detached(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    vlb = vlb_estimate(x0, x_t, eps_hat, mix.detach(), t, path).mean()
    return (eps_hat - eps).square().mean() + vlb_weight * vlb


@mutant("ch06.hybrid_loss")
def the_halves_exchanged(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, mix, eps_hat = answers(net, x0, t, eps, path)
    vlb = vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, path).mean()
    return (eps_hat - eps).square().mean() + vlb_weight * vlb


@mutant("ch06.hybrid_loss")
def one_term_in_place_of_the_bound(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    x0_hat = predict_x0(x_t, t, eps_hat.detach(), path.alpha_bar)
    term = vlb_term(x0, x_t, x0_hat, learned_variance(mix, t, path), t, path).mean()
    return (eps_hat - eps).square().mean() + vlb_weight * term


@mutant("ch06.hybrid_loss")
def weight_written_by_hand(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    return (eps_hat - eps).square().mean() + 1e-3 * vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, path).mean()


@mutant("ch06.hybrid_loss")
def sums_over_the_batch(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    vlb = vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, path).sum()
    return (eps_hat - eps).square().mean() + vlb_weight * vlb


@mutant("ch06.hybrid_loss")
def the_error_of_the_picture(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    vlb = vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, path).mean()
    return (predict_x0(x_t, t, eps_hat, path.alpha_bar) - x0).square().mean() + vlb_weight * vlb


@mutant("ch06.hybrid_loss")
def the_bound_sees_the_true_noise(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    return (eps_hat - eps).square().mean() + vlb_weight * vlb_estimate(x0, x_t, eps, mix, t, path).mean()


@mutant("ch06.hybrid_loss")
def the_first_two_channels(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t = path.mix(x0, eps, t)
    out = net(x_t, t)
    eps_hat, mix = out[:, :1], out[:, 1:2]
    vlb = vlb_estimate(x0, x_t, eps_hat.detach().expand_as(x0), mix.expand_as(x0), t, path).mean()
    return (eps_hat - eps).square().mean() + vlb_weight * vlb


@alternative("ch06.hybrid_loss")
def by_slices_and_mse(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, C = path.mix(x0, eps, t), x0.shape[1]
    out = net(x_t, t)
    vlb = vlb_estimate(x0, x_t, out[:, :C].detach(), out[:, C:], t, path)
    return F.mse_loss(out[:, :C], eps) + vlb_weight * vlb.sum() / len(vlb)


@alternative("ch06.hybrid_loss")
def term_by_term(net, x0, t, eps, path, vlb_weight=1e-3):
    x_t, eps_hat, mix = answers(net, x0, t, eps, path)
    with torch.no_grad():
        x0_hat = predict_x0(x_t, t, eps_hat, path.alpha_bar)
    terms = vlb_term(x0, x_t, x0_hat, learned_variance(mix, t, path), t, path)
    return (eps - eps_hat).pow(2).mean() + vlb_weight * path.T * terms.mean()


@mutant("ch06.cosine_betas")
def clipped_from_below_too(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s)).clamp(min=1e-4, max=largest))


@mutant("ch06.cosine_betas")
def curve_in_float32(T=1000, s=0.008, largest=0.999):
    return as_table(ratios(curve(T, s, u=torch.arange(T + 1) / T)).clamp(max=largest))


@mutant("ch06.zero_snr")
def root_in_float32(alpha_bar):
    return zero_snr(alpha_bar.float().sqrt().double() ** 2)


@mutant("ch06.loss_weight")
def weights_in_the_type_of_the_input(weight, target, alpha, sigma):
    return loss_weight(weight, target, alpha.float(), sigma.float()).double()
