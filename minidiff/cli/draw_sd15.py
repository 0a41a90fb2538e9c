"""How `draw` draws with published weights."""

import json
import math
from functools import partial
from pathlib import Path

from minidiff.cli.drawing import write_with
from minidiff.places import own_folder

NAME, GUIDANCE = "sd15", 7.5


def is_sd15(model):
    """Whether --model means Stable Diffusion 1.5: by its name, or as a folder that `port` made."""
    try:
        return model == NAME or json.loads((Path(model) / "model.json").read_text(encoding="utf-8"))["model"] == NAME
    except (OSError, ValueError, KeyError, TypeError):
        return False


def draw_sd15(args, device, draw_all):
    """Draw what the options say by `draw_all`, one picture after the other. Raises ValueError, CheckpointError."""
    from minidiff.plotting import save_grid
    from minidiff.recipes.sd15 import SIDE, load_sd15, recipe_for
    if args.style is not None:
        raise ValueError(f"--style: {NAME} knows no styles but those that a prompt names, got {args.style!r}")
    if args.side is not None and args.side % 8:
        raise ValueError(f"--side must be a multiple of 8, got {args.side}")
    args.n, args.guidance = args.n or 1, GUIDANCE if args.guidance is None else args.guidance
    net = load_sd15(own_folder("out") / NAME if args.model == NAME else args.model, device)
    recipe = recipe_for(net, args.prompt, args.side or SIDE)
    pictures = draw_all(recipe, net, args, device, {}, batch=1)
    write_with(partial(save_grid, pictures, columns=min(4, math.isqrt(args.n - 1) + 1), scale=1), args.out)
    print(f"{args.n} picture{'s' * (args.n > 1)} in {args.out}")
