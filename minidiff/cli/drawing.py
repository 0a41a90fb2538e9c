"""What the commands that draw share: their options, the pictures these mean, their figures, and files written whole."""

import io
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from minidiff.cli.options import add_checkpoint, add_device, finite, positive, rising_shares, whole_numbers
from minidiff.cli.samplers import GRIDS, SAMPLERS, grid_named, sampler_named


def add_drawing(parser, n):
    """Add all that `draw` and `conditions` read."""
    add_checkpoint(parser)
    parser.add_argument("--n", type=positive(int), default=n, help=f"how many pictures, default {n}")
    parser.add_argument("--grid", choices=GRIDS, help="where the steps lie; default: where the sampler wants them")
    parser.add_argument("--label", type=whole_numbers(0, "a class, or several in turn: 7 or 0,1,2"),
                        metavar="L,...",
                        help="for a model that knows classes; default: all classes in turn")
    parser.add_argument("--guidance", type=finite, metavar="W", help="go W times as far towards the label: 0 ignores "
                        "it, 1 follows it (the default); all else asks the net twice at each evaluation")
    parser.add_argument("--interval", type=rising_shares, metavar="LOW,HIGH", help="guide only at these times, 0 for "
                        "the clean picture and 1 for pure noise; elsewhere the label is followed; default 0,1")
    parser.add_argument("--seed", type=int, default=0, help="picture i of a seed is the same for every --n and --batch")
    parser.add_argument("--batch", type=positive(int), default=250, help="pictures drawn together, default 250")
    add_device(parser)


def add_out(parser):
    """Add --out, which `check_out` and `write_pictures` read."""
    parser.add_argument("--out", type=Path, required=True, help="X.png or X.npy")


def add_sampler(parser):
    """Add --sampler and --steps."""
    parser.add_argument("--sampler", choices=SAMPLERS, help="default: the recipe's")
    parser.add_argument("--steps", type=positive(int), help="evaluations of the net a picture; default: the recipe's")


def conditions(recipe, args):
    """What the net is told for each picture, {name: (n, ...)}. Raises ValueError."""
    import torch
    asked = {} if args.label is None else {"label": torch.tensor(args.label)[torch.arange(args.n) % len(args.label)]}
    return recipe.draw(recipe.config).cond(args.n, **asked)


def draw(recipe, net, args, device, sampler=None, steps=None, progress=None, **more):
    """args.n pictures of a trained net on the CPU, as the options say. Raises ValueError.

    sampler: a name or a `Sampler`; more: for `sample`, as where walks start.
    """
    from minidiff.process.continuous import in_real_time
    from minidiff.recipes.recipe import sample
    how = recipe.draw(recipe.config)
    sampler = sampler_named(sampler) if isinstance(sampler, str) else sampler or how.sampler
    if args.grid in ("lambda", "karras"):  # whose times lie between the steps of a table
        sampler = replace(sampler, ready=in_real_time)
    return sample(recipe, net, args.n, steps=steps, sampler=sampler, grid=args.grid and grid_named(args.grid),
                  seed=args.seed, device=device, batch=args.batch, wrap=guidance(recipe, how, args), progress=progress,
                  **more, **conditions(recipe, args))


def guidance(recipe, how, args):
    """What --guidance and --interval make of a denoiser: a function of it, or None. Raises ValueError."""
    from minidiff.process.guidance import cfg, interval
    if args.guidance is None:
        if args.interval:
            raise ValueError("--interval says where --guidance acts: give both")
        return None
    if how.null is None:
        raise ValueError(f"--guidance: {recipe.name} knows no condition, so there is nothing to follow")
    weight = args.guidance
    if args.interval:
        weight = interval(weight, *(side * how.path.T for side in args.interval))
    return partial(cfg, w=weight, null=how.null)


def model(args, device):
    """The trained model of a command that draws: (recipe, net). Raises CheckpointError, ValueError."""
    from minidiff.recipes.recipe import load, recipe_in
    recipe, _, file = recipe_in(args.checkpoint)
    if recipe.draw is None:
        raise ValueError(f"{file} is a model of the recipe {recipe.name}, which draws no pictures")
    recipe, net = load(args.checkpoint, device)
    conditions(recipe, args)
    return recipe, net


def measured(recipe, images, cond):
    """The recipe's figures of pictures, and why there are none: ({name: figure}, reason or None)."""
    if recipe.measure is None:
        return {}, f"{recipe.name} names no measure: look at its pictures"
    try:
        return recipe.measure(recipe.config, images, cond), None
    except ValueError as error:
        return {}, str(error)


def rehearse(recipe):
    """Measure two grey pictures, so that a missing judge is seen before hours of work. Returns what `measured` does.

    Raises CheckpointError when the judge cannot be read, and DataError when its data cannot.
    """
    import torch
    how = recipe.draw(recipe.config)
    return measured(recipe, torch.zeros(2, *how.shape), how.cond(2))


def in_words(figures):
    """Figures as one line for a person: "distance 9.9, distance of real 8.4"."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())


def bar(what):
    """A progress bar around batches, on a terminal only."""
    from tqdm import tqdm
    return lambda batches: tqdm(batches, desc=what, disable=not sys.stderr.isatty())


def write_with(save, path):
    """Write what save(file) writes so that `path` is the old file or the whole new one. Raises CheckpointError."""
    from minidiff.training.checkpoint import write_whole
    content = io.BytesIO()
    save(content)
    write_whole(path, content.getvalue())


def check_out(out):
    """See before any work that pictures can be written to --out. Raises ValueError, CheckpointError."""
    if out.suffix not in (".png", ".npy"):
        raise ValueError(f"--out must end in .png or .npy, got {out}")
    if not out.parent.is_dir():
        raise ValueError(f"--out: there is no folder {out.parent}")
    check_writable(out.parent)


def write_pictures(images, out):
    """Write pictures (N, C, H, W) to X.png as a grid, or to X.npy as they are. Raises CheckpointError."""
    import numpy as np

    from minidiff.plotting import save_grid
    write_with(partial(np.save, arr=images.numpy()) if out.suffix == ".npy" else partial(save_grid, images), out)


def check_writable(folder):
    """See before any work that files can be made in `folder`, which is made if need be. Raises CheckpointError."""
    from minidiff.training.checkpoint import write_whole
    write_whole(folder / ".writable", "")
    (folder / ".writable").unlink()
