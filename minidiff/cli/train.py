"""python -m minidiff train RECIPE: train a recipe, alone or under torchrun."""

import os
import shlex
import signal
from pathlib import Path

from minidiff.cli.options import add_data, add_device, data_asked_for, positive
from minidiff.recipes.catalogue import find, names


def add_parser(commands):
    parser = commands.add_parser("train", description="Train a recipe and keep the model in OUT. Ctrl-C stops between "
                                 "two steps and keeps what is learned; --resume goes on. Under torchrun every process "
                                 "takes its share of each batch.")
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", default="mnist-flow",
                        help=f"{', '.join(names())}; default mnist-flow")
    parser.add_argument("--preset", choices=["cpu", "cuda"], help="net and settings made for it; default: the device's")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=positive(float), help="of the whole run, default 10")
    length.add_argument("--steps", type=positive(int), help="of the whole run, instead of minutes")
    add_data(parser)
    add_device(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder, default out/RECIPE")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/state.safetensors")
    parser.set_defaults(run=run)


def run(args):
    from minidiff.recipes.recipe import build
    from minidiff.recipes.run import train
    from minidiff.training.device import pick_device
    from minidiff.training.interrupt import Interrupt
    from minidiff.training.parallel import join, leave, only_first
    recipe, out = find(args.recipe), args.out or Path("out") / args.recipe
    device = pick_device(args.device or args.preset)
    preset = args.preset or ("cuda" if device.type == "cuda" else "cpu")
    length = {"steps": args.steps} if args.steps else {"minutes": args.minutes or 10}
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    try:
        if world > 1:
            device = join(device)
        only_first(lambda: try_folder(out, args.resume))
        made = build(recipe, preset, seed=args.seed, rank=rank, world=world, device=device, **data_asked_for(args))
        with Interrupt() as stop:
            fitted, _ = train(made, out, device=device, resume=args.resume, stop=stop, **length)
    except Exception:
        if rank > 0:  # the first process says it, once
            return 2
        raise
    finally:
        leave()
    if rank == 0:
        print(told(fitted, out, length))
        if fitted.stopped:
            print(f"stopped; to go on: {resume_command(args, out, preset, length)}")
    return 128 + (stop.number or signal.SIGTERM) if fitted.stopped else 0


def try_folder(out, resume):
    """Raise what is wrong with the folder before data are loaded, as `held_for` does."""
    from minidiff.recipes.run import held_for
    with held_for(out, resume):
        pass


def told(fitted, out, length):
    """What came of it, in a line or two."""
    lines = [f"{fitted.steps} steps, {fitted.images} images in {fitted.seconds:.0f} s; "
             f"model: {out / 'model.safetensors'}"]
    if fitted.begun == fitted.steps and not fitted.stopped:
        (unit, asked), = length.items()
        had = f"{fitted.steps} steps" if unit == "steps" else f"{fitted.seconds / 60:.1f} minutes"
        lines.insert(0, f"nothing left to train: the run in {out} has had {had}, and --{unit} {asked:g} is the length "
                        "of the whole run, not of what is added; ask for more to go on")
    return "\n".join(lines)


def resume_command(args, out, preset, length):
    """The command that goes on with this run to the length that was asked for."""
    (unit, asked), = length.items()
    words = ["python", "-m", "minidiff", "train", args.recipe, "--preset", preset, "--data", args.data, "--seed",
             str(args.seed), f"--{unit}", str(asked), "--out", str(out), "--resume"]
    words += ["--shape", ",".join(map(str, args.shape))] if args.shape else []
    return shlex.join(words + (["--device", args.device] if args.device else []))
