"""Cases of chapter 11's drawing half that only the grader runs."""

import torch

from minidiff.exercises.ch11_drawing import (TOLD, WAY, iou_inputs, of_nothing, of_the_text, of_the_truth, on_the_way,
                                             right_about, slope_by_hand, told, vector_inputs)
from minidiff.exercises.core import Case

HIDDEN = {
    "ch11.map_iou": (
        Case("takes one map alone, much smaller than its mask", iou_inputs(1, 24, 3, 3)),
        Case("takes maps that are higher than wide, of many objects", iou_inputs(40, 10, 5, 2)),
        Case("does not mind how large the numbers of a map are", iou_inputs(6, 14, 7, 7),
             lambda fn, maps, masks: fn(1000 + maps / 8, masks)),
        Case("is as good for a map that is shifted and stretched", iou_inputs(5, 9, 9, 9),
             lambda fn, maps, masks: torch.stack([fn(maps, masks), fn(3 * maps - 40, masks)])),
    ),
    "ch11.prior_loss": (
        Case("knows the truth whatever is dropped", vector_inputs(25, 7, 0.8, size=3.0), of_the_truth,
             expect=lambda *_: torch.tensor(4.0)),
        Case("is the mean square of large vectors", vector_inputs(9, 16, 0.5, size=8.0), of_nothing,
             expect=lambda x, *_: x.square().mean()),
        Case("drops every text when all are to be dropped", vector_inputs(60, 4, 1.0), told, expect=right_about(TOLD)),
        Case("drops next to none", vector_inputs(5000, 2, 0.01), told, expect=right_about(TOLD)),
        Case("goes the straight way with vectors far from 0", vector_inputs(4000, 6, 0.5, size=20.0), on_the_way,
             expect=right_about(WAY)),
        Case("has the slope of one vector", vector_inputs(1, 5, 0.0), of_the_text, expect=slope_by_hand),
    ),
}
