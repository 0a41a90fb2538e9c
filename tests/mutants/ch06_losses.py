"""Wrong and right answers of chapter 06 on losses: the weight of a level, and the hybrid loss."""

import torch
import torch.nn.functional as F

from minidiff.process.targets import predict_x0
from minidiff.process.variance import learned_variance, vlb_estimate, vlb_term
from minidiff.process.weights import LEAST, loss_weight
from tests.mutants import alternative, mutant


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


@mutant("ch06.loss_weight")
def weights_in_the_type_of_the_input(weight, target, alpha, sigma):
    return loss_weight(weight, target, alpha.float(), sigma.float()).double()
