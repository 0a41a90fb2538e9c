"""python -m minidiff evaluate CHECKPOINT: how far its digits are from real ones."""

import json
from pathlib import Path

import torch

from minidiff.cli.options import positive
from minidiff.cli.sample import add_drawing_options, pictures_asked_for
from minidiff.cli.walks import trained
from minidiff.data.load import available
from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device


def add_parser(commands):
    parser = commands.add_parser("evaluate", help="measure a trained model", description="Draw N pictures and measure "
                                 "their Fréchet distance to the training set, beside that of N real ones.")
    parser.add_argument("--n", type=positive(int), default=1000)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    add_drawing_options(parser)
    parser.set_defaults(run=run)


def run(args):
    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for a Fréchet distance, got {args.n}")
    device = pick_device(args.device)
    model = trained(args.checkpoint, device)
    found = measure(model, pictures_asked_for(model, args, device), device) | {"seed": args.seed}
    found |= {key: value for key, value in (("sampler", args.sampler), ("steps", args.steps)) if value}
    if args.out:
        write_whole(args.out, json.dumps(found, indent=1) + "\n")
    print("\n".join(sentences(found)))


def measure(model, images, device="cpu"):
    """The figures of a trained model's images (N, 1, 28, 28) as a dict, beside those of N real test images.

    The Fréchet distance; for a net that knows labels, how many of them the judge reads (images of 0, 1, ..., 9 in
    turn); for one that predicts eps, its error on test images.
    """
    judge, data = load_judge(), model.config["data"]
    found, n = {"data": data, "n": len(images)}, len(images)
    if data == "strokes":
        judge = judge.against(load_data("strokes", "train", n=20_000)[0])
    found["distance"] = round(judge.distance(images), 1)
    if "label" in model.net.embed.extra:
        found["label_accuracy"] = round((judge.labels(images) == torch.arange(n) % 10).float().mean().item(), 3)
    if available(data):
        test, _ = load_data(data, "test")
        found["distance_of_real"] = distance_of_real(judge, test, n)
        if hasattr(model.recipe, "eps_mse"):
            found["eps_mse_test"] = round(model.recipe.eps_mse(model.net, test[:2000], device=device)[0], 4)
    return found


def distance_of_real(judge, test, n):
    """The distance of n real test images drawn at random, always the same ones, or None where there are not as many.

    Not the first n: MNIST's test set is not in random order, and its first 1,000 digits lie several times as far away.
    """
    drawn_at_random = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[:n]
    return round(judge.distance(test[drawn_at_random]), 1) if n <= len(test) else None


def sentences(found):
    """The figures as lines for a person."""
    real = found.get("distance_of_real")
    yield (f"Fréchet distance of {found['n']} pictures to the {found['data']} training set: {found['distance']}"
           + (f" (as many real test pictures: {real})" if real is not None else ""))
    if "label_accuracy" in found:
        yield f"the judge reads the label that was asked for: {found['label_accuracy']:.1%}"
    if "eps_mse_test" in found:
        yield f"error of the predicted noise on test pictures: {found['eps_mse_test']}"
