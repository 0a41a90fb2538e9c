"""The autoencoder: what its shapes are, what its KL is, and what its two losses weigh."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from minidiff.models.kl_vae import HIGH, KLVAE, LOW, last_layer, means, pictures_of, reparameterise
from minidiff.process.autoencoding import kl_diag, vae_loss, weight_of_sums
from minidiff.process.elbo import kl_gauss
from tests.nets import awake, normal

SMALL = {"channels": (8, 16), "patch": 2}


@pytest.mark.parametrize("channels, patch, factor", [((8,), 2, 2), ((8, 16), 1, 2), ((8, 16), 2, 4), ((8, 8, 8), 2, 8)])
@pytest.mark.parametrize("latent", [4, 16])
def test_a_picture_that_is_not_square_has_latents_of_its_shape(channels, patch, factor, latent):
    net = awake(KLVAE(3, latent, channels, patch=patch))
    x = normal(2, 3, 3 * 8, 5 * 8)
    mean, log_var = net.encode(x)
    assert net.factor == factor
    assert mean.shape == log_var.shape == (2, latent, 24 // factor, 40 // factor) == (2, *net.grid(24, 40))
    picture, *both = net(x, torch.zeros_like(mean))
    assert picture.shape == x.shape and torch.equal(both[0], mean) and torch.equal(both[1], log_var)


def test_sides_that_do_not_fit_are_a_sentence():
    with pytest.raises(ValueError, match="the sides of a picture must be multiples of 4, got 8 x 10 pixels"):
        KLVAE(**SMALL).encode(torch.zeros(1, 3, 8, 10))


def middle_of(change):
    """The centre of mass of a change (C, H, W), in shares of the height and of the width."""
    mass = change.abs().sum(dim=0)
    return [float((mass * torch.linspace(0, 1, n).view(shape)).sum() / mass.sum())
            for n, shape in ((mass.shape[0], (-1, 1)), (mass.shape[1], (1, -1)))]


@pytest.mark.parametrize("up, right", [(True, True), (False, False), (False, True)])
def test_a_corner_of_the_picture_is_a_corner_of_the_latents_and_back(up, right):
    """On a grid of 4 x 7, with weights as they are at the start, where each place sees its surroundings alone."""
    torch.manual_seed(0)
    net = KLVAE(3, 4, **SMALL).eval()
    for change in (lambda x: net.encode(x)[0], net.decode):
        x = normal(1, 3, 16, 28) if change != net.decode else normal(1, 4, 4, 7)
        h, w = x.shape[2] // 4, x.shape[3] // 7
        other = x.clone()
        other[..., slice(0, h) if up else slice(-h, None), slice(-w, None) if right else slice(0, w)] += 2.0
        y, x_ = middle_of((change(other) - change(x)).detach()[0])
        assert (y < 0.45 if up else y > 0.55) and (x_ > 0.55 if right else x_ < 0.45), (y, x_)


def test_log_var_is_bounded_and_beyond_the_bound_has_no_slope():
    net = KLVAE(3, 4, **SMALL)
    with torch.no_grad():
        net.encoder[-1].bias[4:] = torch.tensor([100.0, -100.0, 1.0, 1.0])
        net.encoder[-1].weight.zero_()
    log_var = net.encode(normal(1, 3, 8, 8))[1]
    assert log_var.detach()[0, :3].mean(dim=(1, 2)).tolist() == [HIGH, LOW, 1.0]
    log_var.sum().backward()
    assert net.encoder[-1].bias.grad[4:].tolist() == [0.0, 0.0, 4.0, 4.0]


def test_the_decoder_sees_the_mean_plus_the_standard_deviation_times_the_noise():
    net = awake(KLVAE(3, 4, **SMALL)).eval()
    x, eps = normal(2, 3, 8, 12), normal(2, 4, 2, 3, seed=2)
    picture, mean, log_var = net(x, eps)
    torch.testing.assert_close(picture, net.decode(mean + log_var.exp().sqrt() * eps), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(means(net, x, batch=1), mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pictures_of(net, mean), net.decode(mean).clamp(-1, 1), rtol=1e-4, atol=1e-5)
    assert pictures_of(net, 100 * mean).abs().max() == 1


def test_the_last_layer_draws_the_picture():
    net = KLVAE(3, 4, **SMALL)
    assert last_layer(net) is net.decoder[-2].weight and last_layer(net).shape == (12, 8, 3, 3)


def test_a_draw_has_the_moments_of_its_normal_distribution_and_slopes_to_both():
    mean, log_var = torch.tensor([0.5, -1.0]).requires_grad_(), torch.tensor([0.2, -2.0]).requires_grad_()
    z = reparameterise(mean, log_var, normal(200_000, 2))
    torch.testing.assert_close(z.mean(dim=0), mean, rtol=0, atol=0.01)
    torch.testing.assert_close(z.var(dim=0), log_var.exp(), rtol=0.02, atol=0)
    eps = normal(2, seed=3)
    reparameterise(mean, log_var, eps).sum().backward()
    assert mean.grad.tolist() == [1, 1]
    torch.testing.assert_close(log_var.grad, 0.5 * (log_var / 2).exp().detach() * eps)


# --- the KL ---------------------------------------------------------------------------------------------------------

def test_the_kl_is_that_of_torch_and_of_chapter_02_summed_over_a_picture():
    mean, log_var = normal(3, 4, 2, 5).double(), normal(3, 4, 2, 5, seed=2).double()
    each = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(torch.zeros(()).double(), 1.0))
    zero = torch.zeros_like(mean)
    torch.testing.assert_close(kl_diag(mean, log_var), each.flatten(1).sum(dim=1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(each, kl_gauss(mean, log_var.exp(), zero, zero + 1), rtol=1e-10, atol=1e-12)


def test_the_kl_is_the_mean_of_the_difference_of_logarithms():
    mean, log_var = torch.tensor([[0.7, -0.3]]).double(), torch.tensor([[-1.0, 0.5]]).double()
    q, n = Normal(mean, (log_var / 2).exp()), 400_000
    z = reparameterise(mean, log_var, normal(n, 2).double())
    each = (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(dim=1)
    assert abs(float(each.mean() - kl_diag(mean, log_var))) < 4 * float(each.std()) / n**0.5


def test_the_kl_is_zero_for_the_prior_alone_and_has_its_digits_near_it():
    assert kl_diag(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]
    tiny = torch.full((1, 1), 1e-3)
    assert float(kl_diag(torch.zeros(1, 1), tiny)) == pytest.approx(1e-6 / 4, rel=1e-3)


def test_a_picture_of_two_by_two_by_hand():
    """Sums against means: d = 4 pixels, k = 2 latents; squares 1 + 0 + 4 + 0, KL (1 + 0) / 2 and (e - 1 - 1) / 2."""
    x, picture = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.0], [2.0, 0.0]]]])
    mean, log_var = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    kl = 0.5 + (math.e - 2) / 2
    loss, logs = vae_loss(picture, x, mean, log_var, weight=0.1)
    assert float(loss) == pytest.approx((5 + 0.1 * kl) / 4)
    assert float(logs["mse"]) == 5 / 4 and float(logs["kl"]) == pytest.approx(kl)
    of_means = 5 / 4 + 0.1 * kl / 2  # what `F.mse_loss` and a mean over latents would give
    assert float(vae_loss(picture, x, mean, log_var, weight_of_sums(0.1, 4, 2))[0]) == pytest.approx(of_means)
    assert of_means > float(loss) + 0.1 * kl / 5  # twice the weight on the KL


def test_the_loss_of_a_batch_is_the_mean_of_those_of_its_pictures():
    x, picture, mean, log_var = (normal(3, 2, 4, 4, seed=s) for s in range(4))
    each = [vae_loss(*(v[i:i + 1] for v in (picture, x, mean, log_var)), 0.3)[0] for i in range(3)]
    torch.testing.assert_close(vae_loss(picture, x, mean, log_var, 0.3)[0], torch.stack(each).mean())


def test_the_loss_is_the_elbo_of_normal_pixels_up_to_a_constant():
    """Two pictures: the difference of the losses is that of the negative ELBOs, times 2 s^2 / d, for weight 2 s^2."""
    s, x, mean, log_var = 0.3, normal(1, 1, 2, 3), normal(1, 2, 1, 1, seed=2), normal(1, 2, 1, 1, seed=3)

    def elbo(picture, mean):
        return -Normal(picture, s).log_prob(x).sum() + kl_divergence(
            Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum()
    one, two = (normal(1, 1, 2, 3, seed=5), mean), (normal(1, 1, 2, 3, seed=6), 2 * mean)
    losses = [vae_loss(picture, x, m, log_var, 2 * s**2)[0] for picture, m in (one, two)]
    torch.testing.assert_close(losses[0] - losses[1], (elbo(*one) - elbo(*two)) * 2 * s**2 / 6, rtol=1e-4, atol=1e-5)


def test_the_kl_pulls_at_the_encoder_and_leaves_the_decoder_alone():
    net = awake(KLVAE(3, 4, **SMALL))
    x = normal(2, 3, 8, 8)
    picture, mean, log_var = net(x, normal(2, 4, 2, 2, seed=2))
    kl_diag(mean, log_var).sum().backward()
    assert all(p.grad is None for p in net.decoder.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.encoder.parameters() if p.dim() == 4)
