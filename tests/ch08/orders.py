"""The order of every solver: how its distance from the exact flow of a mixture falls when its steps are halved."""

from functools import partial

from minidiff.evaluation.convergence import mixture_denoiser, order_of_convergence
from minidiff.process.continuous import lambda_of
from minidiff.samplers.ddim import ddim
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_grid, lambda_grid
from minidiff.samplers.lms import lms, plms
from minidiff.samplers.multistep import ANSWER, multistep
from minidiff.samplers.singlestep import singlestep
from minidiff.samplers.step import final_sample
from minidiff.samplers.unipc import unipc
from tests.ch08.worlds import MIXTURE, PATHS, arrival, ends, start

STEPS = (16, 32, 64, 128, 256)
GRIDS = {"lambda": lambda_grid, "Karras": karras_grid}


def third_order_start(denoiser, x, times, path, form, published):
    """3M whose first two steps are of third order too, so that they do not hide its order."""
    past = []
    for i in range(2):
        past = [(lambda_of(path, times[i]), denoiser(x, times[i])[ANSWER[form]]), *past]
        x = final_sample(singlestep(denoiser, x, times[i:i + 2], path, order=3, form=form))
    return multistep(denoiser, x, times[2:], path, 3, form, published, past)


# name -> (solver, smallest and largest order accepted)
ORDERS = {
    "DDIM": (ddim, 0.95, 1.05),
    "Heun": (heun, 1.9, 2.1),
    "DPM-Solver-2": (partial(singlestep, order=2, form="eps"), 1.85, 2.15),
    "DPM-Solver-3": (partial(singlestep, order=3, form="eps"), 2.8, 3.2),
    "DPM-Solver++2S": (partial(singlestep, order=2), 1.85, 2.15),
    "DPM-Solver++3S": (partial(singlestep, order=3), 2.8, 3.2),
    "DPM-Solver++2M": (multistep, 1.9, 2.1),
    "DPM-Solver-2M": (partial(multistep, form="eps"), 1.9, 2.1),
    "DPM-Solver++3M, published": (partial(third_order_start, form="x0", published=True), 1.8, 2.2),
    "DPM-Solver-3M, published": (partial(third_order_start, form="eps", published=True), 1.8, 2.2),
    "DPM-Solver++3M, with its 2": (partial(third_order_start, form="x0", published=False), 2.8, 3.3),
    "DPM-Solver-3M, with its 2": (partial(third_order_start, form="eps", published=False), 2.8, 3.3),
    "LMS-2": (partial(lms, order=2), 1.8, 2.1),
    "LMS-3": (partial(lms, order=3), 2.6, 3.1),
    "LMS-4": (partial(lms, order=4), 3.0, 4.1),
    "PLMS": (plms, 1.8, 2.2),
    "UniPC-1": (partial(unipc, order=1, ramp_down=False), 1.9, 2.1),
    "UniPC-2": (partial(unipc, order=2, ramp_down=False), 2.8, 3.2),
    "UniPC-3": (partial(unipc, order=3, ramp_down=False), 3.0, 4.5),
}


def grid_of(path_name, grid, n):
    """n steps from the first to the last level, without the step to clean data."""
    return GRIDS[grid](PATHS[path_name], n + 1, *ends(path_name))[:-1]


def errors_of(solver, path_name, grid, steps=STEPS):
    """The median distance from the exact flow over the starting points, for each number of steps: a list of floats."""
    path = PATHS[path_name]
    denoiser, x, goal = mixture_denoiser(MIXTURE, path), start(path_name), arrival(path_name)
    return [float((final_sample(solver(denoiser, x, grid_of(path_name, grid, n), path)) - goal).norm(dim=1).median())
            for n in steps]


def order_of(solver, path_name, grid, steps=STEPS):
    return order_of_convergence(steps, errors_of(solver, path_name, grid, steps))
