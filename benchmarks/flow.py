"""Train the recipe mnist-flow and measure its digits: benchmarks/flow.json, or with --keep a checkpoint too

    python benchmarks/flow.py [--minutes 2 5 10 | --core-minutes 4 10 20] [--preset cpu|cuda] [--n 1000] [--keep]

--minutes is time on the clock, for a machine that does nothing else; --core-minutes trains as many steps as take so
much time of one processor core, for a machine that is shared. A row of the same length in flow.json is replaced, others
stay. With --keep the net of the last length and its record go to checkpoints/ as mnist-flow (or mnist-flow-cuda).
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import torch

from minidiff.evaluation.digits import load_judge
from minidiff.recipes.mnist_flow import CLASSES, build, sample
from minidiff.recipes.mnist_flow import load as load_model
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device
from minidiff.training.fit import fit

HERE = Path(__file__)
FEW, ALL = (("euler", 20), ("heun", 5)), (("euler", 2), ("euler", 5), ("euler", 10), ("euler", 20), ("heun", 3),
                                          ("heun", 5), ("heun", 10))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 5, 10])
    parser.add_argument("--core-minutes", type=float, nargs="+", help="instead of minutes")
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--n", type=int, default=1000, help="samples of each measurement")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    device, name = pick_device(args.preset), "flow" if args.preset == "cpu" else f"flow-{args.preset}"
    file = HERE.with_name(f"{name}.json")
    table = json.loads(file.read_text()) if file.exists() else {"runs": []}
    unit, lengths = ("core_minutes", args.core_minutes) if args.core_minutes else ("minutes", args.minutes)
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            record = trained(args.preset, Path(folder), device, unit, length)
            record["metrics"] = measured(Path(folder) / "model.safetensors", device, args.n,
                                         ALL if length == lengths[-1] else FEW)
            if args.keep and length == lengths[-1]:
                shutil.copyfile(Path(folder) / "model.safetensors", CHECKPOINTS / f"mnist-{name}.safetensors")
                write_whole(CHECKPOINTS / f"mnist-{name}.json", json.dumps(record, indent=1) + "\n")
        row = {key: value for key, value in record.items() if key != "loss_curve"}
        rows = [r for r in table["runs"] if r.get(unit) != length] + [row]
        table["runs"] = sorted(rows, key=lambda r: r["images"])
        write_whole(file, json.dumps(table, indent=1) + "\n")
        print(json.dumps(row), flush=True)


def trained(preset, folder, device, unit, length):
    """Train for a length of the unit; the record also says how busy the machine was, and the processor time."""
    run, before = build(preset), os.getloadavg()[0]
    limit = {"minutes": length} if unit == "minutes" else {"steps": round(60 * length / seconds_of_a_step(preset))}
    start = time.process_time()
    _, record = train(run, folder, device=device, progress=False, **limit)
    return record | {unit: length, "cpu_seconds": round(time.process_time() - start),
                     "load_average_before_and_after": [round(before, 1), round(os.getloadavg()[0], 1)],
                     "cores": os.cpu_count()}


def seconds_of_a_step(preset, steps=30):
    """The processor time of one training step, on a net that is thrown away."""
    run = build(preset)
    fit(run.net, run.loss_fn, run.batch_at, steps=3, **run.fit)
    start = time.process_time()
    fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit)
    return (time.process_time() - start) / steps


def measured(weights, device, n, samplers):
    """Fréchet distance and label accuracy of n digits, as many of each label, for each (sampler, steps)."""
    net, judge, labels = load_model(weights)[0].to(device), load_judge(), torch.arange(n) % CLASSES
    rows = []
    for sampler, steps in samplers:
        start = time.process_time()
        images = sample(net, n, steps, sampler=sampler, device=device, labels=labels)
        rows.append({"n": n, "sampler": sampler, "steps": steps,
                     "evaluations": steps if sampler == "euler" else 2 * steps - 1,
                     "distance": round(judge.distance(images), 1),
                     "accuracy": round((judge.labels(images) == labels).float().mean().item(), 3),
                     "cpu_seconds": round(time.process_time() - start, 1)})
    return {"samples": rows}


if __name__ == "__main__":
    main()
