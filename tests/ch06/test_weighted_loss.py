"""Times and their spread, and the loss of any target with any weight at real times."""

import math

import pytest
import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.models.mlp import MLP
from minidiff.process.continuous import cosine_path, interpolated_path, vp_path
from minidiff.process.forward import expand_like
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS, V, X0, to_target
from minidiff.process.weighted_loss import logit_normal_times, stratified_times, uniform_times, weighted_loss
from minidiff.process.weights import loss_weight, min_snr, snr_plus_one, snr_weight

TABLE = interpolated_path(alpha_bar_of(linear_betas()))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("times", [uniform_times, stratified_times, logit_normal_times])
def test_times_lie_in_the_unit_interval_and_never_at_clean_data(times):
    t = times(100_000, generator())
    assert t.shape == (100_000,) and t.dtype == torch.float64 and t.min() > 0 and t.max() <= 1
    assert torch.equal(t, times(100_000, generator())) and not torch.equal(t, times(100_000, generator(1)))
    assert t.mean() == pytest.approx(0.5, abs=4 * 0.29 / 100_000**0.5)


def test_stratified_times_are_one_in_each_slice():
    t = stratified_times(64, generator())
    assert (t * 64).ceil().long().tolist() == list(range(1, 65))


def test_stratified_times_are_uniform_one_by_one_and_their_mean_hardly_moves():
    means = {times: torch.stack([times(64, generator(seed)).square().mean() for seed in range(200)])
             for times in (uniform_times, stratified_times)}
    assert means[stratified_times].mean() == pytest.approx(1 / 3, abs=1e-3)
    assert means[stratified_times].std() < means[uniform_times].std() / 30  # falls like n^-3/2 and not like n^-1/2


def test_logit_normal_times_are_normal_in_the_logit():
    logit = torch.logit(logit_normal_times(100_000, generator(), mean=-0.5, std=1.5))
    assert logit.mean() == pytest.approx(-0.5, abs=0.02) and logit.std() == pytest.approx(1.5, rel=0.01)


def test_the_loss_is_weight_times_the_error_of_x0_for_every_target():
    """One seed, three targets, one error of x0: the same loss, to the last digits of float32."""
    x0, losses, path = torch.rand(64, 2, generator=generator(1)) * 2 - 1, [], TABLE

    for target in (EPS, X0, V):
        def net(x_t, t, target=target):
            alpha, sigma = path.alpha(t), path.sigma(t)
            x0_hat = x0 + 0.1 * torch.sin(3 * x_t)
            eps_hat = (x_t.double() - expand_like(alpha, x0.double()) * x0_hat) / expand_like(sigma, x0.double())
            return to_target(target, x0_hat.double(), eps_hat, alpha, sigma).float()
        losses.append(float(weighted_loss(net, x0, path, target, generator(), weight=min_snr)[0]))
    assert losses == pytest.approx(losses[:1] * 3, rel=1e-3)


@pytest.mark.parametrize("target, weight", [(EPS, snr_weight), (V, snr_plus_one)])
def test_without_a_weight_it_is_the_plain_error_of_the_target(target, weight):
    net, x0 = MLP(), torch.randn(32, 2, generator=generator(3))
    plain, logs = weighted_loss(net, x0, vp_path(), target, generator())
    weighted, _ = weighted_loss(net, x0, vp_path(), target, generator(), weight=weight)
    assert float(plain.detach()) == pytest.approx(float(weighted.detach()), rel=1e-5)
    assert float(logs["each"].mean()) == pytest.approx(float(plain.detach()), rel=1e-6) and logs["t"].max() <= 1


def test_the_network_is_told_times_on_the_scale_of_0_to_1000():
    told = []

    def net(x, t):
        told.append(t)
        return x
    _, logs = weighted_loss(net, torch.zeros(50, 2), cosine_path(), V, generator())
    torch.testing.assert_close(told[0], 1000 * logs["t"], rtol=1e-12, atol=0)


def test_the_least_loss_is_the_weight_times_what_nobody_knows():
    """For Gaussian data, the mean of weight times v / (1 + v SNR) over the times: by 1-D quadrature."""
    world, path = Gaussian(0.2, 0.3), vp_path()

    def best(x_t, t):
        alpha, sigma = path.alpha(t / 1000), path.sigma(t / 1000)
        x0 = world.denoise(x_t, alpha, sigma)
        eps = (x_t - expand_like(alpha, x_t) * x0) / expand_like(sigma, x_t)
        return to_target(V, x0, eps, alpha, sigma)

    x0 = world.sample(200_000, generator(1))[:, None].float()
    loss, logs = weighted_loss(best, x0, path, V, generator(), times=logit_normal_times, weight=min_snr)
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    t = torch.sigmoid(z)
    alpha, sigma = path.alpha(t), path.sigma(t)
    unknown = min_snr((alpha / sigma) ** 2) * world.error(alpha**2)
    expected = float((torch.exp(-z**2 / 2) * unknown).sum() * (z[1] - z[0]) / math.sqrt(2 * math.pi))
    weighted = loss_weight(min_snr, V, path.alpha(logs["t"]), path.sigma(logs["t"])) * logs["each"]
    assert float(loss) == pytest.approx(expected, abs=4 * float(weighted.std()) / len(x0) ** 0.5)


def test_targets_and_weights_that_do_not_fit_the_path_are_refused():
    x0 = torch.zeros(4, 2)
    with pytest.raises(ValueError, match="eps cannot be used on a path that ends in pure noise"):
        weighted_loss(lambda x, t: x, x0, cosine_path(), EPS, generator())
    with pytest.raises(ValueError, match="infinite on errors of eps at alpha = 0"):
        loss_weight(snr_plus_one, EPS, cosine_path().alpha(1.0), cosine_path().sigma(1.0))
