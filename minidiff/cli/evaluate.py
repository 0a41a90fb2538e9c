"""python -m minidiff evaluate CHECKPOINT: how good its pictures are, as its recipe measures them."""

import json
from pathlib import Path

from minidiff.cli.drawing import add_drawing, add_sampler, bar, conditions, draw, in_words, measured, model, rehearse


def add_parser(commands):
    parser = commands.add_parser("evaluate", description="Draw N pictures and measure them as the recipe does: digits "
                                 "by their Fréchet distance to the training set, beside that of N real ones.")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    add_drawing(parser, n=1000)
    add_sampler(parser)
    parser.set_defaults(run=run)


def run(args):
    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for a distance between sets of pictures, got {args.n}")
    from minidiff.training.checkpoint import write_whole
    from minidiff.training.device import pick_device
    device = pick_device(args.device)
    recipe, net = model(args, device)
    rehearse(recipe)
    images = draw(recipe, net, args, device, args.sampler, args.steps, bar("sampling"))
    figures, reason = measured(recipe, images, conditions(recipe, args))
    found = {"recipe": recipe.name, "data": recipe.config["data"], "n": args.n, "seed": args.seed}
    found |= {name: getattr(args, name) for name in ("sampler", "steps", "grid", "label", "guidance")
              if getattr(args, name) is not None}
    found |= {"mean": round(images.mean().item(), 4), "std": round(images.std().item(), 4)} | figures
    if args.out:
        write_whole(args.out, json.dumps(found | ({"not_measured": reason} if reason else {}), indent=1) + "\n")
    print(f"{args.n} pictures of {recipe.name}, which learned {recipe.config['data']}: pixels of mean {found['mean']} "
          f"and standard deviation {found['std']}")
    print(f"not measured: {reason}" if reason else in_words(figures))
