"""How far apart are two sets of features, and in which way: limits of distances, kernels, and nearest neighbours."""

import torch

from minidiff.evaluation.frechet import frechet_of_moments, moments


def two_sets(features_1, features_2, least=2):
    """Two sets of features (N, D) and (M, D) in float64.

    Raises ValueError when the widths differ, or a set has fewer than `least` rows.
    """
    if features_1.ndim != 2 or features_2.ndim != 2 or features_1.shape[1] != features_2.shape[1]:
        raise ValueError(f"both sets must be (rows, D) with features of one width D, got {tuple(features_1.shape)} and "
                         f"{tuple(features_2.shape)}")
    if min(len(features_1), len(features_2)) < least:
        raise ValueError(f"both sets need at least {least} rows, got {len(features_1)} and {len(features_2)}")
    return features_1.double(), features_2.double()


def distance_at(features, reference, n):
    """The mean Fréchet distance of n rows of `features` to the whole of `reference`, a float.

    features: (N, D), in random order; reference: (M, D). The mean is over the N // n disjoint parts of n rows, so every
    row counts once. Raises ValueError unless 2 <= n <= N.
    """
    if not 2 <= n <= len(features):
        raise ValueError(f"n must lie in 2..{len(features)}, the number of rows, got {n}")
    mean, cov = moments(reference)
    parts = features[:len(features) // n * n].split(n)
    return sum(frechet_of_moments(*moments(part), mean, cov) for part in parts) / len(parts)


def fd_infinity(features, reference, sizes):
    """The Fréchet distance of infinitely many pictures: a in d(n) = a + b / n (Chong and Forsyth 2020).

    features: (N, D), in random order; reference: (M, D); sizes: at least two different n in 2..N. The line through the
    `distance_at` each n is that of least squares in 1 / n. Returns (a, b), floats. Raises ValueError for fewer sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError(f"a line needs at least two different sizes, got {list(sizes)}")
    d = torch.tensor([distance_at(features, reference, n) for n in sizes], dtype=torch.float64)
    u = 1 / torch.tensor(sizes, dtype=torch.float64)
    b = ((u - u.mean()) * (d - d.mean())).sum() / (u - u.mean()).square().sum()
    return float(d.mean() - b * u.mean()), float(b)


def impostor(real, n, generator):
    """n pictures of pure noise that have exactly the mean and the covariance of `real`: (n, ...), float32.

    real: (N, ...) with D numbers a picture; n > D, else ValueError. Normal draws are made white, so that their own mean
    is 0 and their own covariance 1, and are then stretched along the eigenvectors of the covariance of `real`.
    """
    flat = real.flatten(1).double()
    if n <= flat.shape[1]:
        raise ValueError(f"n must exceed the {flat.shape[1]} numbers of a picture, or no covariance fits, got {n}")
    (mean, cov), z = moments(flat), torch.randn(n, flat.shape[1], generator=generator, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(cov)
    root = torch.linalg.cholesky(torch.cov(z.T))
    white = torch.linalg.solve_triangular(root, (z - z.mean(dim=0)).T, upper=False).T
    return (mean + white * values.clamp(min=0).sqrt() @ vectors.T).float().reshape(n, *real.shape[1:])


def polynomial_kernel(x, y):
    """(x . y / D + 1)^3 for every pair of rows: (N, D), (M, D) -> (N, M), the kernel of KID (Binkowski et al. 2018)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def kid(features_1, features_2):
    """The kernel inception distance: the unbiased squared MMD (Gretton et al. 2012, eq. 3; Binkowski et al. 2018).

    features_1: (N, D); features_2: (M, D); N, M >= 2; the kernel is `polynomial_kernel`. No row is paired with itself,
    so the mean over sets of one law is 0 at every N, and a single value may be negative. Memory: N M numbers. Raises
    ValueError when the widths differ.
    """
    x, y = two_sets(features_1, features_2)
    n, m = len(x), len(y)
    k_xx, k_yy = polynomial_kernel(x, x), polynomial_kernel(y, y)
    within = (k_xx.sum() - k_xx.trace()) / (n * (n - 1)) + (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return float(within - 2 * polynomial_kernel(x, y).mean())


def knn_radii(features, k):
    """The distance of every row to its k-th nearest other row: (N, D) -> (N,). Raises ValueError unless 1 <= k < N."""
    if not 1 <= k < len(features):
        raise ValueError(f"k must lie in 1..{len(features) - 1}, the number of other rows, got {k}")
    return torch.cdist(features, features).kthvalue(k + 1, dim=1).values  # the nearest of all is the row itself


def precision_recall(real, fake, k=3):
    """Improved precision and recall (Kynkäänniemi et al. 2019, eqs. 1 and 2), two floats in [0, 1].

    real: (N, D); fake: (M, D); around each row of a set lies a ball that reaches to its k-th nearest other row.
    Precision: the share of `fake` in a ball of `real`. Recall: the share of `real` in a ball of `fake`. Memory: N M
    numbers. Raises ValueError when the widths differ or a set has no more than k rows.
    """
    real, fake = two_sets(real, fake, least=k + 1)
    d = torch.cdist(fake, real)
    precision = (d <= knn_radii(real, k)).any(dim=1).double().mean()
    recall = (d.T <= knn_radii(fake, k)).any(dim=1).double().mean()
    return float(precision), float(recall)


def density_coverage(real, fake, k=5):
    """Density and coverage (Naeem et al. 2020, section 3), two floats: density >= 0, coverage in [0, 1].

    real: (N, D); fake: (M, D); the balls are those of `real` alone, as in `precision_recall`. Density: in how many
    balls a row of `fake` lies, over k, 1 for a set of the same law. Coverage: the share of balls that hold a row of
    `fake`. Raises ValueError when the widths differ or a set has no more than k rows.
    """
    real, fake = two_sets(real, fake, least=k + 1)
    inside = torch.cdist(fake, real) <= knn_radii(real, k)
    return float(inside.double().sum(dim=1).mean() / k), float(inside.any(dim=0).double().mean())


def compare(real, fake):
    """Everything that needs two sets of features and no training: a dict of floats.

    real: (N, D); fake: (M, D). Keys: kid, precision, recall, density, coverage, each with its usual k. Raises
    ValueError when the widths differ or a set has fewer than six rows.
    """
    precision, recall = precision_recall(real, fake)
    density, coverage = density_coverage(real, fake)
    return {"kid": kid(fake, real), "precision": precision, "recall": recall, "density": density, "coverage": coverage}
