"""python -m minidiff train RECIPE: train a recipe, alone or under torchrun."""

import json
import os
from pathlib import Path

from minidiff.cli.drawing import check_writable
from minidiff.cli.options import add_data, add_device, data_asked_for, positive
from minidiff.recipes.catalogue import find, names


def add_parser(commands):
    parser = commands.add_parser("train", description="Train a recipe and keep the model in "
                                 "OUT. Under torchrun every process takes its share of each batch.")
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", default="mnist-flow",
                        help=f"{', '.join(names())}; default mnist-flow")
    parser.add_argument("--preset", choices=["cpu", "cuda"], help="default: cuda where there is one")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=positive(float), help="default: 10")
    length.add_argument("--steps", type=positive(int))
    add_data(parser)
    add_device(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder, default out/RECIPE")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/state.safetensors")
    parser.set_defaults(run=run)


def run(args):
    import torch
    import torch.distributed as dist

    from minidiff.recipes.recipe import build
    from minidiff.recipes.run import train
    from minidiff.training.checkpoint import write_whole
    from minidiff.training.device import pick_device
    recipe, out = find(args.recipe), args.out or Path("out") / args.recipe
    device = pick_device(args.device or args.preset)
    prepare(out, args.resume)
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if world > 1:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        preset = args.preset or ("cuda" if device.type == "cuda" else "cpu")
        run = build(recipe, preset, seed=args.seed, rank=rank, world=world, **data_asked_for(args))
        minutes = args.minutes or (None if args.steps else 10)
        fitted, record = train(run, out, steps=args.steps, minutes=minutes, device=device, resume=args.resume)
    finally:
        if world > 1:
            dist.destroy_process_group()
    if rank == 0:
        write_whole(out / "model.json", json.dumps(record, indent=1) + "\n")
        print(f"{fitted.steps} steps, {fitted.images} images in {fitted.seconds:.0f} s; "
              f"model: {out / 'model.safetensors'}")


def prepare(out, resume):
    """See before training that `out` can be written, and that a run there is not lost. Raises OSError, ValueError."""
    state = out / "state.safetensors"
    if resume and not state.is_file():
        raise ValueError(f"nothing to resume: there is no {state}")
    if not resume and state.is_file():
        raise ValueError(f"{out} holds a run already: go on with --resume, or choose another --out")
    check_writable(out)
