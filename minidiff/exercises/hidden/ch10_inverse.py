"""Cases of the inverse half of chapter 10 that only the grader runs."""

from minidiff.exercises.ch10_inverse import agreed, in_turn, measured_inputs, reconstructed, seen_inputs, with_a_label
from minidiff.exercises.core import Case

HIDDEN = {
    "ch10.reconstruction_guided": (
        Case("works for clips (B, F, C, H, W), on another path", measured_inputs("slow", 3, 2, 1, 2, 2), reconstructed),
        Case("tells a single picture its label", measured_inputs("cosine", 1, 3, 2, 2), with_a_label),
    ),
    "ch10.averaged": (
        Case("takes four views of one picture in colour", seen_inputs(["roll", "turn", "flip", "plain"], 1, 3, 4, 4),
             agreed),
        Case("tells every denoiser the labels, through turns", seen_inputs(["turn", "turn"], 3, 1, 2, 2), in_turn),
    ),
}
