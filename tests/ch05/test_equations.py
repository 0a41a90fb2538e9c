"""Each numbered equation of chapter 05, checked with numbers."""

import math

import pytest
import torch

from minidiff.evaluation.frechet import _sqrt, frechet, frechet_of_moments, moments
from minidiff.evaluation.memory import nearer_to_train
from minidiff.evaluation.metrics import density_coverage, impostor, kid, polynomial_kernel, precision_recall
from minidiff.models.vae import VAE
from minidiff.process.elbo import kl_gauss
from minidiff.recipes.baselines import CODE, vae_loss


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def spd(D, seed):
    root = randn(D, D, seed=seed)
    return root @ root.T


@pytest.mark.equation("5.1")
@pytest.mark.parametrize("seed", range(5))
def test_the_trace_of_the_root_is_a_sum_of_singular_values(seed):
    C_1, C_2 = spd(5, seed), spd(5, seed + 50)
    values, vectors = torch.linalg.eig(C_1 @ C_2)
    root = (vectors @ torch.diag(values.sqrt()) @ torch.linalg.inv(vectors)).real
    assert torch.allclose(root @ root, C_1 @ C_2, rtol=1e-4, atol=1e-6)
    A = _sqrt(C_1) @ _sqrt(C_2)
    assert torch.linalg.svdvals(A).sum() == pytest.approx(float(root.trace()), rel=1e-6)
    zero = torch.zeros(5).double()
    whole = C_1.trace() + C_2.trace() - 2 * root.trace()
    assert frechet_of_moments(zero, C_1, zero, C_2) == pytest.approx(float(whole), rel=1e-6)


@pytest.mark.equation("5.2")
@pytest.mark.parametrize("n", [5, 40])
def test_a_mean_of_n_lies_tr_C_over_n_from_the_true_one(n):
    C, repeats = spd(4, seed=3), 20_000
    x = randn(repeats, n, 4) @ _sqrt(C)
    square = x.mean(dim=1).square().sum(dim=1)
    assert abs(square.mean() - C.trace() / n) < 4 * square.std() / repeats**0.5


@pytest.mark.equation("5.3")
def test_the_bias_falls_like_one_over_n():
    D, sizes, repeats = 4, (100, 200, 400), 300
    zero, C = torch.zeros(D).double(), torch.eye(D).double()
    d = [torch.tensor([frechet_of_moments(*moments(randn(n, D, seed=i) + 1), zero, C) for i in range(repeats)],
                      dtype=torch.float64) for n in sizes]
    scaled = [n * (float(x.mean()) - D) for n, x in zip(sizes, d)]  # without the true distance, |1|^2 = D
    errors = [n * float(x.std()) / repeats**0.5 for n, x in zip(sizes, d)]
    assert all(abs(s - (D + D * (D + 1) / 4)) < 4 * e + 0.5 for s, e in zip(scaled, errors))


@pytest.mark.equation("5.4")
def test_no_linear_feature_can_tell_the_impostor():
    real, W, b = randn(500, 1, 4, 5) ** 2, randn(20, 6, seed=1), randn(6, seed=2)
    fake = impostor(real, 60, generator()).double()
    mean, cov = moments(fake.flatten(1))
    assert torch.allclose(mean, real.flatten(1).mean(dim=0), atol=1e-5)
    assert torch.allclose(cov, torch.cov(real.flatten(1).T), atol=1e-4)
    linear = [x.flatten(1) @ W + b for x in (real, fake)]
    m, C = moments(linear[0])
    own = moments(real.flatten(1))
    assert torch.allclose(m, own[0] @ W + b) and torch.allclose(C, W.T @ own[1] @ W)
    assert frechet(*linear) == pytest.approx(0, abs=1e-4)
    assert frechet(*linear) < 1e-3 * frechet(linear[0], (randn(60, 20, seed=5) ** 2) @ W + b)
    assert frechet(real.flatten(1) ** 2, fake.flatten(1) ** 2) > 0.5  # a square is enough to tell
    with pytest.raises(ValueError, match="n must exceed the 20 numbers"):
        impostor(real, 20, generator())


@pytest.mark.equation("5.5")
def test_the_kernel_is_an_inner_product_of_monomials():
    """(x . y / D + 1)^3 in two dimensions has ten features; MMD^2 is the distance of their means."""
    x, y = randn(40, 2), 2 * randn(30, 2, seed=1) + 1

    def phi(x):
        a, b = (x / 2**0.5).T
        one = torch.ones_like(a)
        terms = [one, a * 3**0.5, b * 3**0.5, a * a * 3**0.5, b * b * 3**0.5, a * b * 6**0.5, a**3, b**3,
                 a * a * b * 3**0.5, a * b * b * 3**0.5]
        return torch.stack(terms, dim=1)
    assert torch.allclose(phi(x) @ phi(y).T, polynomial_kernel(x, y))
    biased = polynomial_kernel(x, x).mean() + polynomial_kernel(y, y).mean() - 2 * polynomial_kernel(x, y).mean()
    assert torch.allclose((phi(x).mean(dim=0) - phi(y).mean(dim=0)).square().sum(), biased)


@pytest.mark.equation("5.6")
def test_without_the_diagonal_the_mean_is_right():
    """Two laws on three points each, so that the exact MMD^2 is a finite sum."""
    points, p, q = randn(3, 2), torch.tensor([0.2, 0.3, 0.5]).double(), torch.tensor([0.6, 0.3, 0.1]).double()
    exact = (p - q) @ polynomial_kernel(points, points) @ (p - q)
    g, draws = generator(1), 4000
    values = torch.tensor([kid(points[torch.multinomial(p, 3, True, generator=g)],
                               points[torch.multinomial(q, 4, True, generator=g)]) for _ in range(draws)])
    assert abs(values.mean() - exact) < 4 * values.std() / draws**0.5


@pytest.mark.equation("5.7")
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_ball_by_ball(k):
    real, fake = randn(30, 2), 1.5 * randn(20, 2, seed=1) + 0.5

    def inside(points, centres):
        hits = 0
        for x in points:
            radii = [sorted(float((c - o).norm()) for j, o in enumerate(centres) if j != i)[k - 1]
                     for i, c in enumerate(centres)]
            hits += any(float((x - c).norm()) <= r for c, r in zip(centres, radii))
        return hits / len(points)
    assert precision_recall(real, fake, k) == pytest.approx((inside(fake, real), inside(real, fake)))


@pytest.mark.equation("5.8")
@pytest.mark.parametrize("k", [1, 4])
def test_density_and_coverage_ball_by_ball(k):
    real, fake = randn(25, 3), 1.5 * randn(15, 3, seed=1)
    radii = [sorted(float((c - o).norm()) for o in real)[k] for c in real]
    inside = [[float((x - c).norm()) <= r for c, r in zip(real, radii)] for x in fake]
    density = sum(map(sum, inside)) / (k * len(fake))
    coverage = sum(any(row[i] for row in inside) for i in range(25)) / 25
    assert density_coverage(real, fake, k) == pytest.approx((density, coverage))


@pytest.mark.equation("5.9")
def test_an_innocent_sample_is_nearest_to_a_training_picture_in_proportion():
    train, test, samples = randn(300, 5), randn(100, 5, seed=1), 0.7 * randn(20_000, 5, seed=2)
    repeats = [nearer_to_train(samples[i::100], *torch.cat([train, test])[torch.randperm(400, generator=generator(i))]
                               .split([300, 100]))[0] for i in range(100)]  # innocence is a mean over the split as well
    mean = sum(repeats) / 100
    assert nearer_to_train(samples[:9], train, test)[1] == 0.75
    assert abs(mean - 0.75) < 4 * torch.tensor(repeats).std() / 10


@pytest.mark.equation("5.10")
@torch.no_grad()
def test_the_loss_of_the_vae_bounds_the_likelihood():
    """With the pixels' variance at its best value the bound is d / 2 log(2 pi e mse) + KL."""
    torch.manual_seed(0)
    net, x = VAE(code=CODE), torch.rand(30, 1, 14, 14, generator=generator()) - 0.5
    loss, logs = vae_loss(net, x, generator(3))
    eps = torch.randn(30, CODE, generator=generator(3))
    picture, mean, log_var = net(x, eps)
    kl = kl_gauss(mean, log_var.exp(), torch.zeros(()), torch.ones(())).sum(dim=1).mean()

    def bound(v):
        return (0.5 * math.log(2 * math.pi * v) + (picture - x).square() / (2 * v)).flatten(1).sum(dim=1).mean() + kl
    mse = float((picture - x).square().mean())
    assert loss + 98 * math.log(2 * math.pi * math.e) == pytest.approx(float(bound(mse)), rel=1e-4)
    assert bound(mse) < min(bound(0.9 * mse), bound(1.1 * mse))
    assert logs["kl"] == pytest.approx(float(kl))


@pytest.mark.equation("5.11")
def test_the_best_critic_answers_with_the_log_ratio():
    """On five points: minimise p log(1 + e^-l) + q log(1 + e^l), point by point."""
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25]).double(), torch.tensor([0.3, 0.2, 0.05, 0.05, 0.4]).double()
    logit = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=200, tolerance_grad=1e-12)

    def loss():
        optimizer.zero_grad()
        value = (p * torch.nn.functional.softplus(-logit) + q * torch.nn.functional.softplus(logit)).sum()
        value.backward()
        return value
    optimizer.step(loss)
    assert torch.allclose(logit.detach(), (p / q).log(), atol=1e-4)
    same = (p * math.log(2) + p * math.log(2)).sum()
    assert float(loss().detach()) < float(same) == pytest.approx(2 * math.log(2))
