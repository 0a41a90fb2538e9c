"""What do target, weight, path and times each do? Small nets, alike in all else, three seeds: benchmarks/targets.json

    python benchmarks/targets.py [PART ...] [--steps 600] [--n 500] [--minutes 9]

Parts: `grid` (three targets, four weights), `factors` (path, target and times one by one, and the straight path of
chapter 09), `patches` (28 x 28 in squares of 7 x 7, through a narrow net), `bounds` (L_simple, hybrid and L_vlb, in
bits). Runs that stand in the JSON already are left as they are; after `--minutes` no new one is started. Every run of
a seed starts from the same weights and sees the same images, times and noise; seconds are those of the processor named.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from minidiff.data.batches import Batches
from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.models.layers import zero_init
from minidiff.models.unet import UNet
from minidiff.process.continuous import time_of
from minidiff.process.denoiser import denoiser_of
from minidiff.process.elbo import bits_per_dim
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.forward import q_sample
from minidiff.process.losses import draw_times
from minidiff.process.schedules import alpha_bar_of, cosine_betas
from minidiff.process.targets import EPS
from minidiff.process.variance import hybrid_loss, vlb_estimate
from minidiff.recipes import mnist_targets as recipe
from minidiff.recipes.run import hardware
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit

HERE = Path(__file__)
SEEDS = (0, 1, 2)
PATCHES = {"patch": 7, "channels": [32], "blocks": 2, "width": 64}
LAMBDAS = (-3.0, -1.5, 0.0, 1.5, 3.0)
PATHS = recipe.PATHS | {"straight": flow_path()}
TARGETS = recipe.TARGETS | {"flow": FLOW}
WEIGHTS = recipe.WEIGHTS | {"(1 + sqrt SNR)^2": lambda snr: (1 + snr.sqrt()) ** 2}  # the plain loss of the flow
PLAIN = {"eps": "SNR", "v": "SNR + 1", "flow": "(1 + sqrt SNR)^2"}

ARMS = {
    "grid": [("cosine", target, weight, "uniform") for target in recipe.TARGETS for weight in recipe.WEIGHTS],
    "factors": [(path, target, PLAIN[target], times) for path in recipe.PATHS for target in ("eps", "v")
                for times in recipe.TIMES] + [("straight", "flow", PLAIN["flow"], "logit-normal")],
    "patches": [("cosine", target, "min(SNR, 5)", "uniform") for target in recipe.TARGETS],
    "bounds": [("cosine", "eps", loss, "uniform") for loss in ("simple", "hybrid", "vlb")],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", default=list(ARMS))
    parser.add_argument("--steps", type=int, default=600, help="batches of a run")
    parser.add_argument("--n", type=int, default=500, help="samples of a run")
    parser.add_argument("--minutes", type=float, default=60, help="start no run after these")
    args = parser.parse_args()
    file, start = HERE.with_suffix(".json"), time.monotonic()
    config = {"steps": args.steps, "batch": recipe.PRESETS["cpu"]["batch"], "n": args.n, "sampler": "DDIM, 20 steps",
             "net": recipe.PRESETS["cpu"]["net"], "net of patches": PATCHES, "lambda of error": LAMBDAS}
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    for part in args.parts:
        keys = [{"part": part} | dict(zip(("path", "target", "weight", "times"), arm)) | {"seed": seed}
                for seed in SEEDS for arm in ARMS[part]]
        missing = [key for key in keys if not any(is_of(row, key) for row in rows)]
        measure = {"patches": Patches, "bounds": Bounds}.get(part, Small)(args) if missing else None
        for key in missing:
            if time.monotonic() - start < 60 * args.minutes:
                rows.append(key | measure.run(tuple(key.values())[1:5], key["seed"]))
                print(rows[-1], flush=True)
                write(file, config | measure.floor(), rows)


def is_of(row, key):
    """Whether a row measured what the key asks for; `grid` and `factors` have two arms in common."""
    shared = {row["part"], key["part"]} == {"grid", "factors"}
    return all(row[name] == value for name, value in key.items() if not (shared and name == "part"))


def write(file, config, rows):
    """Keep everything measured so far; what other parts said about their floors stays."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    everything = kept | config | {"floor": kept.get("floor", {}) | config.pop("floor"), "hardware": hardware(),
                                 "torch": torch.__version__, "rows": rows}
    write_whole(file, json.dumps(everything, indent=1) + "\n")


class Small:
    """14 x 14 digits, `weighted_loss`, the distance of DDIM's pictures, and the error of x0 at five noise levels."""

    def __init__(self, args):
        self.args = args
        self.judge, self.enlarge = recipe.small_judge()
        self.images, self.test = (recipe.small(load("mnist", split)[0]) for split in ("train", "test"))
        self.net_options, self.preset = recipe.PRESETS["cpu"]["net"], recipe.PRESETS["cpu"]

    def floor(self):
        """The distance of as many real test digits."""
        return {"floor": {"distance": round(self.judge.distance(self.enlarge(self.test[:self.args.n])), 2)}}

    def run(self, arm, seed):
        path, target, weight, times = arm
        path, target = PATHS[path], TARGETS[target]
        loss = recipe.scaled_loss(path, target, WEIGHTS[weight], recipe.TIMES[times])
        net, seconds = self.train(lambda: UNet(**self.net_options), loss, seed)
        return self.quality(net, path, target, seed) | {"error": self.error(net, path, target),
                                                        "cpu_seconds": round(seconds, 1)}

    def train(self, make, loss_fn, seed):
        torch.manual_seed(seed)
        net, batches = make(), Batches(self.images, self.preset["batch"], seed)
        start = time.process_time()  # of this process: the machine may be busy with others
        fitted = fit(net, loss_fn, batches.at, steps=self.args.steps, seed=seed, **self.preset["fit"])
        return fitted.ema, time.process_time() - start

    def quality(self, net, path, target, seed):
        x = recipe.sample(net, path, target, (self.args.n, *self.images.shape[1:]), seed=1000 + seed)
        return {"distance": round(self.judge.distance(self.enlarge(x)), 2)}

    @torch.no_grad()
    def error(self, net, path, target):
        """Mean squared error of x0, unclipped, on 500 test digits at each of LAMBDAS."""
        x0, denoiser = self.test[:500], denoiser_of(net, path, target)
        eps, found = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)), []
        for t in time_of(path, torch.tensor(LAMBDAS)):
            x_t = float(path.alpha(t)) * x0 + float(path.sigma(t)) * eps
            found.append(float(f"{(denoiser(x_t, t)[0] - x0).square().mean():.3g}"))
        return found


class Patches(Small):
    """28 x 28 digits in 4 x 4 squares of 49 pixels, each of which the net must say with 32 numbers."""

    def __init__(self, args):
        self.args, self.judge, self.enlarge = args, load_judge(), lambda x: x
        self.images, self.test = (load("mnist", split)[0] for split in ("train", "test"))
        self.net_options, self.preset = PATCHES, recipe.PRESETS["cpu"]

    def floor(self):
        return {"floor": {"distance of patches": round(self.judge.distance(self.test[:self.args.n]), 2)}}


class Bounds(Small):
    """A second answer of the net, mix, for the variance; quality beside the bound in bits per pixel."""

    alpha_bar = alpha_bar_of(cosine_betas())

    def floor(self):
        """The mean of -log2 of each pixel's own histogram of grey values, add-one, on the test digits."""
        level = ((self.images + 1) * 127.5).round().long().flatten(1)
        counts = torch.ones(level.shape[1], 256).scatter_add_(1, level.T, torch.ones(level.T.shape))
        log2 = (counts / counts.sum(dim=1, keepdim=True)).log2()
        test = ((self.test + 1) * 127.5).round().long().flatten(1)
        return super().floor() | {"floor": {"bits of histograms": round(-float(log2.gather(1, test.T).mean()), 3)}}

    def run(self, arm, seed):
        def loss_fn(net, x0, generator):
            t = draw_times(len(x0), 1000, generator)
            eps = torch.randn(x0.shape, generator=generator)
            if arm[2] != "vlb":
                return hybrid_loss(net, x0, t, eps, self.alpha_bar, 1e-3 * (arm[2] == "hybrid")), {}
            x_t = q_sample(x0, t, eps, self.alpha_bar)
            return vlb_estimate(x0, x_t, *net(x_t, t).chunk(2, dim=1), t, self.alpha_bar).mean(), {}

        net, seconds = self.train(self.two_answers, loss_fn, seed)
        quality = self.quality(lambda x, t: net(x, t)[:, :1], PATHS["cosine"], EPS, seed)
        return quality | {"bits": self.bits(net, arm[2]), "cpu_seconds": round(seconds, 1)}

    def two_answers(self):
        net, patch = UNet(**self.net_options), self.net_options["patch"]
        net.conv_out = zero_init(nn.Conv2d(net.conv_out.in_channels, 2 * patch**2, 3, padding=1))
        return net

    @torch.no_grad()
    def bits(self, net, loss, repeats=16):
        """The bound in bits per pixel: mean, standard error over `repeats`, and the share of the step from pure noise.

        Each repeat asks every t about one test digit. A net that learned no variance is measured with both fixed ones.
        """
        generator, t = torch.Generator().manual_seed(0), torch.arange(1, 1001)
        fixed = {"posterior": 0.0, "beta": 1.0} if loss == "simple" else {"learned": None}
        found = {name: [] for name in fixed}
        for _ in range(repeats):
            x0 = self.test[torch.randint(len(self.test), (1000,), generator=generator)]
            x_t = q_sample(x0, t, torch.randn(x0.shape, generator=generator), self.alpha_bar)
            eps_hat, mix = torch.cat([net(x, s) for x, s in zip(x_t.split(250), t.split(250))]).chunk(2, dim=1)
            for name, value in fixed.items():
                used = mix if value is None else torch.full_like(mix, value)
                bits = bits_per_dim(vlb_estimate(x0, x_t, eps_hat, used, t, self.alpha_bar))
                found[name].append((float(bits.mean()), float(bits[-1]) / len(t)))
        return {name: {"mean": round(statistics.mean(u), 3), "error": round(statistics.stdev(u) / repeats**0.5, 3),
                       "last step": round(statistics.mean(last), 3)}
                for name, (u, last) in ((name, zip(*rows)) for name, rows in found.items())}


if __name__ == "__main__":
    main()
