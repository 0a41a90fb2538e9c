"""Cases of chapter 09 that only the grader runs."""

import torch

from minidiff.exercises.ch09 import (loss_inputs, loss_of, score_inputs, score_of, some_times, walk, walk_inputs,
                                     walks_inputs)
from minidiff.exercises.ch09_reflow import pairs, pairs_inputs
from minidiff.exercises.core import Case


def there_and_back_again(generator):
    """One walk that ends where it began, at a constant speed on each half: it is as crooked as can be."""
    out = torch.ones(1, 3, dtype=torch.float64) * float(some_times(generator, 1))
    return torch.stack([0 * out, out, 0 * out]), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)


HIDDEN = {
    "ch09.cfm_loss": (
        Case("works for clips (B, F, C, H, W)", loss_inputs("flow", 3, 2, 1, 4, 5), loss_of),
        Case("works for as many points as they have coordinates, on another path", loss_inputs("vp", 4, 4), loss_of),
    ),
    "ch09.euler_flow": (
        Case("walks many short steps, for pictures in colour",
             walk_inputs([1 - i / 20 for i in range(21)], 2, 3, 2, 2), walk),
        Case("walks on a path that keeps the variance", walk_inputs([0.95, 0.5, 0.05], 3, 3, path="vp"), walk),
    ),
    "ch09.velocity_to_score": (
        Case("works for clips (B, F, C, H, W)", score_inputs("flow", 4, 2, 1, 3, 4), score_of),
        Case("works for a single picture on the cosine path", score_inputs("cosine", 1, 3, 5, 2), score_of),
    ),
    "ch09.straightness": (
        Case("is the square of the speed for a walk there and back", there_and_back_again,
             expect=lambda states, times: float((2 * states[1]).square().sum())),
        Case("takes many walks of colour pictures", walks_inputs(9, 7, 3, 2, 2)),
    ),
    "ch09.reflow_pairs": (
        Case("walks one at a time", pairs_inputs(3, 1, shape=(3,)), pairs),
        Case("makes pairs of colour pictures, by more steps", pairs_inputs(4, 3, times=(1.0, 0.9, 0.5, 0.2, 0.1, 0.0),
                                                                         shape=(3, 2, 4)), pairs),
    ),
}
