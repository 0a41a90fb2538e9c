"""The nets that draw from captions: train them, measure them, draw what does not exist: benchmarks/text.json

    python benchmarks/text.py train RECIPE --images N | --minutes M [--out out/text/RECIPE] [--preset cpu|cuda] [--keep]
    python benchmarks/text.py measure RECIPE       the committed net again, into its record
    python benchmarks/text.py growth [--n 200]     how training went: shapes-text at each snapshot of its run
    python benchmarks/text.py guidance [--n 200]   shapes-text by guidance and by evaluations, trained and held out
    python benchmarks/text.py compare --model FILE --name NAME     beside the committed one: a row in "tried"
    python benchmarks/text.py sheet                a hundred prompts through emoji-text: pictures/emoji-text.png

`train` goes on from what is in its folder, and keeps the averaged net at some points of the run beside the model; with
--keep model and record go to checkpoints/. The other parts measure the committed nets, but `growth` the run's folder;
each writes every row as soon as it is there. Rows that stand in the JSON already are left as they are.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from measuring import fill, keep, machine, rounded, write
from prompts import PROMPTS

from minidiff.data.emoji import emoji
from minidiff.data.shapes import shapes
from minidiff.evaluation.shapes_judge import judge, rates
from minidiff.plotting import save_grid
from minidiff.process.guidance import cfg
from minidiff.recipes.captions import tokenizer
from minidiff.recipes.recipe import build, find, load, sample
from minidiff.recipes.run import CHECKPOINTS, save_model, train
from minidiff.training.device import pick_device

FILE, OUT = Path(__file__).with_suffix(".json"), Path(__file__).parents[1] / "out" / "text"
SHEET = Path(__file__).parent / "pictures" / "emoji-text.png"
POINTS = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 0.995)  # of a run at which the averaged net is kept
TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
GUIDANCE, STEPS = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0), (5, 9, 19, 39)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["train", "growth", "guidance", "measure", "compare", "sheet"])
    parser.add_argument("recipe", nargs="?", default="shapes-text", choices=["shapes-text", "emoji-text"])
    parser.add_argument("--images", type=int, default=64_000, help="of the whole run")
    parser.add_argument("--minutes", type=float, help="of the whole run, in place of images")
    parser.add_argument("--preset", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--out", type=Path, help="the folder of the run")
    parser.add_argument("--n", type=int, default=200, help="pictures of each measurement")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--model", type=Path, help="of compare: a checkpoint of either recipe")
    parser.add_argument("--name", help="of compare: what is different about it")
    args = parser.parse_args()
    args.out = args.out or OUT / args.recipe
    parts = {"train": trained, "growth": growth, "guidance": guided, "measure": measured, "compare": compare}
    (parts | {"sheet": sheet})[args.part](args)


def trained(args):
    """Train a recipe with snapshots, and put its record into the file."""
    device = pick_device(args.preset)
    run = build(find(args.recipe), args.preset, device=device)
    steps = None if args.minutes else args.images // run.config["batch"]
    left, begun = list(POINTS), time.monotonic()

    def snapshot(step, loss, ema):
        done = step / steps if steps else (time.monotonic() - begun) / 60 / args.minutes
        if left and done >= left[0]:
            left.pop(0)
            save_model(args.out / f"after-{step * run.config['batch']:07d}.safetensors", ema, run.config)

    load_before, start = os.getloadavg()[0], time.process_time()
    _, record = train(replace(run, fit=run.fit | {"callback": snapshot}), args.out, steps=steps, minutes=args.minutes,
                      device=device, resume=(args.out / "state.safetensors").exists(), progress=False)
    record |= {"minutes": round(record["seconds"] / 60, 1), "cpu_seconds": round(time.process_time() - start),
               "cores": os.cpu_count(), "load_average_before_and_after": [round(load_before, 1),
                                                                          round(os.getloadavg()[0], 1)]}
    if args.keep:
        keep(args.out, record)
        measured(args)


def known():
    """What the file holds already."""
    found = json.loads(FILE.read_text()) if FILE.exists() else {}
    return machine() | {"growth": [], "guidance": [], "tried": []} | found


def obeyed(recipe, net, n, guidance, steps, split):
    """The rates of n pictures of the captions of a split: a row."""
    captions, start = shapes(n, seed=1, split=split).captions, time.monotonic()
    null = recipe.draw(recipe.config).null
    pictures = sample(recipe, net, n, steps=steps, caption=captions, wrap=partial(cfg, w=guidance, null=null))
    found = {name: round(rate, 3) for name, rate in rates(judge(pictures, captions)).items()}
    attributes = found["objects"] * found["colours"] * found["sizes"] * found["relations"]
    return {"n": n} | found | {"product": round(attributes, 3), "seconds": round(time.monotonic() - start, 1)}


def growth(args):
    """The rates of each snapshot of a run, held-out captions and trained ones."""
    wanted = [{"images": int(file.stem.split("-")[1]), "split": split}
              for file in sorted(args.out.glob("after-*.safetensors")) for split in ("test", "train")]

    def measure(images, split):
        recipe, net = load(args.out / f"after-{images:07d}.safetensors")
        return {"guidance": 3.0, "evaluations": 19} | obeyed(recipe, net, args.n, 3.0, 19, split)

    write(FILE, known())
    fill(FILE, machine, wanted, measure, rows="growth")


def guided(args):
    """The rates of the committed net by guidance, and by evaluations at the best of these."""
    recipe, net = load(CHECKPOINTS / "shapes-text.safetensors")
    wanted = [{"guidance": w, "evaluations": 19, "split": split} for w in GUIDANCE for split in ("test", "train")]
    wanted += [{"guidance": 3.0, "evaluations": steps, "split": "test"} for steps in STEPS if steps != 19]
    write(FILE, known())
    fill(FILE, machine, wanted, lambda guidance, evaluations, split: obeyed(
        recipe, net, args.n, guidance, evaluations, split), rows="guidance")


def figures(recipe, net, n):
    """The error of x0 on held-out pictures by time, and of shapes-text the rates by the judge."""
    if recipe.name == "shapes-text":
        held = shapes(n, seed=1, split="test")
        asked = {"caption": list(held.captions)}
        found = {"obeyed": {split: obeyed(recipe, net, n, 3.0, 19, split) for split in ("test", "train")}}
    else:
        held, found = emoji("test"), {}
        asked = {"caption": list(held.captions), "style": list(held.styles)}
    how, x0 = recipe.draw(recipe.config), held.pictures
    ask, cond = how.denoiser(net, how.path), how.cond(len(x0), **asked)
    eps, errors = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)), {}
    with torch.no_grad():
        for t in map(torch.tensor, TIMES):
            guess, _ = ask(how.path.mix(x0, eps, t), t, **cond)
            errors[f"{t:.1f}"] = rounded(float((guess - x0).square().mean()))
    return found | {"error": errors}


def measured(args):
    """Put what the committed net of a recipe can do into its record, with the description of its file."""
    weights, file = (CHECKPOINTS / f"{args.recipe}.{kind}" for kind in ("safetensors", "json"))
    recipe, net = load(weights)
    record = json.loads(file.read_text()) | recipe.config
    record["metrics"] = figures(recipe, net, args.n)
    write(file, record)
    kept = {key: value for key, value in record.items() if key not in ("loss_curve", "words")}
    write(FILE, known() | {args.recipe: kept})
    print(record["metrics"])


def compare(args):
    """The same figures of a net that is not committed: a row in "tried"."""
    recipe, net = load(args.model)
    record = args.model.with_suffix(".json")
    told = json.loads(record.read_text()) if record.is_file() else {}
    row = {"recipe": recipe.name, "what": args.name, "net": recipe.config["net"]} | {
        key: told[key] for key in ("images", "seconds", "cpu_seconds") if key in told} | figures(recipe, net, args.n)
    tried = [other for other in known()["tried"] if other.get("what") != args.name]
    write(FILE, known() | {"tried": [*tried, row | machine()]})
    print(row)


def sheet(args):
    """A hundred prompts, each in one style, as one picture of ten by ten."""
    recipe, net = load(CHECKPOINTS / "emoji-text.safetensors")
    styles = recipe.config["styles"]
    prompts = [prompt for prompt, _ in PROMPTS]
    if unknown := {word for prompt in prompts for word in tokenizer(recipe.config).unknown(prompt)}:
        raise SystemExit(f"words that the net does not know: {', '.join(sorted(unknown))}")
    start = time.monotonic()
    pictures = sample(recipe, net, len(prompts), caption=prompts, style=[style for _, style in PROMPTS], batch=50,
                      wrap=partial(cfg, w=3.0, null=recipe.draw(recipe.config).null))
    save_grid(pictures, SHEET, columns=10, scale=2)
    write(FILE, known() | {"sheet": {"prompts": [list(row) for row in PROMPTS], "styles": styles, "guidance": 3.0,
                                     "seconds": round(time.monotonic() - start, 1)} | machine()})


if __name__ == "__main__":
    main()
