"""Cases of chapter 10, part one, that only the grader runs."""

from minidiff.exercises.ch10 import (band_inputs, dropped, exactly, guided_by, label_inputs, led_away, pair_inputs,
                                     weights_at)
from minidiff.exercises.ch10_pictures import answers, pull_inputs, pulled, shared
from minidiff.exercises.core import Case

HIDDEN = {
    "ch10.drop_labels": (
        Case("drops nine of ten, of classes that are many", label_inputs(300, 0.9, 1000), dropped),
        Case("drops next to none", label_inputs(2000, 0.001), dropped),
    ),
    "ch10.cfg": (
        Case("guides clips (B, F, C, H, W), far out", pair_inputs((7.0, 9.0), 2, 2, 1, 3, 4), guided_by),
        Case("asks once for one picture at w = 1.0", pair_inputs(1.0, 1, 3, 5, 5), exactly),
    ),
    "ch10.interval": (
        Case("takes a weight below 1", band_inputs((0.2, 0.6)), weights_at),
        Case("takes a very short interval", band_inputs((2.0, 3.0), 0.4, 0.52), weights_at),
    ),
    "ch10.autoguided": (
        Case("leads clips (B, F, C, H, W) away", pair_inputs((3.0, 5.0), 2, 3, 1, 2, 4), led_away),
        Case("works between the two", pair_inputs((0.2, 0.8), 4, 4), led_away),
    ),
    "ch10.classifier_guided": (
        Case("pulls clips (B, F, C, H, W)", pull_inputs("cosine", 2, 3, 1, 2, 2, scale=2.0), pulled),
        Case("pulls one point on a path whose last time is not 1", pull_inputs("slow", 1, 4, scale=0.3), pulled),
    ),
    "ch10.rescaled": (
        Case("rescales clips (B, F, C, H, W)", answers(3, 2, 1, 3, 4, w=7.0), shared(0.6)),
        Case("rescales points of two numbers", answers(5, 2, w=2.0), shared(1.0)),
    ),
}
