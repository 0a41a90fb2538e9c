"""What short captions cannot teach, and what a bag of words cannot hear: benchmarks/binding.json

    python benchmarks/binding.py captions [--images 50000]     five small nets: under five minutes on two cores
    python benchmarks/binding.py probe [--n 200]               the committed shapes-text: errors and maps; two minutes
                                       [--model FILE --name NAME]     another one, beside it

`captions`: scenes of two things of two colours, one left of or above the other; equal nets, minutes and pictures, told
short captions, long ones, every other time each, long ones as a bag of words, or long ones with their mean beside
the time. What is measured needs no outline: a picture obeys where both colours are there, and lie as the caption says.
Rows that stand in the JSON are left as they are.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from measuring import fill, machine, rounded, write

from minidiff.data.shapes import shapes
from minidiff.data.shapes_draw import PALETTE
from minidiff.data.shapes_words import COLOURS, RELATIONS, say
from minidiff.evaluation.attention import map_iou
from minidiff.evaluation.binding import can_swap, errors_by_time, swapped, two_ways_in, word_places
from minidiff.models.cross_attention import attention_maps
from minidiff.process.flow import flow_path
from minidiff.process.guidance import cfg
from minidiff.recipes.captions import tokens_of
from minidiff.recipes.recipe import build, find, load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.recipes.shapes_text import vocabulary
from minidiff.training.fit import fit
from minidiff.training.muon_adamw import muon_and_adamw

FILE = Path(__file__).with_suffix(".json")
SMALL = {"net": {"channels": [48, 96], "blocks": 1, "patch": 4, "width": 128, "attention": [1],
                 "reads": "self+cross", "mean": False, "text": {"width": 96, "depth": 1, "heads": 4, "causal": True}},
         "batch": 64, "fit": {"optimizer": muon_and_adamw, "lr": 1e-3, "precision": "float32"}}
BAG = {"text": {"width": 96, "depth": 0, "heads": 4, "positions": False}}
ARMS = {"short": ("short", {}), "both": ("both", {}), "long": ("long", {}), "long, a bag of words": ("long", BAG),
        "long, with a mean": ("long", {"mean": True})}
PLAIN, LEAST = 0.6, 12  # the distance from a colour in [-1, 1], and the pixels, that make a coloured thing
TIMES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


def chosen(n, seed, split):
    """The scenes among n of two things with a relation that a plane has, of two colours: (scenes, rows)."""
    made = shapes(n, seed, split)
    return made, [i for i, d in enumerate(made.descriptions) if can_swap(d) and d.relations[0] in RELATIONS[:2]]


def pairs_only(config):
    """What `shapes_text.scenes` gives, of such scenes alone."""
    made, rows = chosen(config["scenes"], config["scene_seed"], "train")
    captions = [made.short[i] if config["captions"] == "short" or config["captions"] == "both" and k % 2
                else made.captions[i] for k, i in enumerate(rows)]
    facts = {"data": "shapes", "words": list(vocabulary())}
    return {"x": made.pictures[rows], "tokens": tokens_of(config | facts, captions)}, facts


def laid_out(pictures, descriptions):
    """Which pictures show both colours of their two things, and which show them as the caption says: two (N,) bool."""
    seen, right = [], []
    for picture, description in zip(pictures, descriptions, strict=True):
        centres = []
        for thing in description.things:
            colour = torch.from_numpy(PALETTE[COLOURS.index(thing.colour)])[:, None, None]
            there = ((picture - colour).square().sum(dim=0).sqrt() < PLAIN).nonzero().float()
            centres += [there.mean(dim=0)] if len(there) >= LEAST else []
        seen.append(len(centres) == 2)
        down, along = (centres[1] - centres[0]).tolist() if seen[-1] else (0, 0)
        said = description.relations[0]
        right.append(seen[-1] and (along > abs(down) if said == "left of" else down >= abs(along)))
    return torch.tensor(seen), torch.tensor(right)


def captions(args):
    """Train each arm, and measure it on held-out scenes, asked in either language."""
    recipe = replace(find("shapes-text"), data=pairs_only)

    def measure(told, images):
        kind, other = ARMS[told]
        run = build(replace(recipe, presets={"cpu": SMALL | {"net": SMALL["net"] | other}}), scenes=args.scenes,
                    captions=kind)
        start = time.monotonic()
        fitted = fit(run.net, run.loss_fn, run.batch_at, steps=images // SMALL["batch"], **run.fit)
        row = {"loss": rounded(sum(fitted.losses[-50:]) / 50), "seconds": round(time.monotonic() - start, 1)}
        made, rows = chosen(1500, 1, "test")
        rows, drawn = rows[:args.n], replace(recipe, config=run.config)
        how, things = drawn.draw(run.config), [made.descriptions[i] for i in rows]
        real = laid_out(made.pictures[rows], things)
        row |= {"n": len(rows), "real scenes": rounded(real[1].double().mean())}
        for language, asked in (("long", made.captions), ("short", made.short)):
            pictures = sample(drawn, fitted.ema.eval(), len(rows), caption=[asked[i] for i in rows],
                              wrap=partial(cfg, w=3.0, null=how.null))
            seen, right = laid_out(pictures, things)
            row[f"asked in {language}"] = {"both colours": rounded(seen.double().mean()),
                                           "as said": rounded(right.double().mean())}
        return row

    fill(FILE, known, [{"told": told, "images": args.images} for told in ARMS], measure, rows="captions")


def known():
    """What stands above the rows of a new file."""
    return {"what": "five small nets told short or long captions; and what the committed shapes-text reads",
            "net": SMALL["net"], "chance as said": 0.25}


def probe(args):
    """Where a net errs when two words are swapped, which way in it uses, and where its words look."""
    record = fill(FILE, known, [], None, rows="captions")
    recipe, net = load(args.model)
    made, path = shapes(8 * args.n, 3, "test"), flow_path()
    rows = [i for i, d in enumerate(made.descriptions)
            if can_swap(d) and (made.masks[i, :2].flatten(1).sum(dim=1) >= LEAST).all()][:args.n]
    x, right = made.pictures[rows], [made.descriptions[i] for i in rows]
    said = {"right": [say(d) for d in right], "colours swapped": [say(swapped(d, "colours")) for d in right],
            "shapes swapped": [say(swapped(d, "shapes")) for d in right], "none": [""] * len(rows)}
    said["another"] = said["right"][1:] + said["right"][:1]
    tokens = {name: tokens_of(recipe.config, some) for name, some in said.items()}
    own, other = tokens["right"], tokens["another"]
    found = {"n": len(rows), "mean": net.mean, "times": TIMES} | more(net, x, tokens, path)
    if net.mean:
        found["ways"] = more(two_ways_in(net), x, {name: torch.stack(pair, dim=1) for name, pair in {
            "right": (own, own), "words of another": (other, own), "mean of another": (own, other)}.items()},
            path)["more"]
    record.setdefault("probe", {})[args.name] = found
    record.setdefault("maps", {})[args.name] = list(maps(net, x, made.masks[rows], said["right"], own, path))
    write(FILE, record | machine())
    print(found)


def more(net, x, tokens, path):
    """The error with the right captions, and what others add to it, in parts of it: [mean, standard error] by time."""
    errors = errors_by_time(net, x, tokens, TIMES, path, torch.Generator().manual_seed(0))
    right = errors.pop("right")
    return {"error": [rounded(e.mean()) for e in right],
            "more": {name: [[rounded(d.mean() / e.mean()), rounded(d.std() / len(d)**0.5 / e.mean())]
                            for d, e in zip(each - right, right, strict=True)] for name, each in errors.items()}}


def maps(net, x, masks, said, tokens, path):
    """Rows: how well the maps of colours and of nouns cover their object and the other one, layer by layer, by head."""
    places = [word_places(caption) for caption in said]
    for t in TIMES:
        times = torch.full((len(x),), t, dtype=torch.float64)
        x_t = path.mix(x, torch.randn(x.shape, generator=torch.Generator().manual_seed(1)), times)
        with torch.no_grad(), attention_maps(net) as found:
            net(x_t, path.net_time(times), tokens=tokens)
        for layer, of_heads in enumerate(found):
            for part in ("colour", "shape"):
                chosen = [torch.stack([of_heads[i, :, :, :, place[part][k]] for i, place in enumerate(places)])
                          for k in (0, 1)]  # (N, heads, h, w), for each of the two things
                for head in ("mean", *range(of_heads.shape[1])):
                    one = [m.mean(dim=1) if head == "mean" else m[:, head] for m in chosen]
                    own = torch.cat([map_iou(one[k], masks[:, k]) for k in (0, 1)])
                    other = torch.cat([map_iou(one[k], masks[:, 1 - k]) for k in (0, 1)])
                    yield {"t": t, "layer": layer, "side": of_heads.shape[2], "word": part, "head": head,
                           "own": rounded(own.mean()), "other": rounded(other.mean()),
                           "standard error": rounded((own - other).std() / len(own)**0.5)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["captions", "probe"])
    parser.add_argument("--images", type=int, default=50_000, help="that each small net learns from")
    parser.add_argument("--scenes", type=int, default=20_000, help="from which those of two things are taken")
    parser.add_argument("--n", type=int, default=200, help="scenes of each measurement")
    parser.add_argument("--model", type=Path, default=CHECKPOINTS / "shapes-text.safetensors")
    parser.add_argument("--name", default="committed", help="under which a probe is kept")
    args = parser.parse_args()
    {"captions": captions, "probe": probe}[args.part](args)


if __name__ == "__main__":
    main()
