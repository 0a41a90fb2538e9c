"""Cases of chapter 08 that only the grader runs."""

import torch

from minidiff.exercises.ch08 import (PATHS, both_forms, grid_of, pair, past, randn, start, step_inputs, two_asks,
                                     uniform, value_of, walk, walker)
from minidiff.exercises.core import Case


def short_step(generator):
    """Clips, and a step that is so short that hardly anything changes."""
    t = uniform(generator, 1, 0.4, 0.6)[0]
    return randn(generator, 2, 3, 1, 2, 4), randn(generator, 2, 3, 1, 2, 4), t, t - 1e-3, "vp"


HIDDEN = {
    "ch08.exponential_step": (
        Case("takes a short step, for clips", short_step, both_forms),
        Case("does both forms for a single picture, far apart", step_inputs("vp", B=1, first=(0.9, 0.99),
                                                                          last=(0.01, 0.02)), both_forms),
    ),
    "ch08.lambda_grid": (
        Case("cuts lambda in many equal steps", lambda g: ("vp", 40, *[float(u) for u in pair(g)]), grid_of),
        Case("has two times for n = 2, its two ends", lambda g: ("ve", 2, *[float(u) for u in pair(g)]), grid_of,
             expect=lambda path, n, first, last: torch.tensor([first, last, 0.0], dtype=torch.float64) * PATHS[path].T),
    ),
    "ch08.dpm2_step": (
        Case("takes the noise of the middle on another path", lambda g: walker(g, "cosine", "eps", B=2), two_asks),
        Case("takes the picture of the middle where alpha = 1", lambda g: walker(g, "ve", "x0", B=1), two_asks),
    ),
    "ch08.value_2m": (
        Case("reads the line for points of the plane", lambda g: past(g, 2, (9, 2), gaps=(0.5, 0.6)), value_of),
        Case("takes a step ahead that is much shorter than the one behind", lambda g: (lambda lams, answers, lam_s: (
            lams, answers, lams[0] + 0.01 * (lam_s - lams[0])))(*past(g, 3, (2, 3, 4))), value_of),
    ),
    "ch08.heun": (
        Case("walks over uneven steps of another path", lambda g: start(g, "cosine", [0.85, 0.8, 0.3, 0.05, 0.0], B=2),
             walk),
        Case("stops where the times stop", lambda g: start(g, "ve", [0.9, 0.1], B=1), walk),
    ),
    "ch08.edm_precond": (
        Case("is right for levels in the shape of a small matrix",
             lambda g: (uniform(g, 6, 0.05, 5).reshape(2, 3), *uniform(g, 1, 0.3, 0.9).tolist())),
        Case("is right where noise and data are of one size", lambda g: (torch.full((3,), 0.7).double(), 0.7)),
    ),
    "ch08.karras_sigmas": (
        Case("is right for many levels", lambda g: (50, *uniform(g, 1, 0.01, 0.1).tolist(),
                                                    *uniform(g, 1, 1, 9).tolist())),
        Case("takes rho by name", lambda g: (4, 0.1, *uniform(g, 1, 2, 9).tolist(), *uniform(g, 1, 1.5, 3).tolist()),
             lambda fn, n, low, high, rho: fn(rho=rho, n=n, low=low, high=high)),
    ),
}
