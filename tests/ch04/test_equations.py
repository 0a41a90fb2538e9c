"""Each numbered equation of chapter 04, checked with numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minidiff.evaluation.frechet import frechet_of_moments
from minidiff.evaluation.eps_baselines import memoriser_eps_mse, wiener_eps_mse
from minidiff.models.embedding import sin_embed
from minidiff.models.layers import Attention2d, GroupNorm, ResBlock
from minidiff.process.denoiser import clipped, denoiser_of
from minidiff.process.path import discrete_path
from minidiff.process.posterior import posterior
from minidiff.process.schedules import alpha_bar_of, as_table, linear_betas
from minidiff.process.targets import EPS
from minidiff.samplers.step import ddim_step

DIM = 64
F_I = 10_000.0 ** (-torch.arange(DIM // 2, dtype=torch.float64) / (DIM // 2))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def filled(net, seed=0):
    """The module in float64, every weight drawn from N(0, 0.4^2)."""
    g = generator(seed)
    for p in net.double().parameters():
        p.data = 0.4 * torch.randn(p.shape, generator=g, dtype=torch.float64)
    return net


def path_of(beta):
    return discrete_path(alpha_bar_of(as_table(beta)))


@pytest.fixture
def path():
    return path_of(torch.linspace(0.05, 0.5, 20, dtype=torch.float64))


@pytest.mark.equation("4.1")
def test_embedding_is_cosines_then_sines():
    t = torch.arange(1001)
    angles = t[:, None].double() * F_I
    expected = torch.cat([angles.cos(), angles.sin()], dim=1)
    assert torch.allclose(sin_embed(t, DIM).double(), expected, atol=2e-4)  # float32 holds an angle of 1000 to 6e-5
    assert torch.allclose(sin_embed(t[:20], DIM).double(), expected[:20], atol=4e-6)


@pytest.mark.equation("4.2")
def test_inner_product_depends_on_the_difference_alone():
    e = sin_embed(torch.arange(1001), DIM).double()
    gap = torch.arange(1001)[:, None] - torch.arange(1001)
    expected = sum(torch.cos(f * gap) for f in F_I)
    assert torch.allclose(e @ e.T, expected, atol=3e-3)


@pytest.mark.equation("4.3")
def test_block_adds_what_its_last_layer_makes():
    x, vector = randn(3, 8, 5, 4), randn(3, 6)
    assert torch.equal(ResBlock(8, 8, 6).double()(x, vector), x)
    block = filled(ResBlock(8, 8, 6))
    kept = []
    block.conv2.register_forward_hook(lambda layer, given, out: kept.append(out))
    y = block(x, vector)
    assert torch.allclose(y, x + kept[0]) and kept[0].std() > 0.1
    block.conv2.weight.data *= 2
    block.conv2.bias.data *= 2
    assert torch.allclose(block(x, vector) - x, 2 * (y - x))


@pytest.mark.equation("4.4")
def test_group_norm():
    x, norm = 3 + 2 * randn(2, 12, 4, 5), filled(GroupNorm(4, 12))
    y = torch.empty_like(x)
    for b in range(2):
        for c in range(12):
            group = x[b, c // 3 * 3:c // 3 * 3 + 3]
            centred = (x[b, c] - group.mean()) / (group.var(correction=0) + 1e-5).sqrt()
            y[b, c] = norm.weight[c] * centred + norm.bias[c]
    assert torch.allclose(norm(x), y)


@pytest.mark.equation("4.5")
def test_time_scales_and_shifts_after_the_normalisation():
    x, vector, seen = randn(3, 8, 4, 4), randn(3, 6), {}
    block = filled(ResBlock(8, 8, 6))
    for name in ("conv1", "conv2"):
        getattr(block, name).register_forward_hook(
            lambda layer, given, out, name=name: seen.update({name: (given[0], out)}))
    block(x, vector)
    a, b = block.time(F.silu(vector)).view(3, 2, 8, 1, 1).unbind(dim=1)
    assert torch.allclose(seen["conv2"][0], F.silu(block.norm2(seen["conv1"][1]) * (1 + a) + b))


@pytest.mark.equation("4.6")
@pytest.mark.parametrize("layers", [[(3, 1)] * 8, [(3, 1), (3, 1), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1), (3, 1)],
                                    [(5, 1), (3, 2), (1, 1), (3, 3), (5, 1)], [(1, 2), (3, 1)]])
def test_receptive_field(layers):
    r = 1 + sum((k - 1) * math.prod(stride for _, stride in layers[:l]) for l, (k, _) in enumerate(layers))
    convs = nn.Sequential(*(nn.Conv1d(1, 1, k, stride, k // 2) for k, stride in layers))
    x = torch.zeros(1, 1, 150, requires_grad=True)
    out = filled(convs).float()(x)[0, 0]
    out[len(out) // 2].backward()
    columns = x.grad[0, 0].nonzero().flatten()
    assert int(columns[-1] - columns[0]) + 1 == r


@pytest.mark.equation("4.7")
def test_attention_position_by_position():
    x, layer = randn(2, 8, 3, 2), filled(Attention2d(8, heads=2, groups=4))
    y = torch.empty_like(x)
    for b in range(2):
        tokens = layer.norm(x)[b].flatten(1).T
        q, k, v = layer.q(tokens), layer.k(tokens), layer.v(tokens)
        heads = []
        for head in (slice(0, 4), slice(4, 8)):
            rows = [torch.exp(torch.stack([q[i, head] @ k[j, head] for j in range(6)]) / 4**0.5) for i in range(6)]
            heads.append(torch.stack([w / w.sum() @ v[:, head] for w in rows]))
        y[b] = x[b] + layer.o(torch.cat(heads, dim=1)).T.reshape(8, 3, 2)
    assert torch.allclose(layer(x), y)


@pytest.mark.equation("4.7")
@pytest.mark.parametrize("d", [4, 64])
def test_scores_have_variance_d(d):
    q, k = randn(2, 20_000, d)
    scores = (q * k).sum(dim=1) / d**0.5
    assert abs(scores.var() - 1) < 4 * ((2 + 6 / d) / 20_000) ** 0.5  # kurtosis of a sum of d products: 3 + 6 / d


@pytest.mark.equation("4.8")
@pytest.mark.parametrize("t", [1, 7, 20])
def test_the_denoisers_picture(path, t):
    x_t, eps_hat = randn(3, 1, 4, 4), randn(3, 1, 4, 4, seed=1)
    x0, eps = denoiser_of(lambda x, t: eps_hat, path, EPS)(x_t, t)
    assert torch.allclose(x0, (x_t - path.sigma(t) * eps_hat) / path.alpha(t))
    kept, eps = clipped(denoiser_of(lambda x, t: eps_hat, path, EPS), path)(x_t, t)
    assert torch.allclose(kept, x0.clamp(-1, 1))
    assert torch.allclose(path.alpha(t) * kept + path.sigma(t) * eps, x_t)


def spread(t, s, path):
    rho = path.alpha(t) / path.alpha(s)
    return (path.sigma(s) ** 2 / path.sigma(t) ** 2 * (path.sigma(t) ** 2 - rho**2 * path.sigma(s) ** 2)).sqrt()


PAIRS = [(20, 19), (20, 3), (9, 8), (9, 1), (2, 1), (1, 0), (20, 0)]


@pytest.mark.equation("4.9")
@pytest.mark.parametrize("t, s", PAIRS)
def test_posterior_in_alpha_and_sigma(path, t, s):
    x0, x_t, rho = randn(3, 1, 4, 4), randn(3, 1, 4, 4, seed=1), path.alpha(t) / path.alpha(s)
    mean, variance = posterior(x_t, x0, t, path.alpha(torch.arange(21)) ** 2, s)
    sigma2_t, sigma2_s = path.sigma(t) ** 2, path.sigma(s) ** 2
    assert torch.allclose(mean, path.alpha(s) * (1 - rho**2) / sigma2_t * x0 + rho * sigma2_s / sigma2_t * x_t)
    assert torch.allclose(variance, spread(t, s, path) ** 2, atol=1e-15)
    assert torch.allclose(sigma2_t - rho**2 * sigma2_s, 1 - rho**2)


@pytest.mark.equation("4.10")
@pytest.mark.parametrize("t, s", PAIRS)
def test_step_is_a_draw_from_the_posterior(path, t, s):
    x0, eps = randn(3, 1, 4, 4), randn(3, 1, 4, 4, seed=1)
    x_t = path.alpha(t) * x0 + path.sigma(t) * eps
    mean, variance = posterior(x_t, x0, t, path.alpha(torch.arange(21)) ** 2, s)
    z, q = randn(3, 1, 4, 4, seed=2), spread(t, s, path)
    x_s = ddim_step(x0, eps, t, s, path, eta=1.0, generator=generator(2))
    assert torch.allclose(x_s, mean + variance.sqrt() * z)
    assert torch.allclose(x_s, path.alpha(s) * x0 + (path.sigma(s) ** 2 - q**2).sqrt() * eps + q * z)


@pytest.mark.equation("4.11")
@pytest.mark.parametrize("value", [0.0, 0.01, 0.4, 5.0])
def test_the_best_linear_coefficient(path, value):
    alpha, sigma = float(path.alpha(7)), float(path.sigma(7))
    best = sigma / (alpha**2 * value + sigma**2)

    def error(c):  # of c y for eps, with y = alpha u + sigma eps
        return (1 - c * sigma) ** 2 + c**2 * alpha**2 * value

    assert all(error(best) < error(best + change) for change in (-0.1, -1e-3, 1e-3, 0.1))
    assert error(best) == pytest.approx(alpha**2 * value / (alpha**2 * value + sigma**2))


@pytest.mark.equation("4.12")
def test_the_linear_line_is_an_average_over_directions(path):
    pictures = randn(50, 6) @ randn(6, 6, seed=1)
    values = torch.linalg.eigvalsh(torch.cov(pictures.T, correction=0))
    line = wiener_eps_mse(pictures, pictures, path)
    for t in (1, 7, 20):
        a = path.alpha(t) ** 2
        expected = (a * values / (a * values + path.sigma(t) ** 2)).mean()
        assert line[t] == pytest.approx(float(expected), rel=0.03)  # the filter is fitted with N - 1 in place of N


@pytest.mark.equation("4.13")
def test_the_memoriser_is_bayes_rule_over_its_pictures(path):
    real, images, t = randn(7, 1, 2, 3), randn(4, 1, 2, 3, seed=1), 9
    alpha, sigma = path.alpha(t), path.sigma(t)
    eps = torch.randn(4, 6, generator=generator(5))
    errors = []
    for x, e in zip(images.flatten(1), eps.double()):
        x_t = alpha * x + sigma * e
        away = torch.stack([(x_t - alpha * r).square().sum() for r in real.flatten(1)])
        likelihood = torch.exp(-away / (2 * sigma**2))
        x0_hat = (likelihood / likelihood.sum()) @ real.flatten(1)
        errors.append(((x_t - alpha * x0_hat) / sigma - e).square())
    got = memoriser_eps_mse(images.float(), real.float(), t, path, generator(5))
    assert got == pytest.approx(float(torch.stack(errors).mean()), rel=1e-4)


@pytest.mark.equation("4.14")
def test_frechet_distance_between_gaussians():
    m, n, a, b = randn(5), randn(5, seed=1), randn(5, 5, seed=2), randn(5, 5, seed=3)
    C, D = a @ a.T, b @ b.T
    roots = torch.linalg.eigvals(C @ D).real.clamp(min=0).sqrt().sum()  # the trace of the root of a product
    expected = (m - n).square().sum() + C.trace() + D.trace() - 2 * roots
    assert frechet_of_moments(m, C, n, D) == pytest.approx(float(expected))
    one = frechet_of_moments(m[:1], torch.tensor([[4.0]]).double(), n[:1], torch.tensor([[9.0]]).double())
    assert one == pytest.approx(float((m[0] - n[0]) ** 2 + (2 - 3) ** 2))


def test_the_early_steps_of_the_chapter_lie_apart():
    e, sigma = sin_embed(torch.tensor([5, 15]), DIM), (1 - alpha_bar_of(linear_betas())).sqrt()
    assert (e[0] - e[1]).norm() > 4 and 2 < sigma[15] / sigma[5] < 2.5
