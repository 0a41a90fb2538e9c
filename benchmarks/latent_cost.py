"""What drawing and training cost, in latents and in pixels: two parts of benchmarks/latent.py."""

import time
from dataclasses import replace
from functools import partial

import torch
from measuring import rounded
from torch.utils.flop_counter import FlopCounterMode

from minidiff.data.batches import each
from minidiff.evaluation.stages import kept_for_backward, timed
from minidiff.process.guidance import cfg
from minidiff.recipes.emoji_latent import autoencoder_of
from minidiff.recipes.recipe import build, find, load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.training.fit import fit, step_generator

PLAIN = {"evaluations": 19, "batch": 16, "guidance": 3.0}
ONE_BY_ONE = [PLAIN] + [PLAIN | {"evaluations": n} for n in (1, 5, 39)] + [PLAIN | {"batch": n} for n in (1, 4, 64)] + [
    PLAIN | {"guidance": 1.0}]


def model():
    """The trained emoji-latent, or an untrained one, whose times are the same: (recipe, net, whether it is trained)."""
    if (file := CHECKPOINTS / "emoji-latent.safetensors").is_file():
        return *load(file), True
    run = build(find("emoji-latent"), data="emoji")
    return replace(find("emoji-latent"), config=run.config), run.net.eval().requires_grad_(False), False


def stages(repeats=3):
    """Seconds a picture of each of the three stages, the shortest of some repeats, as one setting at a time changes."""
    recipe, net, trained = model()
    null, decoder = recipe.draw(recipe.config).null, autoencoder_of(recipe.config).decoder
    rows = []
    for row in ONE_BY_ONE:
        wrap, n = (None if row["guidance"] == 1 else partial(cfg, w=row["guidance"], null=null)), row["batch"]
        best = None
        for _ in range(repeats):
            with timed(text=net.encoder, denoise=net.unet, decode=decoder) as parts:
                start = time.perf_counter()
                sample(recipe, net, n, steps=row["evaluations"], batch=n, wrap=wrap, caption="red heart", style="noto")
                whole = time.perf_counter() - start
            if best is None or whole < best[0]:
                best = whole, parts
        whole, parts = best
        rows.append(row | {"seconds a picture": rounded(whole / n)} | {
            f"{name}, ms a picture": rounded(1000 * part["seconds"] / n) for name, part in parts.items()} | {
            f"{name}, share": rounded(part["seconds"] / whole) for name, part in parts.items()} | {
            "calls of the denoiser": parts["denoise"]["calls"], "calls of the decoder": parts["decode"]["calls"]})
        print(rows[-1], flush=True)
    return {"trained": trained, "rows": rows}


def compute(steps=20):
    """Multiply-adds, memory and speed of training and of drawing, in pixels and in latents."""
    figures = {}
    for name in ("emoji-text", "emoji-latent"):
        run = build(find(name), data="emoji")
        batch = run.batch_at(0)
        figures[name] = cost(run, batch) | speed(run, steps)
        print(name, figures[name], flush=True)
    net = autoencoder_of(run.config)
    pictures = torch.zeros(1, 3, 32, 32)
    figures["emoji-vae"] = {"weights": weights(net), "encoder, multiply-adds": adds(lambda: net.encode(pictures)),
                            "decoder, multiply-adds": adds(lambda: net.decode(net.encode(pictures)[0])) - adds(
                                lambda: net.encode(pictures))}
    pixels, latents = figures["emoji-text"], figures["emoji-latent"]
    figures["pixels by latents"] = {key: rounded(pixels[key] / latents[key]) for key in pixels} | {
        "images a second": rounded(latents["images a second"] / pixels["images a second"])}
    return figures


def weights(net):
    """How many weights a net has."""
    return sum(p.numel() for p in net.parameters())


def adds(call):
    """The multiply-adds of a call, counted: torch counts each as two operations."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def cost(run, batch, n=8):
    """Counted, of one picture: multiply-adds of one evaluation of the net, and bytes kept for the way back."""
    few, generator = each(lambda x: x[:n], batch), step_generator(0, 0)
    forward = adds(lambda: run.loss_fn(run.net, few, generator))
    return {"weights": weights(run.net), "multiply-adds": forward // n, "numbers of a picture": few["x"][0].numel(),
            "bytes kept": kept_for_backward(lambda: run.loss_fn(run.net, few, step_generator(0, 0))[0]) // n}


def speed(run, steps):
    """Measured: images a second in training."""
    fit(run.net, run.loss_fn, run.batch_at, steps=2, **run.fit)
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit)
    return {"images a second": round(fitted.images / fitted.seconds, 1)}
