"""python -m minidiff sample CHECKPOINT: draw digits from noise."""

from pathlib import Path

import numpy as np

from minidiff.cli.options import bar, positive
from minidiff.cli.walks import WALKS, draw, trained
from minidiff.plotting import save_grid
from minidiff.training.device import pick_device


def add_parser(commands):
    parser = commands.add_parser("sample", help="draw pictures from a trained model", description="Draw pictures from "
                                 "a trained model into a PNG grid, or an NPY file: float32, (N, C, H, W), in [-1, 1].")
    parser.add_argument("--n", type=positive(int), default=64)
    parser.add_argument("--out", type=Path, required=True, help="X.png or X.npy")
    add_drawing_options(parser)
    parser.set_defaults(run=run)


def add_drawing_options(parser):
    """Add what `pictures_asked_for` reads: the checkpoint, the sampler, its evaluations, the seed and the device."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file, or the folder of a training run")
    parser.add_argument("--sampler", choices=WALKS, help="default: the one that the recipe chose")
    parser.add_argument("--steps", type=positive(int), help="evaluations of the net a picture; default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")


def pictures_asked_for(model, args, device):
    """args.n pictures of a trained model, by its recipe's own sampler or by a named one."""
    progress = bar("sampling")
    if args.sampler:
        return draw(model, args.n, args.sampler, args.steps or 50, args.seed, device, progress=progress)
    steps = {"steps": args.steps} if args.steps else {}
    return model.recipe.sample(model.net, args.n, seed=args.seed, device=device, progress=progress, **steps)


def run(args):
    if args.out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy, got {args.out}")
    if not args.out.parent.is_dir():
        raise ValueError(f"--out: there is no folder {args.out.parent}")
    device = pick_device(args.device)
    images = pictures_asked_for(trained(args.checkpoint, device), args, device)
    if args.out.suffix == ".npy":
        np.save(args.out, images.numpy())
    else:
        save_grid(images, args.out)
    print(f"{args.n} pictures in {args.out}")
