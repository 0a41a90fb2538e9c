"""Many small autoencoders of emoji, and what a diffusion model makes of their latents: benchmarks/autoencoders.json

    python benchmarks/autoencoders.py table [--seconds 60]       factor, channels, weight of the KL: 12 nets
    python benchmarks/autoencoders.py collapse [--seconds 30]    the weight of the KL from small to absurd: 6 more nets
    python benchmarks/autoencoders.py vq [--seconds 60]          K codes, with dead ones revived and without: 6 nets
    python benchmarks/autoencoders.py generate [--seconds 120]   a diffusion model in each of 5 of the table's latents

Each row is written as soon as it is there, and rows that stand in the JSON already are left as they are, so a run can
be stopped and gone on with. `generate` needs the nets of `table`, which are kept in out/autoencoders/.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from latent import digits, features, of_drawn
from measuring import fill, machine, write

from minidiff.data.emoji import emoji
from minidiff.evaluation.frechet import frechet
from minidiff.models.kl_vae import means, pictures_of
from minidiff.process.latents import compression
from minidiff.recipes import emoji_vq
from minidiff.recipes.emoji_latent import RECIPE as LATENTS
from minidiff.recipes.emoji_vae import RECIPE, figures
from minidiff.recipes.recipe import build, load
from minidiff.recipes.run import save_model
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
OUT = Path(__file__).parents[1] / "out" / "autoencoders"
LEVELS = {2: [64], 4: [32, 64], 8: [32, 64, 96]}  # channels of the levels, from half the resolution down
CELLS = [(4, 4, 1e-2)] + [(f, 4, 1e-2) for f in (2, 8)] + [(4, c, 1e-2) for c in (2, 8, 16)] + [
    (8, 16, 1e-2)] + [(4, 4, w) for w in (1e-6, 1e-4, 1e-3, 1e-1, 1.0)]
COLLAPSE = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
DIFFUSED = [(4, 4, 1e-2), (4, 8, 1e-2), (4, 16, 1e-2), (8, 16, 1e-2), (4, 4, 1e-6)]
CODES = (64, 256, 1024)


def key(factor, latent, weight, seconds):
    """What tells one net of the table from another."""
    return {"factor": factor, "latent": latent, "weight": weight, "seconds": seconds}


def folder(factor, latent, weight, seconds):
    """Where a net of the table is kept."""
    return OUT / f"f{factor}-c{latent}-w{weight:g}-{seconds:g}s"


def run_of(factor, latent, weight):
    """The run of emoji-vae with other settings."""
    chosen = RECIPE.presets["cpu"]
    net = chosen["net"] | {"latent": latent, "channels": LEVELS[factor]}
    return build(replace(RECIPE, presets={"cpu": chosen | {"net": net}}), data="emoji", weight=weight)


def trained(factor, latent, weight, seconds):
    """Train a net for some seconds: (net, images that it saw)."""
    run = run_of(factor, latent, weight)
    fitted = fit(run.net, run.loss_fn, run.batch_at, minutes=seconds / 60, **run.fit)
    save_model(folder(factor, latent, weight, seconds) / "model.safetensors", fitted.ema, run.config)
    return fitted.ema, fitted.images


def of_net(factor, latent, weight, seconds):
    """A row of the table: what the net keeps, and how far its reconstructions lie from the training set."""
    net, images = trained(factor, latent, weight, seconds)
    held, seen, found = emoji("test").pictures, emoji("train").pictures, figures(net)
    numbers, places = compression(factor, latent)
    back = pictures_of(net, means(net, seen))
    return digits({"images": images, "times fewer numbers": numbers, "times fewer places": places} | {
        name: found["held_out"][name] for name in ("kl", "rate", "bits", "psnr", "psnr_of_means", "posterior_std")} | {
        "distance of reconstructions": frechet(features(back), features(seen)), "latent std": found["latent"]["std"][0],
        "active": active(net, held)})


@torch.no_grad()
def active(net, pictures):
    """The share of latent numbers that say something: whose own KL is above 0.01 nats in the mean over pictures."""
    mean, log_var = net.encode(pictures)
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean(dim=0)
    return float((kl > 0.01).double().mean())


def table(seconds):
    fill(FILE, head, [key(*cell, seconds) for cell in CELLS], of_net, rows="table")


def collapse(seconds):
    def measure(factor, latent, weight, seconds):
        row = of_net(factor, latent, weight, seconds)
        return {name: row[name] for name in ("images", "kl", "psnr", "active", "latent std")}
    fill(FILE, head, [key(4, 4, w, seconds) for w in COLLAPSE], measure, rows="collapse")


def vq(seconds):
    def measure(codes, revive, seconds):
        chosen = emoji_vq.RECIPE.presets["cpu"]
        recipe = replace(emoji_vq.RECIPE, presets={"cpu": chosen | {"net": chosen["net"] | {"codes": codes}}})
        run = build(recipe, data="emoji", revive=revive)
        fitted = fit(run.net, run.loss_fn, run.batch_at, minutes=seconds / 60, **run.fit)
        return digits({"images": fitted.images} | emoji_vq.figures(fitted.ema))
    fill(FILE, head, [{"codes": K, "revive": revive, "seconds": seconds} for K in CODES for revive in (True, False)],
         measure, rows="vq")


def generate(seconds):
    """The same net, for the same time, in latents of other autoencoders: what does it draw?"""
    wanted = []
    for cell in DIFFUSED:
        rows = [row for row in known()["table"] if key(*cell, row["seconds"]).items() <= row.items()]
        if not rows:
            raise SystemExit(f"the table has no net of factor, channels, weight {cell}: run `table` first")
        wanted.append(key(*cell, rows[-1]["seconds"]) | {"seconds of diffusion": seconds})

    def measure(factor, latent, weight, **lasting):
        run = build(LATENTS, data="emoji", vae=str(folder(factor, latent, weight, lasting["seconds"])))
        fitted = fit(run.net, run.loss_fn, run.batch_at, minutes=seconds / 60, **run.fit)
        row = next(row for row in known()["table"] if key(factor, latent, weight, lasting["seconds"]).items()
                   <= row.items())
        drawn = of_drawn(replace(LATENTS, config=run.config), fitted.ema, n=500, guidance=(3.0,))
        return {"images": fitted.images} | {name: row[name] for name in ("psnr", "distance of reconstructions")} | drawn
    fill(FILE, head, wanted, measure, rows="generate")


def known():
    """What the file holds already."""
    return json.loads(FILE.read_text()) if FILE.exists() else head() | machine()


def head():
    """A new file has no rows."""
    return {"table": [], "collapse": [], "vq": [], "generate": []}


SECONDS = {"table": 60.0, "collapse": 30.0, "vq": 60.0, "generate": 120.0}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(SECONDS))
    parser.add_argument("--seconds", type=float, help="of training of each net")
    args = parser.parse_args()
    write(FILE, known())
    {"table": table, "collapse": collapse, "vq": vq, "generate": generate}[args.part](
        args.seconds or SECONDS[args.part])


if __name__ == "__main__":
    main()
