"""The sliced Wasserstein distance: how far two clouds of points are from each other, along random directions."""

import torch


def sliced_w2(x, y, generator, directions=200):
    """The sliced Wasserstein-2 distance between two clouds of equally many points, a float (Bonneel et al. 2015).

    x, y: (N, D). On a line the cheapest way to move one cloud onto the other keeps the order of the points; here that
    is done along `directions` random lines: sqrt(mean over lines and points of (sorted x - sorted y)^2). In the unit
    of the data; a shift by d gives about |d| / sqrt(D). Draws directions x D normal numbers from `generator`.
    Raises ValueError for clouds of two shapes.
    """
    if x.ndim != 2 or x.shape != y.shape:
        raise ValueError(f"both clouds must be (N, D) of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    lines = torch.randn(x.shape[1], directions, generator=generator, dtype=torch.float64)
    lines = lines / lines.norm(dim=0)
    x_sorted, y_sorted = (torch.sort(points.detach().double().cpu() @ lines, dim=0).values for points in (x, y))
    return float((x_sorted - y_sorted).square().mean().sqrt())
