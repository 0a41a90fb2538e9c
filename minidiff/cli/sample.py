"""python -m minidiff sample CHECKPOINT: draw pictures from a trained model."""

from functools import partial
from pathlib import Path

from minidiff.cli.drawing import add_drawing, add_sampler, bar, check_writable, draw, model, write_with


def add_parser(commands):
    parser = commands.add_parser("sample", description="Draw pictures from a trained model into a PNG grid, or an NPY "
                                 "file: float32, (N, C, H, W), in [-1, 1].")
    parser.add_argument("--out", type=Path, required=True, help="X.png or X.npy")
    add_drawing(parser, n=64)
    add_sampler(parser)
    parser.set_defaults(run=run)


def run(args):
    if args.out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy, got {args.out}")
    if not args.out.parent.is_dir():
        raise ValueError(f"--out: there is no folder {args.out.parent}")
    check_writable(args.out.parent)
    import numpy as np

    from minidiff.plotting import save_grid
    from minidiff.training.device import pick_device
    device = pick_device(args.device)
    recipe, net = model(args, device)
    images = draw(recipe, net, args, device, args.sampler, args.steps, bar("sampling"))
    save = partial(np.save, arr=images.numpy()) if args.out.suffix == ".npy" else partial(save_grid, images)
    write_with(save, args.out)
    print(f"{args.n} pictures in {args.out}")
