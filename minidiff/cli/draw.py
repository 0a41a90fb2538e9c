"""python -m minidiff draw PROMPT: draw what a prompt says, from a model that learned captions."""

import argparse
import math
import sys
from functools import partial
from pathlib import Path

from minidiff.cli.drawing import check_writable, in_words, measured, write_with
from minidiff.cli.options import add_device, positive
from minidiff.data.errors import DataError
from minidiff.places import CHECKPOINTS


def add_parser(commands):
    parser = commands.add_parser("draw", description="Draw what a prompt says, in the words that the model learned: "
                                 "draw 'purple heart with a hat' --style noto --out hearts.png")
    parser.add_argument("prompt", metavar="PROMPT", help="some words, between quotes")
    parser.add_argument("--model", default="emoji-text", metavar="NAME|CHECKPOINT",
                        help="emoji-text (the default), emoji-latent, shapes-text, a model of one's own, or sd15: "
                        "Stable Diffusion 1.5, once 'port' has made it from published files")
    parser.add_argument("--style", help="of emoji: noto, twemoji, fluent or any; default: each one in turn")
    parser.add_argument("--n", type=positive(int), help="how many pictures, default 9, of sd15 1")
    parser.add_argument("--guidance", type=number, metavar="W", help="how many times as far to go towards the prompt "
                        "as the model by itself, which is 1; default 3, of sd15 7.5")
    parser.add_argument("--side", type=positive(int), help="of sd15: pixels, a multiple of 8, default 512")
    parser.add_argument("--steps", type=positive(int), help="evaluations of the model; default: the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="picture i of a seed is the same for every --n")
    parser.add_argument("--out", type=Path, required=True, help="X.png")
    add_device(parser)
    parser.set_defaults(run=run)


def number(text):
    """An argparse type: a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, got {text}")
    return value


def run(args):
    if not args.prompt.strip():
        raise ValueError("the prompt is empty: say what to draw, such as 'purple heart'")
    if args.out.suffix != ".png" or not args.out.parent.is_dir():
        raise ValueError(f"--out must be a file X.png in a folder that exists, got {args.out}")
    check_writable(args.out.parent)
    from minidiff.cli.draw_sd15 import draw_sd15, is_sd15
    from minidiff.plotting import save_grid
    from minidiff.recipes.catalogue import names
    from minidiff.recipes.recipe import load
    from minidiff.training.device import pick_device
    if is_sd15(args.model):
        return draw_sd15(args, pick_device(args.device), draw_all)
    args.n, args.guidance = args.n or 9, 3.0 if args.guidance is None else args.guidance
    device, named = pick_device(args.device), CHECKPOINTS / f"{args.model}.safetensors"
    if args.model in names() and not named.is_file():
        raise ValueError(f"--model: there is no trained {args.model} here; 'python -m minidiff train {args.model} "
                         f"--minutes 30' makes one, and --model out/{args.model} draws with it")
    recipe, net = load(named if named.is_file() else args.model, device)
    if "words" not in recipe.config:
        raise ValueError(f"--model: {recipe.name} learned no captions, so it cannot be told what to draw")
    if args.side is not None:
        raise ValueError(f"--side: {recipe.name} draws pictures of one size")
    asked = {"caption": args.prompt}
    if args.style is not None:
        if "styles" not in recipe.config:
            raise ValueError(f"--style: {recipe.name} knows no styles, got {args.style!r}")
        asked["style"] = args.style
    look_at_words(recipe.config, args.prompt)
    cond = recipe.draw(recipe.config).cond(args.n, **asked)
    pictures = draw_all(recipe, net, args, device, asked)
    write_with(partial(save_grid, pictures, columns=min(10, math.isqrt(args.n - 1) + 1), scale=6), args.out)
    print(f"{args.n} picture{'s' * (args.n > 1)} in {args.out}")
    try:
        figures, _ = measured(recipe, pictures, cond)
    except DataError:  # the prompt is no caption that the judge could hold the pictures against
        figures = {}
    if figures:
        print(f"as a judge reads them: {in_words(figures)}")


def look_at_words(config, prompt):
    """Say on stderr which words of a prompt the model does not know, and which known ones are spelt alike.

    Raises ValueError for more words than the model reads, and when it knows none of them.
    """
    from minidiff.data.tokenizer import split
    from minidiff.recipes.captions import tokenizer
    words, most = split(prompt), config["length"] - 2
    if len(words) > most:
        raise ValueError(f"the prompt has {len(words)} words and signs, and the model reads at most {most}")
    unknown = tokenizer(config).unknown(prompt)
    said = ", ".join(f"{word} (known: {', '.join(alike)})" if alike else word for word, alike in unknown.items())
    if all(word in unknown for word in words):
        raise ValueError(f"the model knows no word of the prompt: {said}")
    if unknown:
        print(f"words that the model does not know, and leaves out: {said}", file=sys.stderr)


def draw_all(recipe, net, args, device, asked, batch=50):
    """The pictures of a prompt, with a bar on a terminal that counts evaluations of the model."""
    from tqdm import tqdm

    from minidiff.process.guidance import cfg
    from minidiff.recipes.recipe import sample
    how = recipe.draw(recipe.config)
    steps = how.sampler.steps(args.steps or how.steps)
    total = (how.sampler.each * steps + how.sampler.more) * math.ceil(args.n / batch)
    with tqdm(total=total, desc="drawing", disable=not sys.stderr.isatty()) as bar:
        def counted(denoiser):
            guided = cfg(denoiser, args.guidance, how.null)

            def denoise(x, t, **cond):
                bar.update()
                return guided(x, t, **cond)
            return denoise
        return sample(recipe, net, args.n, steps=args.steps, seed=args.seed, device=device, batch=batch, wrap=counted,
                      **asked)
