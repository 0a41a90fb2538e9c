"""The exercises of chapter 05: five ways to compare what was drawn with what is real."""

import torch

from minidiff.evaluation.frechet import frechet_of_moments
from minidiff.evaluation.memory import memorisation_ratio
from minidiff.evaluation.metrics import fd_infinity, kid, precision_recall
from minidiff.exercises.core import Case, Exercise


def randn(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def gaussian(generator, D, rank=None):
    """A mean (D,) and a covariance (D, D) of the given rank."""
    root = randn(generator, D, rank or D)
    return randn(generator, D), root @ root.T


def turned(generator, D):
    """A mean, and a covariance that is wide along one line which is no axis."""
    line = randn(generator, D)
    return randn(generator, D), 9 * torch.outer(line, line) / line.square().sum() + 0.1 * torch.eye(D).double()


def diagonal(generator, D):
    return randn(generator, D), torch.diag(randn(generator, D) ** 2)


def same_and_shifted(fn, mean, cov, shift):
    """The distance of a Gaussian to itself, and to its shifted copy."""
    return torch.tensor([float(fn(mean, cov, mean, cov)), float(fn(mean, cov, mean + shift, cov))], dtype=torch.float64)


FRECHET = Exercise(
    id="ch05.frechet_of_moments", title="The Fréchet distance", reference=frechet_of_moments, points=4, minutes=15,
    difficulty="medium",
    cases=(
        Case("is the closed form for two full covariances", lambda g: (*gaussian(g, 4), *gaussian(g, 4)),
             hint="|m_1 - m_2|^2 + tr(cov_1 + cov_2) - 2 r, r: sum of singular values of _sqrt(cov_1) @ _sqrt(cov_2)"),
        Case("gives 0 for one Gaussian twice, and the squared shift for its shifted copy",
             lambda g: (*gaussian(g, 5), randn(g, 5)), same_and_shifted, hint="the means enter with |m_1 - m_2|^2"),
        Case("takes the difference of the standard deviations along common axes",
             lambda g: (*diagonal(g, 6), *diagonal(g, 6)), hint="tr(cov_1 + cov_2) - 2 times the trace of the root"),
        Case("sees along which line a set is wide", lambda g: (*turned(g, 3), *turned(g, 3)),
             hint="the two covariances do not commute: their roots may not be pulled apart"),
        Case("stays real for covariances without full rank", lambda g: (*gaussian(g, 6, rank=2), *gaussian(g, 6, 3)),
             rtol=1e-5,
             hint="eigenvalues of a product of matrices may come out complex; singular values do not"),
        Case("works for a single feature", lambda g: (*gaussian(g, 1), *gaussian(g, 1))),
    ),
    hints=("two parts: how far the means lie apart, and how different the spreads are",
           "torch.linalg.svdvals gives the singular values of a matrix",
           "|m_1 - m_2|^2 + tr cov_1 + tr cov_2 - 2 sum(svdvals(_sqrt(cov_1) @ _sqrt(cov_2))), as a float"))


FD_INFINITY = Exercise(
    id="ch05.fd_infinity", title="Infinitely many pictures", reference=fd_infinity, points=3, minutes=15,
    difficulty="medium",
    cases=(
        Case("draws the line of least squares through three sizes",
             lambda g: (randn(g, 60, 3), 1.5 * randn(g, 40, 3) + 0.5, [10, 20, 60]),
             hint="the line a + b / n of least squares through ALL sizes: it is a line in 1 / n; return a, b"),
        Case("gives the line through both points for two sizes", lambda g: (randn(g, 50, 4), randn(g, 30, 4), [7, 50])),
        Case("does not ask for the sizes in order", lambda g: (randn(g, 48, 2), 2 * randn(g, 30, 2), [24, 6, 48, 12]),
             hint="least squares takes the points in any order"),
        Case("takes many sizes, some of which do not divide the number of rows",
             lambda g: (randn(g, 70, 3), 3 * randn(g, 50, 3), [8, 11, 15, 20, 30, 65])),
        Case("gives first the limit a, then the slope b",
             lambda g: (randn(g, 40, 2) + 3, randn(g, 40, 2), [5, 10, 40]),
             hint="d(n) = a + b / n: return a, b"),
    ),
    hints=("first a list: distance_at(features, reference, n) for each n of sizes",
           "with u = 1 / n, the slope is sum((u - mean u)(d - mean d)) / sum((u - mean u)^2)",
           "the line passes through the means: a = mean d - b mean u"))


KID = Exercise(
    id="ch05.kid", title="The kernel distance", reference=kid, points=4, minutes=15, difficulty="medium",
    cases=(
        Case("compares two sets of equal size", lambda g: (randn(g, 12, 5), randn(g, 12, 5) + 1),
             hint="(x . y / D + 1)^3: the mean over each set's pairs, without i = i, minus 2 times the cross pairs'"),
        Case("compares two sets of different size", lambda g: (randn(g, 9, 4), 2 * randn(g, 14, 4)),
             hint="each set has its own number of pairs: n (n - 1) and m (m - 1)", central=True),
        Case("leaves out each row's product with itself", lambda g: (3 * randn(g, 2, 3), 3 * randn(g, 2, 3)),
             hint="k.sum() - k.trace() over n (n - 1) pairs"),
        Case("keeps all cross pairs, the diagonal too", lambda g: (randn(g, 3, 6), randn(g, 3, 6) - 2),
             hint="x_i and y_i have nothing to do with each other: their product stays in"),
        Case("divides by the width of the features", lambda g: (randn(g, 8, 1), randn(g, 5, 1) + 1)),
        Case("takes float32 and computes in float64",
             lambda g: (30 * randn(g, 10, 6, dtype=torch.float32), 30 * randn(g, 10, 6, dtype=torch.float32)),
             rtol=1e-9, atol=1e-9, hint="two_sets has already made float64 of both: go on with x and y"),
    ),
    hints=("polynomial_kernel(x, y) gives all pairs: (N, M)",
           "within a set: the mean over pairs i != j; between the sets: the mean over all pairs",
           "mean within x + mean within y - 2 mean between, as a float"))


def clouds(generator, N, M, D, shift=1.0, scale=1.0):
    return randn(generator, N, D), scale * randn(generator, M, D) + shift


def islands(generator, N, M):
    """A real set of two islands, of which the fake one has only the first, and a third of its own."""
    side = 6 * (torch.arange(N) % 2).double()
    other = -6 * (torch.arange(M) % 3 == 0).double()
    return (randn(generator, N, 2) + torch.stack([side, 0 * side], dim=1),
            randn(generator, M, 2) + torch.stack([other, 0 * other], dim=1))


PRECISION_RECALL = Exercise(
    id="ch05.precision_recall", title="Precision and recall", reference=precision_recall, points=4, minutes=20,
    difficulty="medium",
    cases=(
        Case("tells what is false from what is missing", lambda g: islands(g, 80, 120),
             hint="precision: DRAWN rows in a ball of the real set; recall: REAL rows in a ball of the drawn set"),
        Case("takes the radius from the k-th nearest OTHER row", lambda g: (*clouds(g, 90, 90, 2), 1),
             hint="the nearest row of all is the row itself, at distance 0"),
        Case("lets k grow", lambda g: (*clouds(g, 60, 80, 3, shift=1.5), 7)),
        Case("gives every row a ball of its own", lambda g: (*clouds(g, 100, 70, 2, shift=0.0, scale=2.5), 4),
             hint="row j of `real` has the radius radii[j]: one radius a COLUMN of the distances (fake, real)"),
        Case("works in many dimensions", lambda g: clouds(g, 80, 60, 12, shift=0.3)),
        Case("works with the smallest sets that k allows", lambda g: (*clouds(g, 6, 7, 2, shift=0.5), 5)),
    ),
    hints=("d = torch.cdist(fake, real) is (M, N); `knn_radii` gives the radius of each row of a set",
           "a drawn row counts if it lies in ANY ball: (d <= radii of real).any(dim=1)",
           "for recall the same with d.T and the radii of fake"))


def pictures(generator, samples, train, test, shape=(1, 4, 5)):
    """Odd numbers of samples and test pictures: their median is one of them."""
    return tuple(randn(generator, n, *shape) * s for n, s in ((samples, 1.5), (train, 1), (test, 0.8)))


def copies(generator, noise):
    """Samples that are training pictures, with a little noise."""
    _, train, test = pictures(generator, 1, 30, 21)
    return train[:15] + noise * randn(generator, *train[:15].shape), train, test


MEMORISATION = Exercise(
    id="ch05.memorisation_ratio", title="By heart?", reference=memorisation_ratio, points=3, minutes=15,
    difficulty="medium",
    cases=(
        Case("compares the nearest training picture of samples and of test pictures",
             lambda g: pictures(g, 31, 40, 25),
             hint="nearest(x, train)[0] is a distance a picture; the median of the samples over that of the test set"),
        Case("takes medians, which one stray sample does not move",
             lambda g: (torch.cat([randn(g, 20, 1, 3, 3), 50 + randn(g, 5, 1, 3, 3)]), *pictures(g, 1, 30, 15,
                                                                                              (1, 3, 3))[1:]),
             hint="the median over samples, and the median over test pictures"),
        Case("is small for copies", lambda g: copies(g, 0.1),
             hint="samples above, test pictures below the line"),
        Case("looks at all numbers of a picture, in three channels too",
             lambda g: pictures(g, 11, 50, 13, (3, 2, 6))),
        Case("knows one training picture", lambda g: pictures(g, 9, 1, 7)),
    ),
    hints=("two numbers, and their quotient",
           "nearest(samples, train)[0].median() over the same of test"))


EXERCISES = (FRECHET, FD_INFINITY, KID, PRECISION_RECALL, MEMORISATION)
