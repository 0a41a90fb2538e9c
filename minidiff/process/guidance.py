"""Guidance: a denoiser that goes further towards its condition than it learned to."""


def cfg(denoiser, w, null):
    """Classifier-free guidance, uncond + w (cond - uncond), as a denoiser (Ho and Salimans 2022, eq. 6: their w + 1).

    denoiser: (x, t, **cond) -> (x0, eps); w: a number, or a function of t that gives one; null: from the conditions of
    a batch to those that say "none". Picture and noise (B, ...) are guided alike, so alpha x0 + sigma eps = x_t still
    holds. w = 1 is the denoiser with its condition and w = 0 without, both bit for bit at one evaluation; every other w
    asks twice.
    """
    def denoise(x, t, **cond):
        weight = w(t) if callable(w) else w
        if weight == 1:
            return denoiser(x, t, **cond)
        free = denoiser(x, t, **null(cond))
        if weight == 0:
            return free
        return tuple(u + weight * (c - u) for u, c in zip(free, denoiser(x, t, **cond), strict=True))
    return denoise


def interval(w, low, high):
    """The weight w for times in low..high and 1, no guidance, at all others (Kynkäänniemi et al. 2024, section 3).

    low < high: in the time of the path, else ValueError. Returns a function t -> weight, for `cfg`.
    """
    if not low < high:
        raise ValueError(f"an interval runs from low to a higher time, got {low} and {high}")
    return lambda t: w if low <= float(t) <= high else 1.0


def autoguided(denoiser, worse, w):
    """worse + w (denoiser - worse): away from what a worse model says (Karras et al. 2024, autoguidance, eq. 3).

    Both: (x, t, **cond) -> (x0, eps), asked with the same condition; `worse` learned the same with fewer weights or
    less training, so where the two differ, the better one is likely to be wrong in the same direction. w = 1 is the
    denoiser bit for bit.
    """
    def denoise(x, t, **cond):
        good = denoiser(x, t, **cond)
        if w == 1:
            return good
        return tuple(bad + w * (g - bad) for g, bad in zip(good, worse(x, t, **cond), strict=True))
    return denoise
