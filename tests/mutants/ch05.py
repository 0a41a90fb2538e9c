"""Wrong and right answers to the exercises of chapter 05 on distances; on neighbours in ch05_neighbours."""

import numpy as np
import torch

from minidiff.evaluation.frechet import _sqrt, frechet_of_moments, moments
from minidiff.evaluation.metrics import distance_at, polynomial_kernel
from tests.mutants import alternative, mutant


def from_root(mean_1, cov_1, mean_2, cov_2, root):
    return float((mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * root)


@mutant("ch05.frechet_of_moments")
def root_of_the_means_part(mean_1, cov_1, mean_2, cov_2):
    square = (mean_1 - mean_2).square().sum()
    return frechet_of_moments(mean_1, cov_1, mean_2, cov_2) - float(square) + float(square.sqrt())


@mutant("ch05.frechet_of_moments")
def without_the_means(mean_1, cov_1, mean_2, cov_2):
    return frechet_of_moments(mean_1, cov_1, mean_1, cov_2)


@mutant("ch05.frechet_of_moments")
def cross_term_once(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, torch.linalg.svdvals(_sqrt(cov_1) @ _sqrt(cov_2)).sum() / 2)


@mutant("ch05.frechet_of_moments")
def trace_of_the_product_of_the_roots(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, (_sqrt(cov_1) @ _sqrt(cov_2)).trace())


@mutant("ch05.frechet_of_moments")
def singular_values_of_the_product_itself(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, torch.linalg.svdvals(cov_1 @ cov_2).sqrt().sum())


@mutant("ch05.frechet_of_moments")
def root_of_every_entry(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, (cov_1 @ cov_2).clamp(min=0).sqrt().trace())


@mutant("ch05.frechet_of_moments")
def variances_alone(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, (cov_1.diag() * cov_2.diag()).sqrt().sum())


@mutant("ch05.frechet_of_moments")
def distance_not_squared(mean_1, cov_1, mean_2, cov_2):
    return max(frechet_of_moments(mean_1, cov_1, mean_2, cov_2), 0) ** 0.5


@mutant("ch05.frechet_of_moments")
def covariances_in_place_of_their_roots(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, torch.linalg.svdvals(cov_1 @ cov_2).sum())


@alternative("ch05.frechet_of_moments")
def by_the_eigenvalues_of_the_product(mean_1, cov_1, mean_2, cov_2):
    return from_root(mean_1, cov_1, mean_2, cov_2, torch.linalg.eigvals(cov_1 @ cov_2).real.clamp(min=0).sqrt().sum())


@alternative("ch05.frechet_of_moments")
def by_the_nuclear_norm(mean_1, cov_1, mean_2, cov_2):
    shift = mean_1 - mean_2
    return shift @ shift + torch.trace(cov_1 + cov_2) - 2 * torch.linalg.matrix_norm(_sqrt(cov_2) @ _sqrt(cov_1), "nuc")


def distances(features, reference, sizes):
    return np.array([distance_at(features, reference, n) for n in sizes]), np.array(sizes, dtype=float)


def line(u, d):
    slope, limit = np.polyfit(u, d, 1)
    return float(limit), float(slope)


@mutant("ch05.fd_infinity")
def line_in_n(features, reference, sizes):
    d, n = distances(features, reference, sizes)
    return line(n, d)


@mutant("ch05.fd_infinity")
def line_in_the_root(features, reference, sizes):
    d, n = distances(features, reference, sizes)
    return line(n**-0.5, d)


@mutant("ch05.fd_infinity")
def slope_first(features, reference, sizes):
    d, n = distances(features, reference, sizes)
    return line(1 / n, d)[::-1]


@mutant("ch05.fd_infinity")
def first_and_last_alone(features, reference, sizes):
    d, n = distances(features, reference, [sizes[0], sizes[-1]])
    return line(1 / n, d)


@mutant("ch05.fd_infinity")
def smallest_and_largest_alone(features, reference, sizes):
    d, n = distances(features, reference, [min(sizes), max(sizes)])
    return line(1 / n, d)


@mutant("ch05.fd_infinity")
def first_part_alone(features, reference, sizes):
    own = moments(reference)
    d = [frechet_of_moments(*moments(features[:n]), *own) for n in sizes]
    return line(1 / np.array(sizes, dtype=float), d)


@mutant("ch05.fd_infinity")
def through_the_last_point(features, reference, sizes):
    d, n = distances(features, reference, sizes)
    _, b = line(1 / n, d)
    return float(d[-1]), b


@mutant("ch05.fd_infinity")
def weighted_by_n(features, reference, sizes):
    d, n = distances(features, reference, sizes)
    slope, limit = np.polyfit(1 / n, d, 1, w=n)
    return float(limit), float(slope)


@alternative("ch05.fd_infinity")
def by_polyfit(features, reference, sizes):
    d, n = distances(features, reference, sizes)
    return line(1 / n, d)


@alternative("ch05.fd_infinity")
def by_lstsq(features, reference, sizes):
    d, n = (torch.tensor(v) for v in distances(features, reference, sizes))
    columns = torch.stack([torch.ones_like(n), 1 / n], dim=1)
    a, b = torch.linalg.lstsq(columns, d).solution
    return a, b


def kernels(features_1, features_2, kernel=polynomial_kernel):
    x, y = features_1.double(), features_2.double()
    return kernel(x, x), kernel(y, y), kernel(x, y)


def mmd(k_xx, k_yy, k_xy):
    def within(k):
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))
    return float(within(k_xx) + within(k_yy) - 2 * k_xy.mean())


@mutant("ch05.kid")
def biased(features_1, features_2):
    k_xx, k_yy, k_xy = kernels(features_1, features_2)
    return float(k_xx.mean() + k_yy.mean() - 2 * k_xy.mean())


@mutant("ch05.kid")
def diagonal_out_but_counted(features_1, features_2):
    k_xx, k_yy, k_xy = kernels(features_1, features_2)
    return float(sum((k.sum() - k.trace()) / len(k) ** 2 for k in (k_xx, k_yy)) - 2 * k_xy.mean())


@mutant("ch05.kid")
def diagonal_out_of_the_cross_pairs(features_1, features_2):
    k_xx, k_yy, k_xy = kernels(features_1, features_2)
    n = min(k_xy.shape)
    cross = (k_xy.sum() - k_xy.diag().sum()) / (k_xy.numel() - n)
    return mmd(k_xx, k_yy, k_xy) + 2 * float(k_xy.mean() - cross)


@mutant("ch05.kid")
def cross_pairs_once(features_1, features_2):
    k_xx, k_yy, k_xy = kernels(features_1, features_2)
    return mmd(k_xx, k_yy, k_xy / 2)


@mutant("ch05.kid")
def not_divided_by_the_width(features_1, features_2):
    return mmd(*kernels(features_1, features_2, lambda x, y: (x @ y.T + 1) ** 3))


@mutant("ch05.kid")
def without_the_one(features_1, features_2):
    return mmd(*kernels(features_1, features_2, lambda x, y: (x @ y.T / x.shape[1]) ** 3))


@mutant("ch05.kid")
def squares_in_place_of_cubes(features_1, features_2):
    return mmd(*kernels(features_1, features_2, lambda x, y: (x @ y.T / x.shape[1] + 1) ** 2))


@mutant("ch05.kid")
def size_of_the_first_set_for_both(features_1, features_2):
    k_xx, k_yy, k_xy = kernels(features_1, features_2)
    n = len(k_xx)
    return float(sum((k.sum() - k.trace()) / (n * (n - 1)) for k in (k_xx, k_yy)) - 2 * k_xy.mean())


@mutant("ch05.kid")
def in_float32(features_1, features_2):
    x, y = features_1.float(), features_2.float()
    return mmd(polynomial_kernel(x, x), polynomial_kernel(y, y), polynomial_kernel(x, y))


@alternative("ch05.kid")
def pair_by_pair(features_1, features_2):
    k_xx, k_yy, k_xy = kernels(features_1, features_2)
    off = [k[~torch.eye(len(k), dtype=torch.bool)].mean() for k in (k_xx, k_yy)]
    return off[0] + off[1] - 2 * k_xy.mean()


@alternative("ch05.kid")
def with_the_kernel_written_out(features_1, features_2):
    def kernel(x, y):
        return torch.pow(torch.einsum("id,jd->ij", x, y) / x.size(1) + 1.0, 3)
    return mmd(*kernels(features_1, features_2, kernel))
