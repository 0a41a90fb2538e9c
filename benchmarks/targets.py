"""What do target, weight, path and times each do? Small nets, alike in all else, three seeds: benchmarks/targets.json

    python benchmarks/targets.py [PART ...] [--steps 600] [--n 500] [--minutes 9] [--seeds 0 1 2]

Parts: `grid` (three targets, four weights), `factors` (path, target and times one by one, and the straight path of
chapter 09), `patches` (28 x 28 in squares of 7 x 7, through a narrow net), `bounds` (L_simple, hybrid and L_vlb, in
bits). Runs that stand in the JSON already are left as they are; after `--minutes` no new one is started. Every run of
a seed starts from the same weights and sees the same images, times and noise; seconds are those of the processor named.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from measuring import machine, rounded, write

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.models.unet import UNet
from minidiff.process.continuous import time_of
from minidiff.process.denoiser import denoiser_of
from minidiff.process.elbo import bits_per_dim
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.losses import draw_times
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, cosine_betas
from minidiff.process.targets import EPS
from minidiff.process.variance import hybrid_loss, vlb_estimate
from minidiff.recipes.mnist_targets import CHOICES, RECIPE, small, small_judge
from minidiff.recipes.pictures import pictures
from minidiff.recipes.recipe import build, sample
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
COSINE = discrete_path(alpha_bar_of(cosine_betas()))
LAMBDAS = (-3.0, -1.5, 0.0, 1.5, 3.0)
PRESET = RECIPE.presets["cpu"]
OWN = {what: tuple(choices) for what, choices in CHOICES.items()}  # those of chapter 06, without what comes now
CHOICES["path"]["straight"], CHOICES["target"]["flow"] = flow_path(), FLOW
CHOICES["weight"]["(1 + sqrt SNR)^2"] = lambda snr: (1 + snr.sqrt()) ** 2  # the plain loss of the flow
PLAIN = {"eps": "SNR", "v": "SNR + 1", "flow": "(1 + sqrt SNR)^2"}

ARMS = {
    "grid": [("cosine", target, weight, "uniform") for target in OWN["target"] for weight in OWN["weight"]],
    "factors": [(path, target, PLAIN[target], times) for path in OWN["path"] for target in ("eps", "v")
                for times in OWN["times"]] + [("straight", "flow", PLAIN["flow"], "logit-normal")],
    "patches": [("cosine", target, "min(SNR, 5)", "uniform") for target in OWN["target"]],
    "bounds": [("cosine", "eps", loss, "uniform") for loss in ("simple", "hybrid", "vlb")],
}


def bound_loss(config):
    """L_simple, the hybrid loss or L_vlb, as config["weight"] says, of a net with two answers on 1,000 steps."""
    def loss(net, batch, generator):
        x0 = batch["x"]
        t = draw_times(len(x0), COSINE.T, generator)
        eps = torch.randn(x0.shape, generator=generator)
        if config["weight"] != "vlb":
            return hybrid_loss(net, x0, t, eps, COSINE, 1e-3 * (config["weight"] == "hybrid")), {}
        x_t = COSINE.mix(x0, eps, t)
        return vlb_estimate(x0, x_t, *net(x_t, t).chunk(2, dim=1), t, COSINE).mean(), {}
    return loss


def first_answer(net, path):
    return denoiser_of(lambda x, t: net(x, t)[:, :1], path, EPS)


SQUARES = PRESET | {"net": {"patch": 7, "channels": [32], "blocks": 2, "width": 64}}
RECIPES = {
    "grid": RECIPE, "factors": RECIPE,
    "patches": replace(RECIPE, data=pictures, presets={"cpu": SQUARES}),
    "bounds": replace(RECIPE, net=lambda config: UNet(out_channels=2, **config["net"]), loss=bound_loss,
                      draw=lambda config: replace(RECIPE.draw(config), denoiser=first_answer)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", default=list(ARMS))
    parser.add_argument("--steps", type=int, default=600, help="batches of a run")
    parser.add_argument("--n", type=int, default=500, help="samples of a run")
    parser.add_argument("--minutes", type=float, default=60, help="start no run after these")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    start, record = time.monotonic(), json.loads(FILE.read_text()) if FILE.exists() else {"rows": []}
    record |= {"steps": args.steps, "batch": PRESET["batch"], "n": args.n, "sampler": "DDIM, 20 steps",
               "net": PRESET["net"], "net of patches": SQUARES["net"], "lambda of error": LAMBDAS} | machine()
    for part in args.parts:
        keys = [{"part": part} | dict(zip(("path", "target", "weight", "times"), arm)) | {"seed": seed}
                for seed in args.seeds for arm in ARMS[part]]
        missing = [key for key in keys if not any(is_of(row, key) for row in record["rows"])]
        world = World(part, args.n) if missing else None
        for key in missing:
            if time.monotonic() - start < 60 * args.minutes:
                record["rows"].append(key | run_of(world, key, args.steps))
                record["floor"] = record.get("floor", {}) | world.floor
                print(record["rows"][-1], flush=True)
                write(FILE, record)


def is_of(row, key):
    """Whether a row measured what the key asks for; `grid` and `factors` have two arms in common."""
    shared = {row["part"], key["part"]} == {"grid", "factors"}
    return all(row[name] == value for name, value in key.items() if not (shared and name == "part"))


class World:
    """What the runs of a part have in common: test digits, the judge, and what real digits reach."""

    def __init__(self, part, n):
        self.part, self.n, test = part, n, load_data("mnist", "test")[0]
        judge, enlarge = (load_judge(), lambda x: x) if part == "patches" else small_judge()
        self.test = test if part == "patches" else small(test)
        self.distance = lambda x: round(judge.distance(enlarge(x)), 2)
        self.floor = {"distance of patches" if part == "patches" else "distance": self.distance(self.test[:n])}
        if part == "bounds":
            self.floor["bits of histograms"] = bits_of_histograms(small(load_data("mnist", "train")[0]), self.test)


def run_of(world, key, steps):
    """Train and measure one run: a row of the table without what tells it from others."""
    run = build(RECIPES[world.part], seed=key["seed"], **{what: key[what] for what in CHOICES})
    start = time.process_time()  # of this process: the machine may be busy with others
    net, recipe = fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit).ema, RECIPES[world.part]
    seconds = round(time.process_time() - start, 1)
    recipe = replace(recipe, config=run.config)
    distance = world.distance(sample(recipe, net, world.n, seed=1000 + key["seed"]))
    measured = partial(bits, loss=key["weight"]) if world.part == "bounds" else partial(error, recipe)
    return {"distance": distance, "bits" if world.part == "bounds" else "error": measured(net, test=world.test),
            "cpu_seconds": seconds}


@torch.no_grad()
def error(recipe, net, test):
    """Mean squared error of x0, unclipped, on 500 test digits at each of LAMBDAS."""
    draw, x0, found = recipe.draw(recipe.config), test[:500], []
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    for t in time_of(draw.path, torch.tensor(LAMBDAS)):
        x0_hat, _ = draw.denoiser(net, draw.path)(draw.path.mix(x0, eps, t), t)
        found.append(rounded((x0_hat - x0).square().mean()))
    return found


@torch.no_grad()
def bits(net, test, loss, repeats=16):
    """The bound in bits per pixel: mean, standard error over `repeats`, and the share of the step from pure noise.

    Each repeat asks every t about one test digit. A net that learned no variance is measured with both fixed ones.
    """
    generator, t = torch.Generator().manual_seed(0), torch.arange(1, COSINE.T + 1)
    fixed = {"posterior": 0.0, "beta": 1.0} if loss == "simple" else {"learned": None}
    found = {name: [] for name in fixed}
    for _ in range(repeats):
        x0 = test[torch.randint(len(test), (len(t),), generator=generator)]
        x_t = COSINE.mix(x0, torch.randn(x0.shape, generator=generator), t)
        eps_hat, mix = torch.cat([net(x, s) for x, s in zip(x_t.split(250), t.split(250))]).chunk(2, dim=1)
        for name, value in fixed.items():
            used = mix if value is None else torch.full_like(mix, value)
            of_t = bits_per_dim(vlb_estimate(x0, x_t, eps_hat, used, t, COSINE))
            found[name].append((float(of_t.mean()), float(of_t[-1]) / len(t)))
    return {name: {"mean": round(statistics.mean(u), 3), "error": round(statistics.stdev(u) / repeats**0.5, 3),
                   "last step": round(statistics.mean(last), 3)}
            for name, (u, last) in ((name, zip(*rows)) for name, rows in found.items())}


def bits_of_histograms(train, test):
    """The mean of -log2 of each pixel's own histogram of grey values, add-one, on the test digits."""
    train, test = (((x + 1) * 127.5).round().long().flatten(1) for x in (train, test))
    counts = torch.ones(train.shape[1], 256).scatter_add_(1, train.T, torch.ones(train.T.shape))
    log2 = (counts / counts.sum(dim=1, keepdim=True)).log2()
    return round(-float(log2.gather(1, test.T).mean()), 3)


if __name__ == "__main__":
    main()
