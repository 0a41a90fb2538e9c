"""python -m minidiff evaluate CHECKPOINT: how far its digits are from real ones."""

import json
from pathlib import Path

from minidiff.cli.options import bar, model_file, positive
from minidiff.data.load import available
from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.recipes.mnist_ddpm import eps_mse, load, sample
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device


def add_parser(commands):
    parser = commands.add_parser("evaluate", help="measure a trained model", description="Draw N pictures and measure "
                                 "their Fréchet distance to the training set, beside that of N real ones.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file, or the folder of a training run")
    parser.add_argument("--n", type=positive(int), default=1000)
    parser.add_argument("--steps", type=positive(int), default=250, help="evaluations of the net a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.set_defaults(run=run)


def run(args):
    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for a Fréchet distance, got {args.n}")
    net, _, _, about = load(model_file(args.checkpoint))
    device = pick_device(args.device)
    images = sample(net.to(device), args.n, args.steps, args.seed, device=device, progress=bar("sampling"))
    found = measure(net, images, about["data"], device) | {"steps": args.steps, "seed": args.seed}
    if args.out:
        write_whole(args.out, json.dumps(found, indent=1) + "\n")
    print("\n".join(sentences(found)))


def measure(net, images, data, device="cpu"):
    """The figures of generated images (N, 1, 28, 28) as a dict: distance, that of N real test images, error on eps."""
    judge, found = load_judge(), {"data": data, "n": len(images)}
    if data == "strokes":
        judge = judge.against(load_data("strokes", "train", n=20_000)[0])
    found["distance"] = round(judge.distance(images), 1)
    if available(data):
        test, _ = load_data(data, "test")
        found["distance_of_real"] = round(judge.distance(test[:len(images)]), 1) if len(images) <= len(test) else None
        found["eps_mse_test"] = round(eps_mse(net, test[:2000], device=device)[0], 4)
    return found


def sentences(found):
    """The figures as lines for a person."""
    real = found.get("distance_of_real")
    yield (f"Fréchet distance of {found['n']} pictures to the {found['data']} training set: {found['distance']}"
           + (f" (as many real test pictures: {real})" if real is not None else ""))
    if "eps_mse_test" in found:
        yield f"error of the predicted noise on test pictures: {found['eps_mse_test']}"
