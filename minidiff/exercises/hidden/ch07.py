"""Cases of chapter 07 that only the grader runs."""

from minidiff.exercises.ch07 import (grid, invert_inputs, one_step, randn, slope_of_ode, step_inputs, true_slope,
                                     uniform, upwards, whole)
from minidiff.exercises.ch07_likelihood import trace_inputs, trace_of
from minidiff.exercises.core import Case


def many_at_one_time(generator):
    """Clips, all at one time."""
    return (*randn(generator, 2, 3, 2, 1, 2, 3), uniform(generator, 1, 0.5, 1.5)[0], 0.8, 0.9)


HIDDEN = {
    "ch07.ddim_step": (
        Case("takes one step down from the noisiest, with some noise", lambda g: step_inputs(g, 20, 19, 0.6, B=5),
             one_step),
        Case("jumps to clean data, whatever eta is", lambda g: step_inputs(g, 13, 0, 0.4, B=2), one_step),
    ),
    "ch07.timestep_subset": (
        Case("is right for every spacing when n does not divide T", lambda g: (whole(g, 500, 1000), whole(g, 6, 70)),
             lambda fn, T, n: [grid(fn, T, n, kind) for kind in ("trailing", "leading", "linspace")]),
        Case("takes its arguments by name", lambda g: (whole(g, 50, 99), whole(g, 2, 9)),
             lambda fn, T, n: fn(n=n, T=T).tolist()),
    ),
    "ch07.pf_ode_rhs": (
        Case("moves clips, all at one time", many_at_one_time, slope_of_ode, expect=true_slope),
        Case("moves points of the plane", lambda g: (*randn(g, 2, 9, 2), uniform(g, 9, 0.3, 1.7), 1.6, 0.4),
             slope_of_ode, expect=true_slope),
    ),
    "ch07.invert": (
        Case("climbs from clean data in one step", lambda g: invert_inputs(g, [0, 15], B=2), upwards),
        Case("climbs over uneven steps to the noisiest", lambda g: invert_inputs(g, [1, 2, 10, 11, 20], B=5), upwards),
    ),
    "ch07.hutchinson": (
        Case("gives one number per picture, in colour", lambda g: trace_inputs(g, 2, 3, 2, 2), trace_of),
        Case("works for one picture of one number", lambda g: trace_inputs(g, 1, 1), trace_of),
    ),
}
