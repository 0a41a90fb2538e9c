"""Did the model learn, or does it know by heart? The nearest training picture of every sample."""

import torch


def nearest(samples, real):
    """The nearest of `real` to each of `samples`: (distance (N,) float64, index (N,)).

    samples: (N, ...); real: (M, ...), of one shape; the distance is Euclidean over all numbers of a picture.
    Raises ValueError when the shapes differ.
    """
    if samples.shape[1:] != real.shape[1:] or not len(real):
        raise ValueError(f"samples and real must be pictures of one shape, at least one real, got "
                         f"{tuple(samples.shape)} and {tuple(real.shape)}")
    real = real.flatten(1).double()
    parts = [torch.cdist(x, real).min(dim=1) for x in samples.flatten(1).double().split(250)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def memorisation_ratio(samples, train, test):
    """How near samples come to the training set, over how near pictures come that it never saw, a float.

    samples: (N, ...), train: (M, ...), test: (K, ...), of one shape. The median distance to the nearest of `train`, of
    the samples over the test pictures: about 1 for fresh pictures, 0 for copies; style moves it too, so that copies
    under grain come near 1. (The comparison with held-out data is that of Meehan et al. 2020.) Raises ValueError when
    shapes differ.
    """
    near, far = (nearest(x, train)[0].median() for x in (samples, test))
    return float(near / far)


def nearer_to_train(samples, train, test):
    """The share of samples whose nearest picture is of the training set, beside the share of innocent ones: two floats.

    samples: (N, ...), train: (M, ...), test: (K, ...), of one shape. For a sample that owes nothing to any single
    picture, all M + K are alike, so the nearest is of `train` with probability M / (M + K); style does not change that.
    Raises ValueError when the shapes differ.
    """
    near, far = nearest(samples, train)[0], nearest(samples, test)[0]
    return float((near < far).double().mean()), len(train) / (len(train) + len(test))
