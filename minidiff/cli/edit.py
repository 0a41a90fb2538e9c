"""python -m minidiff edit CHECKPOINT: change a picture that is there, all of it a little or a part of it wholly."""

from pathlib import Path

from minidiff.cli.drawing import (add_drawing, add_out, add_sampler, bar, check_out, draw, guidance, model,
                                  write_pictures)
from minidiff.cli.options import positive, share

STEPS = 50  # of the whole walk, each with one evaluation for a sampler of first order


def add_parser(commands):
    parser = commands.add_parser("edit", description="Change a picture by a trained model: with --strength all of it, "
                                 "as SDEdit does; with --mask the white part of the mask, as RePaint does. The picture "
                                 "and its mask are cut around their centre and scaled to what the model draws.")
    add_out(parser)
    parser.add_argument("--init", type=Path, required=True, metavar="IMG", help="the picture: PNG or JPEG")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--strength", type=share, metavar="S", help="how much is new, above 0 and at most 1: the share of "
                     "the walk that is walked")
    how.add_argument("--mask", type=Path, metavar="MASK", help="a picture of the size of IMG: drawn anew where it is "
                     "white, kept where it is black")
    parser.add_argument("--repeats", type=positive(int), metavar="R", help="with --mask: how often each step is taken, "
                        "so that new and kept agree; default 5")
    add_drawing(parser, n=10)
    add_sampler(parser)
    parser.set_defaults(run=run)


def run(args):
    check_out(args.out)
    if args.mask and args.sampler:
        raise ValueError("--sampler goes with --strength: a mask is filled in by a walk of its own")
    if args.repeats and not args.mask:
        raise ValueError("--repeats goes with --mask")
    from minidiff.training.device import pick_device
    device = pick_device(args.device)
    recipe, net = model(args, device)
    how = recipe.draw(recipe.config)
    if args.label is None:  # then no label is meant, not all of them in turn
        if args.guidance is not None:
            raise ValueError("--guidance leads towards a --label: give both")
        args.guidance = None if how.null is None else 0.0
    guidance(recipe, how, args)  # that it fits, before any work
    walk = redrawn(args, how) if args.mask else loosened(args, how)
    write_pictures(draw(recipe, net, args, device, progress=bar("editing"), **walk), args.out)
    print(f"{args.n} edits of {args.init} in {args.out}")


def loosened(args, how):
    """What `draw` needs to walk from the picture, half-way in the noise."""
    from minidiff.samplers.edit import half_way
    picture = read(args.init, how.shape)

    def start(shape, times, path, generator):
        return half_way(picture.expand(shape), times, path, args.strength, generator)
    return {"start": start, "sampler": args.sampler, "steps": args.steps or STEPS}


def redrawn(args, how):
    """What `draw` needs to fill in the white part of the mask."""
    from minidiff.samplers.edit import inpaint
    from minidiff.samplers.sampler import Sampler
    picture, kept = read(args.init, how.shape), (read(args.mask, (1, *how.shape[1:])) < 0).float()
    if size(args.init) != size(args.mask):
        raise ValueError("--mask must have the size of --init, {} x {} pixels, got {} x {}".format(
            *size(args.init), *size(args.mask)))
    if kept.all():
        raise ValueError(f"{args.mask} is black everywhere, so there is nothing to draw anew")
    repeats = args.repeats or 5

    def walk(denoiser, x, times, path, generator):
        return inpaint(denoiser, x, times, path, picture.to(x).expand_as(x), kept.to(x), generator, repeats)
    return {"sampler": Sampler(walk, each=repeats, draws=True), "steps": args.steps or STEPS * repeats}


def read(file, shape):
    """A picture as the net sees it: (1, C, H, W) in [-1, 1]. Raises DataError, and ValueError for other channels."""
    import torch

    from minidiff.data.folder import read_picture
    if shape[0] not in (1, 3):
        raise ValueError(f"pictures in files are grey (1 channel) or in colour (3), this model draws {shape[0]}")
    return torch.from_numpy(read_picture(file, *shape).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def size(file):
    """The width and height of a picture that stands upright, in pixels."""
    from PIL import Image, ImageOps
    with Image.open(file) as opened:
        return ImageOps.exif_transpose(opened).size
