"""The Fréchet distance: closed forms, what it must not depend on, and its bias."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.evaluation.frechet import frechet, frechet_of_moments, moments


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spd(D, seed):
    root = normal(D, D, seed=seed)
    return root @ root.T


@given(mean=st.lists(st.floats(-5, 5), min_size=4, max_size=4), stds=st.lists(st.floats(0, 3), min_size=8, max_size=8))
def test_independent_gaussians_differ_by_their_means_and_by_their_standard_deviations(mean, stds):
    mean, a, b = torch.tensor(mean).double(), torch.tensor(stds[:4]).double(), torch.tensor(stds[4:]).double()
    got = frechet_of_moments(mean, torch.diag(a**2), torch.zeros(4).double(), torch.diag(b**2))
    assert got == pytest.approx(float(mean.square().sum() + (a - b).square().sum()), rel=1e-9, abs=1e-7)


@given(seed=st.integers(0, 1000), D=st.integers(1, 6))
def test_it_is_the_closed_form_with_the_square_root_of_the_product(seed, D):
    cov_1, cov_2 = spd(D, seed), spd(D, seed + 1)
    mean_1, mean_2 = normal(D, seed=seed + 2), normal(D, seed=seed + 3)
    root = torch.linalg.eigvals(cov_1 @ cov_2).real.clamp(min=0).sqrt().sum()  # its trace, from the product itself
    expected = (mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * root
    got = frechet_of_moments(mean_1, cov_1, mean_2, cov_2)
    assert got == pytest.approx(float(expected), rel=1e-7, abs=1e-6)
    assert got == pytest.approx(frechet_of_moments(mean_2, cov_2, mean_1, cov_1), rel=1e-9, abs=1e-9)


def test_two_sets_drawn_from_one_gaussian_and_its_shifted_copy_give_the_shift():
    x = normal(500, 5)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x + 2) == pytest.approx(5 * 4, rel=1e-9)
    assert frechet(x, 3 * x) == pytest.approx(float(4 * x.var(dim=0).sum() + 4 * x.mean(dim=0).square().sum()))


@given(seed=st.integers(0, 100))
def test_neither_the_order_of_the_images_nor_a_rotation_of_the_features_matters(seed):
    x, y = normal(40, 5, seed=seed), 2 * normal(30, 5, seed=seed + 1) + 1
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    rotation = torch.linalg.qr(normal(5, 5, seed=seed + 2)).Q
    assert frechet(x[order], y) == pytest.approx(frechet(x, y), rel=1e-9)
    assert frechet(x @ rotation, y @ rotation) == pytest.approx(frechet(x, y), rel=1e-9)


def test_features_that_come_in_batches_give_the_moments_of_all_of_them():
    x = normal(50, 4).float()
    for sizes in ([50], [1, 49], [20, 20, 10]):
        mean, cov = moments(torch.cat(x.split(sizes)))
        torch.testing.assert_close(mean, x.double().mean(dim=0))
        torch.testing.assert_close(cov, torch.cov(x.double().T))
    assert mean.dtype == cov.dtype == torch.float64


def test_fewer_images_than_features_leave_a_singular_covariance_and_a_finite_distance():
    x, y = normal(5, 30), normal(6, 30, seed=1)
    assert 0 < frechet(x, y) < 1000
    assert frechet(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet(torch.zeros(3, 4), torch.ones(3, 4)) == pytest.approx(4)  # no spread at all: the means alone


@pytest.mark.parametrize("shape", [(1, 4), (0, 4), (4,)], ids=str)
def test_one_picture_has_no_covariance(shape):
    with pytest.raises(ValueError, match="N >= 2"):
        moments(torch.zeros(shape))


def test_features_of_two_widths_cannot_be_compared():
    with pytest.raises(ValueError, match="one width, got 3 and 4"):
        frechet(normal(10, 3), normal(10, 4))


def test_the_distance_of_two_samples_of_one_law_falls_like_one_over_n():
    D, repeats = 8, 40

    def bias(n):
        pairs = [(normal(n, D, seed=2 * i), normal(n, D, seed=2 * i + 1)) for i in range(repeats)]
        return sum(frechet(x, y) for x, y in pairs) / repeats
    scaled = [n * bias(n) for n in (250, 1000, 4000)]
    # c: 2 D / n from the means, and D (D + 1) / (4 n) from each covariance against the other
    assert scaled == pytest.approx([2 * D + D * (D + 1) / 2] * 3, rel=0.1)
