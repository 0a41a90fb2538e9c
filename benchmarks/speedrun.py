"""What makes mnist-flow learn the most in ten minutes on two cores? One arm a row: benchmarks/speedrun.json

    python benchmarks/speedrun.py rate [ARM ...] [--idle]           training images a second
    python benchmarks/speedrun.py train ARM --seconds 120 [--keep FOLDER]     or --images N

An arm, in speedrun_arms.py, is BASE with changes; those that lost stay in the table. The method is equal wall time by
measured throughput: `rate` gives every arm short windows in turn, of which the fastest counts, on a processor clock
that stands still while other programs have the core; `rate --idle` ties that to the clock on the wall, for the base on
an idle machine. `train` then takes as many images as the arm's rate times the seconds: what a net has learned depends
on its steps alone, so a busy machine makes a run late, not worse. Measured: n digits by at most 10 evaluations;
floors: as many real digits.
"""

import argparse
import itertools
import json
import os
import time
from functools import partial
from pathlib import Path

import torch
from speedrun_arms import ARMS, BASE, PATH, TARGETS, Trainee

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.process.denoiser import denoiser_of
from minidiff.recipes.run import hardware, save_model, thin
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.multistep import multistep
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole

FILE = Path(__file__).with_suffix(".json")
SOLVERS = {"euler": (euler_flow, 10), "heun": (heun_flow, 5), "dpmpp_2m": (multistep, 10)}  # and steps for <= 10 calls
SHIFTS = (1.0, 2.0)  # of the grid: t = s u / (1 + (s - 1) u) with u even in 1..0; s > 1 crowds near noise


def rates(names, rounds=4, steps=6):
    """Training images a second of processor time for each arm, on one thread: the fastest of windows taken in turn."""
    trainees, best = {name: Trainee(BASE | ARMS[name]) for name in names}, dict.fromkeys(names, 0.0)
    torch.set_num_threads(1)
    for _ in range(rounds):
        for name, trainee in trainees.items():
            trainee.step()
            start = time.process_time()
            for _ in range(steps):
                trainee.step()
            best[name] = max(best[name], steps * trainee.arm["batch"] / (time.process_time() - start))
    return {name: round(rate, 1) for name, rate in best.items()}


def idle_rate(steps=40):
    """Training images a second of the base on all cores by the clock, and the share of them that others used."""
    trainee = Trainee(BASE)
    for _ in range(5):
        trainee.step()
    start, own, busy = time.monotonic(), time.process_time(), busy_seconds()
    for _ in range(steps):
        trainee.step()
    seconds, own, busy = time.monotonic() - start, time.process_time() - own, busy_seconds() - busy
    return {"images_per_second": round(steps * BASE["batch"] / seconds, 1), "threads": torch.get_num_threads(),
            "share_of_others": round(max(0.0, busy - own) / seconds / os.cpu_count(), 3)}


def busy_seconds():
    """The seconds that all cores together have worked since the start of the machine (Linux)."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def measured(net, target, n, solvers):
    """Distance and label accuracy of n digits for every solver and grid, the best first."""
    judge, labels, rows = load_judge(), torch.arange(n) % 10, []
    denoiser = denoiser_of(net, PATH, TARGETS[target])
    noise = torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for solver, shift in itertools.product(solvers, SHIFTS):
        walk, steps = SOLVERS[solver]
        u = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        times = shift * u / (1 + (shift - 1) * u)
        digits = torch.cat([final_sample(walk(partial(denoiser, label=label), x, times, PATH)).clamp(-1, 1)
                            for x, label in zip(noise.split(250), labels.split(250), strict=True)])
        rows.append({"solver": solver, "steps": steps, "shift": shift, "distance": round(judge.distance(digits), 2),
                     "label_accuracy": round((judge.labels(digits) == labels).float().mean().item(), 4)})
    return sorted(rows, key=lambda row: row["distance"])


def x0_errors(net, target, n=1000):
    """The mean squared error of x0 on n test digits at some times, {t: error}."""
    (images, labels), denoiser = load("mnist", "test"), denoiser_of(net, PATH, TARGETS[target])
    generator, errors = torch.Generator().manual_seed(0), {}
    chosen = torch.randperm(len(images), generator=generator)[:n]
    for t in torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64):
        x0, eps = images[chosen], torch.randn(n, 1, 28, 28, generator=generator)
        with torch.no_grad():
            guess, _ = denoiser(float(1 - t) * x0 + float(t) * eps, t, label=labels[chosen])
        errors[f"{t:.1f}"] = float(f"{(guess - x0).square().mean():.3g}")
    return errors


def floors(n):
    """The distances of disjoint parts of n real test digits each, in an order drawn at random."""
    images, judge = load("mnist", "test")[0], load_judge()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return [round(judge.distance(images[part]), 2) for part in order.split(n) if len(part) == n]


def trained(name, images, n, keep=None, stop=None, solvers=tuple(SOLVERS)):
    """Train an arm on so many images and measure it: a row of the table.

    keep: None, or a folder for the weights and for the state that a run which was cut off goes on from. stop: images
    after which the run ends early, its learning rates not yet at 0.
    """
    trainee, state = Trainee(BASE | ARMS[name]), keep / "state.pt" if keep else None
    if state and state.exists():
        trainee.go_on_from(torch.load(state))
    steps = images // trainee.arm["batch"]
    for i in range(len(trainee.losses), min(steps, (stop or images) // trainee.arm["batch"])):
        trainee.step(i / steps)
        if (i + 1) % 100 == 0:
            print(f"{name}: step {i + 1} of {steps}, loss {sum(trainee.losses[-100:]) / 100:.4f}", flush=True)
            if state:
                state.parent.mkdir(parents=True, exist_ok=True)
                torch.save(trainee.state(), state)
    target = trainee.arm["target"]
    row = {"arm": name, "settings": trainee.arm, "images": len(trainee.losses) * trainee.arm["batch"],
           "of": steps * trainee.arm["batch"], "loss_curve": thin(trainee.losses, 50),
           "x0_error_test": x0_errors(trainee.ema, target), "n": n,
           "samples": measured(trainee.ema, target, n, solvers), "floors": floors(n)}
    if keep:
        about = {"recipe": "mnist-flow", "preset": "cpu", "data": "mnist", "seed": trainee.seed} | trainee.arm
        save_model(keep / "model.safetensors", trainee.ema, about)
        write_whole(keep / "record.json", json.dumps(row, indent=1) + "\n")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    rate = commands.add_parser("rate")
    rate.add_argument("arms", nargs="*", metavar="ARM", default=list(ARMS))
    rate.add_argument("--idle", action="store_true", help="the base on all cores, by the clock of an idle machine")
    training = commands.add_parser("train")
    training.add_argument("arm", choices=ARMS)
    length = training.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="by the rates in the JSON")
    length.add_argument("--images", type=int)
    training.add_argument("--stop", type=int, metavar="IMAGES", help="end early, for a first look")
    training.add_argument("--n", type=int, default=2000, help="digits, a multiple of 250")
    training.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS))
    training.add_argument("--keep", type=Path, metavar="FOLDER", help="for weights, record and state")
    args = parser.parse_args()
    table = kept()
    if args.command == "rate" and args.idle:
        found = {"idle": idle_rate()}
    elif args.command == "rate":
        found = {"rates": table["rates"] | rates(args.arms)}
    else:
        if args.seconds and not (table["idle"] and {args.arm, "base"} <= table["rates"].keys()):
            parser.error("--seconds needs the rates of base and of this arm, and that of an idle machine: run rate")
        images = args.images or round(args.seconds * table["idle"]["images_per_second"]
                                      * table["rates"][args.arm] / table["rates"]["base"])
        row = trained(args.arm, images, args.n, args.keep, args.stop, args.solvers)
        others = [r for r in kept()["runs"] if (r["arm"], r["images"]) != (row["arm"], row["images"])]
        found = {"runs": [*others, row]}
    write_whole(FILE, json.dumps(kept() | found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def kept():
    """The table as it stands."""
    method = "rows by images seen; equal wall time by rate where that was measured"
    machine = {"hardware": hardware(), "torch": torch.__version__}
    empty = {"method": method, **machine, "idle": None, "rates": {}, "runs": []}
    return empty | (json.loads(FILE.read_text()) if FILE.exists() else {})


if __name__ == "__main__":
    main()
