"""Is more reflow better? Some rounds in the plane, all of them learned, with three seeds: benchmarks/reflow.json

    python benchmarks/reflow.py [--rounds 4] [--steps 2000] [--seeds 3]        about five minutes of one core
"""

import argparse
import json
from pathlib import Path

import torch

from minidiff.data.batches import Batches
from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.sliced import sliced_w2
from minidiff.models.mlp import MLP
from minidiff.process.flow import flow_path
from minidiff.recipes.run import hardware
from minidiff.recipes.toy_reflow import ISLANDS, PRESETS, build, denoiser, pairs_loss
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit

N, PATH = 4000, flow_path()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2000, help="training steps of a round")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    real, other, start = points(1), points(2), torch.randn(N, 2, generator=torch.Generator().manual_seed(3))
    exact_end = final_sample(heun_flow(mixture_denoiser(ISLANDS, PATH), start.double(), grid(256), PATH))
    found = [[measured(net, real, start, exact_end) for net in chain(args.rounds, args.steps, seed)]
             for seed in range(args.seeds)]
    rows = [{"round": k + 1} | {key: round(sum(run[k][key] for run in found) / args.seeds, 4) for key in found[0][0]}
            | {f"{key}_of_each_seed": [round(run[k][key], 4) for run in found] for key in found[0][0]}
            for k in range(args.rounds)]
    config = {"n": N, "steps": args.steps, "seeds": args.seeds, "floor": round(distance(other, real), 4),
             "hardware": hardware(), "torch": torch.__version__, "rounds": rows}
    write_whole(Path(__file__).with_suffix(".json"), json.dumps(config, indent=1) + "\n")
    print(*rows, sep="\n")


def grid(n):
    return torch.linspace(1, 0, n + 1, dtype=torch.float64)


def points(seed):
    return ISLANDS.sample(N, torch.Generator().manual_seed(seed))


def distance(x, real):
    return sliced_w2(x, real, torch.Generator().manual_seed(0))


def chain(rounds, steps, seed):
    """The nets of all rounds: the first from points of the islands beside noise, each other from the one before it."""
    chosen, generator = PRESETS["cpu"], torch.Generator().manual_seed(1000 + seed)
    blind = [ISLANDS.sample(chosen["pairs"], generator), torch.randn(chosen["pairs"], 2, generator=generator)]
    torch.manual_seed(seed)
    batches = Batches(torch.cat(blind, dim=1).float(), chosen["batch"], seed)
    nets = [fit(MLP(), pairs_loss, batches.at, steps=steps, seed=seed, **chosen["fit"]).ema]
    while len(nets) < rounds:
        run = build(seed=100 * len(nets) + seed, teacher=denoiser(nets[-1]))
        nets.append(fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit).ema)
    return nets


def measured(net, real, start, exact_end):
    """Sliced distance to the islands after 1 and 64 Euler steps, and the median way to the exact flow's ends."""
    end = {n: final_sample(euler_flow(denoiser(net), start, grid(n), PATH)) for n in (1, 64)}
    return {f"sliced_{n}": distance(x, real) for n, x in end.items()} | {
        "away": float((end[64] - exact_end).norm(dim=1).median())}


if __name__ == "__main__":
    main()
