"""Does emoji-text know its pictures by heart, and since when? benchmarks/copies.json

    python benchmarks/copies.py [--out out/text/emoji-text] [--n 60]     three minutes on two cores for seven snapshots

For each snapshot of its run, and for the committed net: the error on training pictures and on held-out ones, from the
same noises; and of pictures drawn for training captions and for held-out ones, each in its style, the nearest training
picture. Rows that stand in the JSON are left as they are.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from measuring import fill, rounded

from minidiff.data.emoji import emoji
from minidiff.evaluation.memory import memorisation_ratio, nearer_to_train, nearest
from minidiff.evaluation.retrieval import truth_ranks
from minidiff.process.flow import flow_path
from minidiff.process.guidance import cfg
from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS

FILE, OUT = Path(__file__).with_suffix(".json"), Path(__file__).parents[1] / "out" / "text" / "emoji-text"
TIMES, GUIDANCE = (0.3, 0.6, 0.9), 3.0


@torch.no_grad()
def errors(recipe, net, some):
    """The mean squared error of x0 on Emoji, told name and style, at some times: {t: error}."""
    path, found = flow_path(), {}
    cond = recipe.draw(recipe.config).cond(len(some.captions), caption=list(some.captions), style=list(some.styles))
    for t in TIMES:
        times = torch.full((len(some.captions),), t, dtype=torch.float64)
        eps = torch.randn(some.pictures.shape, generator=torch.Generator().manual_seed(round(100 * t)))
        guess = net(path.mix(some.pictures, eps, times), path.net_time(times), **cond)
        found[str(t)] = rounded((guess - some.pictures).square().mean())
    return found


def drawn(recipe, net, some):
    """A picture for each of some Emoji, told name and style, guided."""
    return sample(recipe, net, len(some.captions), caption=list(some.captions), style=list(some.styles), batch=60,
                  wrap=partial(cfg, w=GUIDANCE, null=recipe.draw(recipe.config).null))


def measured(file, n):
    """One row: of a net in a file."""
    recipe, net = load(file)
    held, seen = emoji("test"), emoji("train")
    order = torch.randperm(len(seen.captions), generator=torch.Generator().manual_seed(0)).tolist()
    some, few = seen.take(order[:len(held.captions)]), held.take(range(0, len(held.captions), 154 // n))
    known = seen.take(order[:n])
    row = {"error": {"training": errors(recipe, net, some), "held out": errors(recipe, net, held)}}
    for name, asked in (("training", known), ("held out", few)):
        made = drawn(recipe, net, asked)
        distance, index = nearest(made, seen.pictures)
        share, innocent = nearer_to_train(made, seen.pictures, held.pictures)
        row[name] = {"n": len(made), "ratio": rounded(memorisation_ratio(made, seen.pictures, held.pictures)),
                     "median distance": rounded(distance.median()), "least distance": rounded(distance.min()),
                     "nearer to training": rounded(share), "innocent": rounded(innocent),
                     "own picture found": rounded((truth_ranks(made, asked.pictures) == 1).double().mean()),
                     "chance": rounded(1 / len(made))}
        if name == "training":
            row[name]["nearest is its own"] = rounded(
                (index == torch.tensor(order[:n])).double().mean())
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="the folder of the run, with its snapshots")
    parser.add_argument("--n", type=int, default=60, help="pictures of each kind, at most 154")
    args = parser.parse_args()
    files = {int(f.stem.split("-")[1]): f for f in sorted(args.out.glob("after-*.safetensors"))}
    files["committed"] = CHECKPOINTS / "emoji-text.safetensors"
    far = nearest(emoji("test").pictures, emoji("train").pictures)[0]
    fill(FILE, lambda: {"what": "emoji-text over its run: errors on pictures it learned from and on others; copies",
                        "guidance": GUIDANCE, "held-out pictures": {"median distance": rounded(far.median()),
                                                                    "least distance": rounded(far.min())}},
         [{"images": name} for name in files], lambda images: measured(files[images], args.n), rows="rows")


if __name__ == "__main__":
    main()
