"""The Fréchet distance between two sets of features: how far generated digits are from real ones."""

import torch


def moments(features):
    """Mean (D,) and unbiased covariance (D, D) in float64 of features (N, D). Raises ValueError unless N >= 2."""
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features must be (N, D) with N >= 2 to have a covariance, got {tuple(features.shape)}")
    features = features.double()
    return features.mean(dim=0), torch.cov(features.T).reshape(features.shape[1], -1)  # cov drops a width of 1


def frechet_of_moments(mean_1, cov_1, mean_2, cov_2):
    """|mean_1 - mean_2|^2 + tr(cov_1 + cov_2 - 2 (cov_1 cov_2)^(1/2)), a float (Dowson and Landau 1982; Heusel 2017).

    Means (D,), covariances (D, D), float64. The square root's trace is the sum of the singular values of the product
    of the two square roots, which stays real when a covariance is singular. Raises ValueError when the widths differ.
    """
    if mean_1.shape != mean_2.shape:
        raise ValueError(f"both sets need features of one width, got {len(mean_1)} and {len(mean_2)}")
    cross = torch.linalg.svdvals(_sqrt(cov_1) @ _sqrt(cov_2)).sum()
    return float((mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * cross)


def frechet(features_1, features_2):
    """The Fréchet distance between the Gaussians fitted to two sets of features (N, D) and (M, D).

    Its bias falls like 1/N: print N, and the distance of real from real at the same N, beside every value.
    """
    return frechet_of_moments(*moments(features_1), *moments(features_2))


def _sqrt(cov):
    values, vectors = torch.linalg.eigh(cov)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
