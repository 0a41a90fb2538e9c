"""What does guidance do to the digits of mnist-flow? Every weight and every rule of chapter 10: guidance.json

    python benchmarks/guidance.py [--seeds 3] [--n 500] [--minutes 5]

For each way and seed n digits, as many of each label, from the same noises: the Fréchet distance, the share that is
read as asked, and four measures of variety: recall, coverage, density, and the variance of the features within a class
over that of real digits. The rows "real" hold the same of disjoint sets of test digits. Evaluations are those of one
picture, of all nets that are asked. The worse net of autoguidance is the same recipe after a tenth of
the pictures; it is kept in out/. A run that is stopped, or ends after its minutes, goes on where it was.
"""

import argparse
import json
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from measuring import fill, rounded, trained

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.evaluation.metrics import density_coverage, precision_recall
from minidiff.places import CHECKPOINTS
from minidiff.process.guidance import autoguided, cfg, interval
from minidiff.process.guidance_rules import cfg_plus_plus, cfg_zero_star, guided, projected, rescaled
from minidiff.recipes.mnist_flow import RECIPE
from minidiff.recipes.recipe import load, sample
from minidiff.samplers.ddim import ddim
from minidiff.samplers.flow import HEUN_FLOW
from minidiff.samplers.sampler import Sampler

FILE, WORSE = Path(__file__).with_suffix(".json"), Path("out/mnist-flow-worse")
WEIGHTS, BANDS = (0, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5), ((0.7, 1.0), (0.45, 0.7), (0.0, 0.45))
DDIM = Sampler(ddim)
STEPS, W, SHARE, REAL, WORSE_STEPS = 9, 3.0, 0.6, 2000, 394


def ways(how, worse):
    """{name: (wrap, sampler or None, whether pictures are clipped)}: each wrap takes the denoiser and returns one."""
    path, null = how.path, how.null
    found = {f"cfg {w}": (lambda d, w=w: cfg(d, w, null), None, True) for w in WEIGHTS}
    found |= {f"cfg {W:g} in {low}..{high}": (lambda d, low=low, high=high: cfg(d, interval(W, low, high), null),
                                             None, True) for low, high in BANDS}
    found |= {name: (lambda d, rule=rule: guided(d, path, null, lambda c, f: rule(c, f, W)), None, True)
              for name, rule in (("rescaled", rescaled), ("projected", projected))}
    found["zero star"] = (lambda d: cfg_zero_star(d, path, null, W), None, True)
    found["ddim, cfg"] = (lambda d: cfg(d, W, null), DDIM, False)
    found["ddim, plus plus"] = (lambda d: cfg_plus_plus(d, null, SHARE), DDIM, False)
    found |= {f"autoguided {w}": (lambda d, w=w: autoguided(d, worse, w), None, True) for w in (1.5, 2)}
    found |= {f"worse net, cfg {w}": (lambda d, w=w: cfg(worse, w, null), None, True) for w in (1, 1.25, 1.5, 2)}
    return found


class Counted:
    """A net that counts how many times it was asked about one picture."""

    def __init__(self, net):
        self.net, self.asked = net, 0

    def __call__(self, x, t, **cond):
        self.asked += len(x)
        return self.net(x, t, **cond)


def figures(judge, real, images, label):
    """The measures of n digits; real: the features of real ones and their labels."""
    features, (known, classes) = judge.features(images), real
    _, recall = precision_recall(known, features)
    density, coverage = density_coverage(known, features)
    return {"distance": round(judge.distance(images), 2),
            "accuracy": round((judge.labels(images) == label).double().mean().item(), 4),
            "recall": rounded(recall, 4), "coverage": rounded(coverage, 4), "density": rounded(density, 4),
            "within": rounded(variance(features, label) / variance(known, classes), 4)}


def variance(features, label):
    """The variance of features around the mean of their class, summed over features, averaged over classes."""
    return sum(features[label == c].double().var(dim=0).sum() for c in range(10)) / 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=60, help="start no new row after so many")
    args = parser.parse_args()
    (recipe, net), judge, started = load(CHECKPOINTS / "mnist-flow.safetensors"), load_judge(), time.monotonic()
    how, label = recipe.draw(recipe.config), torch.arange(args.n) % 10
    counted = [Counted(net)]

    @cache
    def learned_less():
        """The worse net's record and its denoiser; it is trained when a row first asks for it."""
        with torch.enable_grad():  # samplers ask without
            record = trained(RECIPE, "cpu", WORSE, "cpu", "steps", WORSE_STEPS)
        worse_recipe, worse_net = load(WORSE)
        counted.append(Counted(worse_net))
        return record, worse_recipe.draw(worse_recipe.config).denoiser(counted[-1], how.path)

    def worse(x, t, **cond):
        return learned_less()[1](x, t, **cond)

    images, labels = load_data("mnist", "train")
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:REAL]
    real = judge.features(images[chosen]), labels[chosen]
    choices = ways(how, worse)

    def measure(way, seed):
        if time.monotonic() - started > 60 * args.minutes:
            raise SystemExit(f"{args.minutes:g} minutes are over; run it again for the rest")
        if way == "real":
            order = torch.randperm(len(tests), generator=torch.Generator().manual_seed(0))
            part = order.split(args.n)[seed]
            return figures(judge, real, tests[part], test_labels[part])
        wrap, sampler, clip = choices[way]
        before = sum(one.asked for one in counted)
        drawn = replace(recipe, draw=lambda config: replace(how, clip=clip))
        pictures = sample(drawn, counted[0], args.n, steps=STEPS, sampler=sampler or HEUN_FLOW, wrap=wrap, seed=seed,
                          label=label)
        asked = sum(one.asked for one in counted) - before
        return figures(judge, real, pictures, label) | {"evaluations": asked // args.n}

    tests, test_labels = load_data("mnist", "test")
    keys = [{"way": way, "seed": seed} for seed in range(args.seeds) for way in ("real", *choices)]
    fill(FILE, lambda: {"n": args.n, "seeds": args.seeds, "steps": STEPS, "w": W, "share": SHARE, "real": REAL,
                        "worse_images": learned_less()[0]["images"],
                        "images": json.loads((CHECKPOINTS / "mnist-flow.json").read_text())["images"]},
         keys, measure, rows="rows")


if __name__ == "__main__":
    main()
