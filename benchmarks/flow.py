"""Train the recipe mnist-flow and measure its digits: benchmarks/flow.json, or with --keep a checkpoint too

    python benchmarks/flow.py [--minutes 2 5 10 | --core-minutes 4 10 20] [--preset cpu|cuda] [--n 1000] [--keep]

--minutes is time on the clock, for a machine that does nothing else; --core-minutes trains as many steps as take so
much time of one processor core, for a machine that is shared. A row of the same length in flow.json is replaced, others
stay. With --keep the net of the last length and its record go to checkpoints/ as mnist-flow (or mnist-flow-cuda).
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from measuring import keep, of_the_preset, quality, trained, write

from minidiff.evaluation.digits import load_judge
from minidiff.recipes.mnist_flow import RECIPE
from minidiff.recipes.recipe import load
from minidiff.samplers.flow import EULER_FLOW, HEUN_FLOW
from minidiff.training.device import pick_device

SAMPLERS = {"euler": EULER_FLOW, "heun": HEUN_FLOW}
FEW, ALL = (("euler", 20), ("heun", 9)), (("euler", 2), ("euler", 5), ("euler", 10), ("euler", 20), ("heun", 5),
                                          ("heun", 9), ("heun", 19))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10])
    parser.add_argument("--core-minutes", type=float, nargs="+", help="instead of minutes")
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--n", type=int, default=1000, help="samples of each measurement")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    device, file = pick_device(args.preset), of_the_preset(Path(__file__), args.preset)
    table = json.loads(file.read_text()) if file.exists() else {"runs": []}
    unit, lengths = ("core_minutes", args.core_minutes) if args.core_minutes else ("minutes", args.minutes)
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            record = trained(RECIPE, args.preset, Path(folder), device, unit, length)
            record["metrics"] = measured(folder, device, args.n, ALL if length == lengths[-1] else FEW)
            if args.keep and length == lengths[-1]:
                keep(Path(folder), record)
        row = {key: value for key, value in record.items() if key != "loss_curve"}
        rows = [r for r in table["runs"] if r.get(unit) != length] + [row]
        table["runs"] = sorted(rows, key=lambda r: r["images"])
        write(file, table)
        print(json.dumps(row), flush=True)


def measured(folder, device, n, samplers):
    """Fréchet distance and label accuracy of n digits, as many of each label, for each (sampler, evaluations)."""
    (recipe, net), judge = load(folder, device), load_judge()
    label = torch.arange(n) % recipe.config["classes"]
    return {"samples": [{"sampler": name} | quality(judge, recipe, net, n, evaluations, SAMPLERS[name], device,
                                                    label=label) for name, evaluations in samplers]}


if __name__ == "__main__":
    main()
