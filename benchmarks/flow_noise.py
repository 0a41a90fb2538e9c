"""When does noise help a flow that was learned? The islands of chapter 09, walked with more or less: flow_noise.json

    python benchmarks/flow_noise.py [--seeds 5] [--n 4000]

One MLP a seed and a length of training, on plain flow matching (blind pairs); each is walked from the same noises with
gamma^2 = c t for several c and two numbers of steps. The distance is the sliced Wasserstein distance to as many real
points; its floor is that of two sets of real points.
"""

import argparse
import json
from pathlib import Path

import torch

from minidiff.evaluation.sliced import sliced_w2
from minidiff.models.mlp import MLP
from minidiff.process.denoiser import denoiser_of
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.run import hardware
from minidiff.recipes.toy_reflow import ISLANDS
from minidiff.samplers.flow import euler_flow, sde_flow
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
FACTORS, STEPS, TRAINED = (0.0, 1.0, 4.0), (20, 200), (100, 400, 1600)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n", type=int, default=4000)
    args = parser.parse_args()
    path, rows = flow_path(), []
    for seed in range(args.seeds):
        generator = torch.Generator().manual_seed(1000 + seed)
        noise, real, other = (torch.randn(args.n, 2, generator=generator), ISLANDS.sample(args.n, generator).float(),
                              ISLANDS.sample(args.n, generator).float())
        rows.append({"seed": seed, "floor": distance(other, real)})
        for trained in TRAINED:
            denoiser = denoiser_of(learned(trained, seed, path), path, FLOW)
            for steps in STEPS:
                for factor in FACTORS:
                    times, dice = torch.linspace(1, 0, steps + 1, dtype=torch.float64), torch.Generator().manual_seed(7)
                    walk = (sde_flow(denoiser, noise, times, path, lambda t: factor * t, dice) if factor else
                            euler_flow(denoiser, noise, times, path))
                    rows.append({"seed": seed, "batches": trained, "steps": steps, "gamma^2 / t": factor,
                                 "distance": distance(final_sample(walk), real)})
                    print(rows[-1], flush=True)
    write_whole(FILE, json.dumps({"n": args.n, "seeds": args.seeds, "hardware": hardware(), "torch": torch.__version__,
                                  "rows": rows}, indent=1) + "\n")


def distance(x, real):
    return round(float(sliced_w2(x, real, torch.Generator().manual_seed(0))), 4)


def learned(steps, seed, path):
    """An MLP after so many batches of 512 blind pairs."""
    torch.manual_seed(seed)

    def batch_at(step):
        return ISLANDS.sample(512, torch.Generator().manual_seed(seed * 100_003 + step)).float()

    def loss(net, x, generator):
        return weighted_loss(net, x, path, FLOW, generator)
    return fit(MLP(dim=2), loss, batch_at, steps=steps, lr=2e-3, seed=seed, ema_decay=0.98).ema


if __name__ == "__main__":
    main()
