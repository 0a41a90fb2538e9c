"""Latent diffusion on emoji, from the autoencoder to the drawn picture: benchmarks/latent.json

    python benchmarks/latent.py train vae|latent [--minutes M] [--preset cpu|cuda] [--out DIR] [--vae DIR] [--keep]
    python benchmarks/latent.py measure [PART ...]      by default all parts; those of nets that are there

`train` goes on from what is in its folder; with --keep, model and record go to checkpoints/, which `measure` reads.
--vae is for trying: emoji-latent then learns in another autoencoder than checkpoints/emoji-vae.
PART is one of: vae, drawn, bands, stages, compute. Each part replaces its own figures in the record. The tables for
which many small nets are trained are made by benchmarks/autoencoders.py.
"""

import argparse
import json
import os
import time
from functools import partial
from pathlib import Path

import torch
from latent_cost import compute, stages
from measuring import keep, machine, rounded, write

from minidiff.data.emoji import emoji
from minidiff.evaluation.frechet import frechet
from minidiff.evaluation.memory import nearer_to_train
from minidiff.evaluation.retrieval import truth_ranks
from minidiff.evaluation.spectrum import band_edges, band_psnr, radial_spectrum
from minidiff.models.kl_vae import means, pictures_of
from minidiff.process.guidance import cfg
from minidiff.recipes import emoji_vae
from minidiff.recipes.emoji_latent import autoencoder
from minidiff.recipes.recipe import build, find, load, sample
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.recipes.tiny_clip import embed_pictures
from minidiff.training.device import pick_device

RECORD, OUT = Path(__file__).with_suffix(".json"), Path(__file__).parents[1] / "out" / "latent"
RECIPES = {"vae": "emoji-vae", "latent": "emoji-latent"}


def digits(figures, n=4):
    """The same figures with n digits that count, in dicts and lists of them too."""
    if isinstance(figures, dict):
        return {name: digits(value, n) for name, value in figures.items()}
    if isinstance(figures, list):
        return [digits(value, n) for value in figures]
    return rounded(figures, n) if isinstance(figures, float) else figures


def features(pictures):
    """The vectors that the committed CLIP gives to pictures (N, 3, 32, 32): (N, 64)."""
    return embed_pictures(load(CHECKPOINTS / "tiny-clip.safetensors")[1], pictures)


# --- training -------------------------------------------------------------------------------------------------------

def trained(args):
    """Train a recipe for some minutes in a folder; its record, with what was measured, is kept if it shall be."""
    device, name = pick_device(args.preset), RECIPES[args.recipe]
    out = args.out or OUT / name
    load_before, start = os.getloadavg()[0], time.process_time()
    changes = {"vae": str(args.vae)} if args.vae and args.recipe == "latent" else {}
    _, record = train(build(find(name), args.preset, data="emoji", device=device, **changes), out, minutes=args.minutes,
                      device=device, resume=(out / "state.safetensors").exists())
    record |= {"minutes": args.minutes, "cpu_seconds": round(time.process_time() - start), "cores": os.cpu_count(),
               "load_average_before_and_after": [round(load_before, 1), round(os.getloadavg()[0], 1)]}
    record["metrics"] = quality_of_vae(load(out)[1].cpu()) if args.recipe == "vae" else of_drawn(*load(out), n=500)
    write(out / "model.json", record)
    if args.keep:
        keep(out, record)
    print({k: v for k, v in record.items() if k not in ("words", "loss_curve")})


def quality_of_vae(net):
    """What an autoencoder keeps of pictures, the law of its latents, and the distance of what it makes of pictures.

    Distances are Fréchet's, in features of the tiny CLIP, to the training set: of reconstructions, and of as many real
    pictures, which is what they would be without any loss.
    """
    seen, held = emoji("train").pictures, emoji("test").pictures
    known, real = features(seen), features(held)
    back = {name: pictures_of(net, means(net, some)) for name, some in (("training", seen), ("held out", held))}
    distances = {"reconstructed training pictures": frechet(features(back["training"]), known),
                 "reconstructed held-out pictures": frechet(features(back["held out"]), known),
                 "held-out pictures": frechet(real, known), "held-out pictures, number": len(held)}
    found = truth_ranks(features(back["held out"]), real)
    return digits(emoji_vae.figures(net) | {"distance": distances, "held out found again by clip": {
        "first": float((found == 1).double().mean()), "median rank": float(found.double().quantile(0.5))}})


def of_drawn(recipe, net, n=500, guidance=(1.0, 3.0), **how):
    """What pictures of training captions and of the held-out ones are worth: {"w = 1": ..., "w = 3": ...}.

    The distance of n pictures of training captions to the training set, which no model of latents can have below that
    of reconstructions; of the held-out captions the rank of the true picture among all of them, by CLIP's features.
    """
    seen, held = emoji("train"), emoji("test")
    known, truth, figures = features(seen.pictures), features(held.pictures), {}
    some = seen.take(torch.randperm(len(seen.captions), generator=torch.Generator().manual_seed(0))[:n].tolist())
    null = recipe.draw(recipe.config).null
    for w in guidance:
        wrap, start = (partial(cfg, w=w, null=null) if w != 1 else None), time.monotonic()
        drawn, told = (sample(recipe, net, len(of.captions), wrap=wrap, caption=list(of.captions),
                              style=list(of.styles), **how) for of in (some, held))
        found = truth_ranks(features(told), truth)
        share, innocent = nearer_to_train(told, seen.pictures, held.pictures)
        figures[f"w = {w:g}"] = {
            "distance": frechet(features(drawn), known), "pictures": n,
            "distance of held-out captions": frechet(features(told), known),
            "truth first": float((found == 1).double().mean()), "median rank": float(found.double().quantile(0.5)),
            "cosine with the truth": float(torch.cosine_similarity(features(told), truth).mean()),
            "held-out captions": len(held.captions), "nearer to training": share,
            "nearer to training by chance": innocent, "seconds": time.monotonic() - start}
    figures["real"] = {"distance": frechet(features(some.pictures), known), "pictures": n,
                       "distance of held-out captions": frechet(truth, known)}
    return digits(figures)


# --- measuring ------------------------------------------------------------------------------------------------------

def vae():
    """The committed autoencoder."""
    return quality_of_vae(autoencoder("emoji-vae")[0])


def drawn():
    """emoji-latent beside emoji-text, where they are there, with the distance of what the autoencoder gives back."""
    figures = {}
    for name in ("emoji-latent", "emoji-text"):
        if (file := CHECKPOINTS / f"{name}.safetensors").is_file():
            figures[name] = of_drawn(*load(file), n=500)
    seen = emoji("train").pictures
    some = seen[torch.randperm(len(seen), generator=torch.Generator().manual_seed(0))[:500]]
    net, _ = autoencoder("emoji-vae")
    figures["reconstructions"] = digits({"distance": frechet(features(pictures_of(net, means(net, some))),
                                                             features(seen)), "pictures": 500})
    return figures


def bands():
    """The power of held-out pictures by frequency, and how much of it the autoencoder brings back."""
    net, _ = autoencoder("emoji-vae")
    held, edges = emoji("test").pictures, band_edges(8)
    back = pictures_of(net, means(net, held))
    return digits({"edges": edges, "pictures": len(held), "psnr": band_psnr(back, held, edges).tolist()} | {
        f"power of {name}": radial_spectrum(x, edges).tolist()
        for name, x in (("pictures", held), ("reconstructions", back), ("errors", back - held))})


PARTS = {"vae": vae, "bands": bands, "stages": stages, "compute": compute, "drawn": drawn}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("train")
    command.add_argument("recipe", choices=list(RECIPES))
    command.add_argument("--minutes", type=float, default=4.0)
    command.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    command.add_argument("--out", type=Path, help="the folder of the run")
    command.add_argument("--vae", type=Path, help="the autoencoder that emoji-latent learns in")
    command.add_argument("--keep", action="store_true")
    commands.add_parser("measure").add_argument("parts", nargs="*", metavar="PART", default=list(PARTS))
    args = parser.parse_args()
    if args.command == "train":
        trained(args)
        return
    for name in args.parts:
        figures = PARTS[name]()
        record = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
        write(RECORD, record | machine() | {name: figures})
        print(name, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
