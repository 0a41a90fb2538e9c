"""The score of noised data, grad log q(x_t): what the best denoiser knows, in another unit."""


def tweedie(x_t, score, t, path):
    """The mean of all x0 that may have led to x_t, E[x0 | x_t], from the score of x_t (Tweedie; Efron 2011, eq. 1.4).

    x_t, score: (B, ...), score = grad log q(x_t); t: () or (B,), times of `path` with alpha > 0. Returns (B, ...):
    (x_t + sigma^2 score) / alpha. With the score of one x0, q(x_t | x0), it gives that x0 back.
    """
    alpha, sigma = path.at(t, x_t)
    return (x_t + sigma**2 * score) / alpha


def score_from_eps(eps, t, path):
    """The score that belongs to the best answer eps = E[eps | x_t]: -eps / sigma_t (Song et al. 2021).

    eps: (B, ...); t: () or (B,), times of `path` with sigma > 0. Returns (B, ...).
    """
    _, sigma = path.at(t, eps)
    return -eps / sigma
