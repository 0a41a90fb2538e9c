"""How exact, of what order and how costly is every solver? The rows of the tests, measured: benchmarks/solvers.json

    python -m benchmarks.solvers        from the root of the repository, about three minutes; needs diffusers

`oracles`: the error against diffusers, beside the tolerance that was asked. `orders`: the errors in the plane for 16 to
256 steps, and their slope, beside the range that the tests accept. `overhead`: what a solver's own arithmetic adds to
its evaluations of mnist-ddpm, for 64 digits.
"""

import json
import time
from pathlib import Path

import torch

from minidiff.evaluation.convergence import order_of_convergence
from minidiff.process.continuous import in_real_time
from minidiff.recipes.recipe import load
from minidiff.recipes.run import CHECKPOINTS, hardware
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole
from tests.ch08.oracles import ROWS
from tests.ch08.orders import ORDERS, STEPS, errors_of
from tests.ch08.worlds import SOLVERS

WORLDS = {"ve, even in lambda": ("ve", "lambda"), "vp, Karras": ("vp", "Karras")}


def main():
    record = {"oracles": [{"scheduler": name, "asked": asked, "seen": digits(error(), 2)}
                          for name, (asked, error) in ROWS.items()],
              "steps": STEPS, "orders": [], "overhead": overhead(), "hardware": hardware(), "torch": torch.__version__}
    for name, (solver, low, high) in ORDERS.items():
        for world, where in WORLDS.items():
            errors = errors_of(solver, *where)
            record["orders"].append({"solver": name, "on": world, "accepted": [low, high],
                                     "order": round(order_of_convergence(STEPS, errors), 2),
                                     "errors": [digits(e, 3) for e in errors]})
    write_whole(Path(__file__).with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    for row in record["oracles"] + record["orders"] + [record["overhead"]]:
        print(row)


def overhead(steps=20, batch=64):
    """The time of a solver with a net that costs nothing, over the time of the evaluations that it asks for."""
    recipe, net = load(CHECKPOINTS / "mnist-ddpm.safetensors")
    draw = recipe.draw(recipe.config)
    path = in_real_time(draw.path)
    x, times = torch.randn(batch, 1, 28, 28), torch.linspace(path.T, 0, steps + 1, dtype=torch.float64)
    with torch.no_grad():
        evaluation = shortest(lambda: draw.denoiser(net, path)(x, times[0]))
    record = {"batch": batch, "evaluation_ms": digits(1000 * evaluation, 3)}
    for name, solver in SOLVERS.items():
        asked = []
        own = shortest(lambda: final_sample(solver(lambda x, t: asked.append(t) or (x, x), x, times, path)))
        evaluations = len(asked) / REPEATS
        record[name] = round(1 + own / (evaluations * evaluation), 4)
    return record


REPEATS = 5


def shortest(run):
    """The shortest of some runs, in seconds."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def digits(value, n):
    return float(f"{value:.{n}g}")


if __name__ == "__main__":
    main()
