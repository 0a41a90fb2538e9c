"""Cases of chapter 05 that only the grader runs."""

from minidiff.exercises.ch05 import clouds, copies, gaussian, pictures, randn
from minidiff.exercises.core import Case


def twice_as_wide(generator):
    """A Gaussian, and the same about its mean with everything doubled: the distance is the trace of the covariance."""
    mean, cov = gaussian(generator, 7)
    return mean, cov, mean, 4 * cov


def two_blobs(generator):
    """Two sets so far apart that no ball of one reaches the other."""
    real, fake = clouds(generator, 25, 40, 3)
    return real, fake + 1000


HIDDEN = {
    "ch05.frechet_of_moments": (
        Case("is the trace of the covariance for a copy that is twice as wide", twice_as_wide,
             expect=lambda mean, cov, *others: float(cov.trace())),
        Case("is the closed form in many dimensions", lambda g: (*gaussian(g, 15), *gaussian(g, 15))),
    ),
    "ch05.fd_infinity": (
        Case("takes features of one number, and more of them than the reference has",
             lambda g: (randn(g, 90, 1) - 1, 2 * randn(g, 20, 1), [9, 90, 30])),
        Case("takes five sizes that lie close together",
             lambda g: (randn(g, 60, 5), randn(g, 60, 5) + 0.2, [20, 21, 23, 26, 30])),
    ),
    "ch05.kid": (
        Case("is below 0 for a set and itself, as an unbiased estimate is", lambda g: (randn(g, 7, 4),) * 2,
             central=True),
        Case("compares sets of which one is much larger", lambda g: (randn(g, 3, 7), 0.5 * randn(g, 40, 7) + 1)),
        Case("compares sets that are far away from 0", lambda g: (randn(g, 11, 2) + 20, randn(g, 8, 2) - 15)),
    ),
    "ch05.precision_recall": (
        Case("is 0 and 0 for sets that are far apart", two_blobs, expect=lambda real, fake: (0.0, 0.0)),
        Case("takes sets of very different size and width",
             lambda g: (*clouds(g, 30, 110, 4, shift=0.2, scale=1.6), 6)),
    ),
    "ch05.memorisation_ratio": (
        Case("is near 0 for copies that can hardly be told apart", lambda g: copies(g, 0.02)),
        Case("compares points of the plane", lambda g: pictures(g, 27, 60, 41, shape=(2,))),
        Case("compares large colour pictures", lambda g: pictures(g, 5, 9, 7, shape=(3, 9, 8))),
    ),
}
