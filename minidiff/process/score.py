"""The score of noised data, grad log q(x_t): what the best denoiser knows, in another unit."""

from minidiff.process.forward import expand_like


def tweedie(x_t, score, t, alpha_bar):
    """The mean of all x0 that may have led to x_t, E[x0 | x_t], from the score of x_t (Tweedie; Efron 2011, eq. 1.4).

    x_t, score: (B, ...), score = grad log q(x_t); t: (B,) int in 0..T, or one int; alpha_bar: (T + 1,). Returns
    (B, ...). With the score of one x0, q(x_t | x0), it gives that x0 back.
    """
    a = expand_like(alpha_bar[t], x_t)
    return (x_t + (1 - a) * score) / a.sqrt()


def score_from_eps(eps, t, alpha_bar):
    """The score that belongs to the best answer eps = E[eps | x_t]: -eps / sqrt(1 - alpha_bar_t) (Song et al. 2021).

    eps: (B, ...); t: (B,) int in 1..T, or one int; alpha_bar: (T + 1,). Returns (B, ...).
    """
    return -eps / expand_like((1 - alpha_bar[t]).sqrt(), eps)
