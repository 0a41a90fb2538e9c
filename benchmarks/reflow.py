"""Is more reflow better? Some rounds in the plane, all of them learned, with three seeds: benchmarks/reflow.json

    python benchmarks/reflow.py [--rounds 4] [--steps 2000] [--seeds 3]        about five minutes of one core
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from measuring import machine, write

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.sliced import sliced_w2
from minidiff.process.flow import flow_path
from minidiff.recipes.recipe import build
from minidiff.recipes.toy_reflow import ISLANDS, RECIPE, taught_by
from minidiff.samplers.flow import euler_flow, heun_flow
from minidiff.samplers.step import final_sample
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
              **machine(), "rounds": rows}
    write(Path(__file__).with_suffix(".json"), config)
    print(*rows, sep="\n")


def grid(n):
    return torch.linspace(1, 0, n + 1, dtype=torch.float64)


def points(seed):
    return ISLANDS.sample(N, torch.Generator().manual_seed(seed))


def distance(x, real):
    return sliced_w2(x, real, torch.Generator().manual_seed(0))


def chain(rounds, steps, seed):
    """The nets of all rounds: the first from points of the islands beside noise, each other from the one before it."""
    recipe, nets = replace(RECIPE, data=blind_pairs), []
    for number in range(rounds):
        run = build(recipe, seed=100 * number + seed)
        nets.append(fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit).ema)
        recipe = taught_by(denoiser(nets[-1]))
    return nets


def blind_pairs(config):
    """Points and noise that have nothing to do with each other."""
    generator = torch.Generator().manual_seed(1000 + config["seed"])
    x0 = ISLANDS.sample(config["pairs"], generator).float()
    return {"x0": x0, "eps": torch.randn(config["pairs"], 2, generator=generator)}, {}


def denoiser(net):
    return RECIPE.draw(RECIPE.config).denoiser(net, PATH)


def measured(net, real, start, exact_end):
    """Sliced distance to the islands after 1 and 64 Euler steps, and the median way to the exact flow's ends."""
    end = {n: final_sample(euler_flow(denoiser(net), start, grid(n), PATH)) for n in (1, 64)}
    return {f"sliced_{n}": distance(x, real) for n, x in end.items()} | {
        "away": float((end[64] - exact_end).norm(dim=1).median())}


if __name__ == "__main__":
    main()
