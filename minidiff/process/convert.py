"""One network, asked for something else than it was trained to say."""

from minidiff.process.targets import from_target, to_target


def convert(out, x_t, alpha, sigma, source, target):
    """What a network that answers `out` for the target `source` says about `target` (Salimans and Ho 2022, section 4).

    out, x_t: (B, ...); alpha, sigma: () or (B,); source, target: of `process.targets`. Returns the shape of x_t. Raises
    ValueError where `source` does not determine x0 and eps.
    """
    x0, eps = from_target(source, out, x_t, alpha, sigma)
    return to_target(target, x0, eps, alpha, sigma)
