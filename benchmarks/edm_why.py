"""Why is mnist-edm behind a DDPM of as many images? One suspect an arm, small nets alike in all else: edm_why.json

    python benchmarks/edm_why.py [ARM ...] [--size 14] [--seeds 0 1] [--steps 600] [--n 500] [--minutes 60]

Nets of mnist-targets on digits of 14 x 14, or of 28 x 28, 600 batches of 32. All start from the same weights and see
the same images and noise. All are drawn from the same noise by Heun's method with 19 evaluations on EDM's grid, from
sigma 80 to 0.01; the small ones also in two other ways: "unclipped" leaves x0 as the net says it, "ancestral" draws
fresh noise in each of 50 steps. Runs that stand in the JSON already are left as they are; after `--minutes` no new one
is started. --checkpoint trains nothing, and draws with mnist-edm itself.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch

from minidiff.data.batches import Batches
from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.models.unet import UNet
from minidiff.process.continuous import interpolated_path, lambda_of, time_of
from minidiff.process.denoiser import clipped
from minidiff.process.edm import edm_precond, f_target, ve_path
from minidiff.process.forward import expand_like
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.process.targets import EPS, from_target, to_target
from minidiff.process.weighted_loss import stratified_times
from minidiff.recipes import mnist_targets
from minidiff.recipes.recipe import load as load_model
from minidiff.recipes.run import CHECKPOINTS, hardware
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.heun import heun
from minidiff.samplers.lambda_grids import karras_times
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
LINEAR, VE = interpolated_path(alpha_bar_of(linear_betas())), ve_path()
LEVELS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0)  # of sigma, at which the error of x0 is measured
PUBLISHED = {"target": "F", "sigma_data": 0.62, "levels": (-1.2, 1.2), "clock": 250, "patch": 2, "steps": 1}
ARMS = {
    "ddpm": {"target": "eps", "levels": "linear", "clock": "steps"},
    "edm": {},
    "mean 0": {"levels": (0.0, 1.2)},
    "mean 0.8": {"levels": (0.8, 1.2)},
    "ddpm's levels": {"levels": "linear"},
    "ddpm with edm's levels": {"target": "eps", "clock": "steps"},
    "width 1.8": {"levels": (-1.2, 1.8)},
    "sigma_data 0.5": {"sigma_data": 0.5},
    "sigma_data 0.96": {"sigma_data": 0.96},  # the root mean square about 0, MNIST's mean is not 0
    "slower clock": {"clock": 50},
    "twice the batches": {"steps": 2},
    "no space to depth": {"patch": 1},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arms", nargs="*", metavar="ARM", default=list(ARMS))
    parser.add_argument("--size", type=int, default=14, choices=[14, 28])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=600, help="batches of a run")
    parser.add_argument("--n", type=int, default=500, help="samples of a run")
    parser.add_argument("--minutes", type=float, default=60, help="start no run after these")
    parser.add_argument("--checkpoint", action="store_true", help="draw with mnist-edm itself, train nothing")
    args = parser.parse_args()
    if args.checkpoint:
        return checkpoint(args.n)
    start, rows = time.monotonic(), json.loads(FILE.read_text())["rows"] if FILE.exists() else []
    images, test = (load("mnist", split)[0] for split in ("train", "test"))
    judge, enlarge = load_judge(), lambda x: x
    if args.size == 14:
        images, test = mnist_targets.small(images), mnist_targets.small(test)
        judge, enlarge = mnist_targets.small_judge()
    at_random = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:args.n]
    floor = round(judge.distance(enlarge(test[at_random])), 1)
    for seed in args.seeds:
        for arm in args.arms:
            if any((row["arm"], row["seed"], row["size"]) == (arm, seed, args.size) for row in rows):
                continue
            if time.monotonic() - start > 60 * args.minutes:
                return
            net, seconds = trained(ARMS[arm], images, seed, args.steps)
            denoiser = denoiser_of(net, PUBLISHED | ARMS[arm])
            walks = drawn(denoiser, args.n, seed, args.size, ways=3 if args.size == 14 else 1)
            rows.append({"arm": arm, "seed": seed, "size": args.size}
                        | {name: round(judge.distance(enlarge(x)), 1) for name, x in walks}
                        | {"error": errors(denoiser, test[:500]), "cpu_seconds": round(seconds, 1)})
            print(rows[-1], flush=True)
            kept = json.loads(FILE.read_text()) if FILE.exists() else {"floor": {}}
            rows = kept.get("rows", []) + rows[-1:]  # others may have written meanwhile
            write_whole(FILE, json.dumps(kept | {
                "steps": args.steps, "batch": 32, "n": args.n,
                "floor": kept["floor"] | {str(args.size): floor}, "sigma of error": LEVELS,
                "published": PUBLISHED, "arms": ARMS, "hardware": hardware(), "torch": torch.__version__,
                "rows": rows}, indent=1) + "\n")


def checkpoint(n):
    """Is it the walk? The net of mnist-edm, drawn in several ways: distances of n digits of 28 x 28."""
    recipe, net = load_model(CHECKPOINTS / "mnist-edm.safetensors")
    denoiser, judge = torch.no_grad()(recipe.draw(recipe.config).denoiser(net, VE)), load_judge()
    found = {name: round(judge.distance(x), 1) for name, x in drawn(denoiser, n, 0, 28)}
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"rows": [], "floor": {}}
    write_whole(FILE, json.dumps(kept | {"checkpoint": {"n": n} | found}, indent=1) + "\n")


def trained(arm, images, seed, steps):
    """A net of one arm, and the seconds of the processor that it took."""
    how, preset = PUBLISHED | arm, mnist_targets.RECIPE.presets["cpu"]
    torch.manual_seed(seed)
    net = UNet(**preset["net"] | {"patch": how["patch"]})
    start = time.process_time()
    fitted = fit(net, loss_of(how), Batches(images, preset["batch"], seed).at, steps=how["steps"] * steps, seed=seed,
                 **preset["fit"])
    return fitted.ema, time.process_time() - start


def target_of(how):
    """The target, and the sigma_data that makes c_in: for eps 1, as on a variance-preserving path."""
    return (EPS, 1.0) if how["target"] == "eps" else (f_target(how["sigma_data"]), how["sigma_data"])


def clock_of(how, sigma):
    """What the net is told of sigma: DDPM's step, or ln sigma times a factor; 250 is 1,000 c_noise."""
    if how["clock"] != "steps":
        return (how["clock"] * sigma.log()).float()
    levels = sigma.clamp(*(float((-lambda_of(LINEAR, torch.tensor(t))).exp()) * c for t, c in
                           ((1.0, 1.001), (1000.0, 0.999))))
    return time_of(LINEAR, -levels.log()).float()


def loss_of(how):
    target, s = target_of(how)

    def loss(net, x0, generator):
        if how["levels"] == "linear":
            sigma = (-lambda_of(LINEAR, 1000 * stratified_times(len(x0), generator))).exp()
        else:
            mean, std = how["levels"]
            sigma = torch.exp(mean + std * math.sqrt(2) * torch.erfinv(
                2 * stratified_times(len(x0), generator).clamp(1e-6, 1 - 1e-6) - 1))  # one in each of B equal slices
        eps = torch.randn(x0.shape, generator=generator)
        x = (x0 + expand_like(sigma, x0) * eps) * expand_like(edm_precond(sigma, s)[2], x0)
        error = net(x, clock_of(how, sigma)) - to_target(target, x0, eps, torch.ones_like(sigma), sigma)
        return error.square().mean(), {}
    return loss


def denoiser_of(net, how):
    target, s = target_of(how)

    def denoise(x, t):
        sigma = VE.sigma(t)
        out = net(x * float(edm_precond(sigma, s)[2]), clock_of(how, sigma))
        return from_target(target, out, x, torch.ones_like(sigma), sigma)
    return torch.no_grad()(denoise)


def drawn(denoiser, n, seed, size, ways=3):
    """(how, n digits) for the first `ways` ways to draw."""
    x = 80 * torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(1000 + seed))
    grid, held = karras_times(VE, 10, lowest=0.01), clipped(denoiser, VE)
    generator = torch.Generator().manual_seed(seed)
    walks = {"distance": lambda: heun(held, x, grid, VE), "unclipped": lambda: heun(denoiser, x, grid, VE),
             "ancestral": lambda: ancestral(held, x, karras_times(VE, 50, lowest=0.01), VE, generator)}
    for name in list(walks)[:ways]:
        yield name, final_sample(walks[name]())


def errors(denoiser, x0):
    """Mean squared error of x0, clipped to [-1, 1], at each of LEVELS."""
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0))
    return [float(f"{(denoiser(x0 + u * eps, torch.tensor(u))[0].clamp(-1, 1) - x0).square().mean():.3g}")
            for u in LEVELS]


if __name__ == "__main__":
    main()
