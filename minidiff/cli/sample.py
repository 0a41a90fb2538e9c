"""python -m minidiff sample CHECKPOINT: draw digits from noise."""

from pathlib import Path

import numpy as np

from minidiff.cli.options import bar, model_file, positive
from minidiff.plotting import save_grid
from minidiff.recipes.mnist_ddpm import SAMPLERS, load, sample
from minidiff.training.device import pick_device


def add_parser(commands):
    parser = commands.add_parser("sample", help="draw pictures from a trained model", description="Draw pictures from "
                                 "a trained model into a PNG grid, or an NPY file: float32, (N, C, H, W), in [-1, 1].")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file, or the folder of a training run")
    parser.add_argument("--n", type=positive(int), default=64)
    parser.add_argument("--sampler", choices=SAMPLERS, default="ancestral")
    parser.add_argument("--steps", type=positive(int), default=250, help="evaluations of the net a picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")
    parser.add_argument("--out", type=Path, required=True, help="X.png or X.npy")
    parser.set_defaults(run=run)


def run(args):
    if args.out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy, got {args.out}")
    if not args.out.parent.is_dir():
        raise ValueError(f"--out: there is no folder {args.out.parent}")
    net, *_ = load(model_file(args.checkpoint))
    device = pick_device(args.device)
    images = sample(net.to(device), args.n, args.steps, args.seed, args.sampler, device, progress=bar("sampling"))
    if args.out.suffix == ".npy":
        np.save(args.out, images.numpy())
    else:
        save_grid(images, args.out)
    print(f"{args.n} pictures in {args.out}")
