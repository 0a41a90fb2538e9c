"""Changing and restoring digits with mnist-flow, and digits with two views: benchmarks/inverse.json

    python benchmarks/inverse.py [--minutes 6]        about six minutes of two shared cores; run again, it goes on

100 test digits at random. Each row: share read as their own label (kept) or as the label asked for, the PSNR against
the original in decibels, and its standard error over the digits.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import fill, rounded

from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.evaluation.restoration import measured_spread, psnr
from minidiff.process.denoiser import clipped
from minidiff.process.guidance import cfg
from minidiff.process.likelihood_guidance import linear_log_likelihood, reconstruction_guided
from minidiff.process.measurements import blurred, shrunk
from minidiff.process.views import averaged, hybrid, upright, upside_down
from minidiff.recipes.recipe import load
from minidiff.recipes.run import CHECKPOINTS
from minidiff.samplers.edit import half_way, inpaint
from minidiff.samplers.flow import euler_flow
from minidiff.samplers.step import final_sample

FILE = Path(__file__).with_suffix(".json")
N, STEPS, NOISE = 100, 20, 0.05  # NOISE: sd of a measurement
BLUR, TURNED = 2.0, 10  # width in pixels; pictures a pair of digits
MEASURES = {"shrunk": partial(shrunk, factor=4), "blurred": partial(blurred, width=BLUR)}


def evenly(n, first=1.0):
    return torch.linspace(first, 0, n + 1, dtype=torch.float64)


def generator(seed):
    return torch.Generator().manual_seed(seed)


class Digits:
    """The trained flow, its judge, and the digits that it works on."""

    def __init__(self):
        recipe, net = load(CHECKPOINTS / "mnist-flow.safetensors")
        how = recipe.draw(recipe.config)
        self.path, self.null, self.ask = how.path, how.null, how.denoiser(net, how.path)
        self.judge, (images, labels) = load_judge(), load_data("mnist", "test")
        chosen = torch.randperm(len(images), generator=generator(0))[:N]
        self.x0, self.label = images[chosen], labels[chosen]
        train = load_data("mnist", "train")[0]
        self.train = train[torch.randperm(len(train), generator=generator(0))[:N]]

    def told(self, label, w=1.0):
        """The denoiser that is told labels (N,), or one for all; None for no label."""
        label = 10 if label is None else label
        return lambda x, t: cfg(self.ask, w, self.null)(x, t, label=torch.as_tensor(label).expand(len(x)))

    @torch.no_grad()
    def walk(self, denoiser, x, times):
        return final_sample(euler_flow(clipped(denoiser, self.path), x, times, self.path))

    def figures(self, new, asked=None):
        read, far = self.judge.labels(new), psnr(new, self.x0)
        found = {"kept": share(read == self.label), "psnr": rounded(far.mean()),
                 "psnr_error": rounded(far.std() / len(far) ** 0.5, 2)}
        return found if asked is None else found | {"asked": share(read == asked)}

    def real(self):
        return {"kept": share(self.judge.labels(self.x0) == self.label)}

    def sdedit(self, strength, told):
        asked = (self.label + 1) % 10 if told else None
        x, times = half_way(self.x0, evenly(STEPS), self.path, strength, generator(1))
        return self.figures(self.walk(self.told(asked, 2.0 if told else 1.0), x, times), asked)

    def inpaint(self, repeats, told):
        kept = (torch.arange(28) < 14).float()[:, None]
        x = torch.randn(self.x0.shape, generator=generator(1))
        ask = clipped(self.told(self.label if told else None), self.path)
        new = final_sample(inpaint(ask, x, evenly(STEPS), self.path, self.x0, kept, generator(2), repeats))
        seam = (new[:, :, 14] - new[:, :, 13]).square().mean()
        real = (self.x0[:, :, 14] - self.x0[:, :, 13]).square().mean()
        return self.figures(new) | {"seam": rounded(seam), "seam_of_real": rounded(real)}

    def restore(self, measure, spread, told):
        see = MEASURES[measure]
        y = see(self.x0)
        y = y + NOISE * torch.randn(y.shape, generator=generator(1))
        if spread == "by eye":  # no diffusion: the measurement itself, brought to the size of a picture
            return self.figures(F.interpolate(y, size=28, mode="bicubic").clamp(-1, 1))
        ask = self.told(self.label if told else None)
        wide, kept = float(self.train.var()), row_length(see)
        left = {"none": lambda t: 0.0,
                "independent": lambda t: kept * wide * float(t**2 / (wide * (1 - t) ** 2 + t**2))}
        if spread in ("measured", "tenfold"):
            times = evenly(10).flip(0)[1:]
            unsure = measured_spread(self.told(None), self.train, see, times, self.path, generator(2))
            left[spread] = lambda t: (10 if spread == "tenfold" else 1) * unsure(t)
        likelihood = linear_log_likelihood(y, see, lambda t: NOISE**2 + left[spread](t))
        guided = reconstruction_guided(ask, likelihood, self.path)
        return self.figures(self.walk(guided, torch.randn(self.x0.shape, generator=generator(3)), evenly(25, 0.98)))

    def turned(self, upright_digit, turned_digit):
        views = [(upright, upright), (upside_down, upside_down)]
        both = averaged([self.told(upright_digit, 2.0), self.told(turned_digit, 2.0)], views)
        new = self.walk(both, torch.randn(TURNED, 1, 28, 28, generator=generator(3)), evenly(STEPS))
        return {"both": share((self.judge.labels(new) == upright_digit)
                              & (self.judge.labels(upside_down(new)) == turned_digit))}

    def from_afar(self, coarse, fine):
        """How a hybrid is read, near and blurred; for coarse == fine the plain digit, as a control."""
        ask = hybrid(self.told(coarse, 2.0), self.told(fine, 2.0), MEASURES["blurred"])
        new = self.walk(ask, torch.randn(N, 1, 28, 28, generator=generator(3)), evenly(STEPS))
        afar = self.judge.labels(MEASURES["blurred"](new))
        return {"near_as_fine": share(self.judge.labels(new) == fine), "afar_as_8": share(afar == 8),
                "afar_as_3": share(afar == 3)}


def row_length(measure, side=28):
    """The mean squared length of the rows of a camera's matrix: what it leaves of independent pixels' variance."""
    return float(measure(torch.eye(side * side).reshape(-1, 1, side, side)).square().sum(dim=0).mean())


def share(truths):
    return round(truths.double().mean().item(), 4)


def wanted():
    yield {"task": "real"}
    yield from ({"task": "sdedit", "strength": s, "told": told} for told in (False, True)
                for s in (0.2, 0.4, 0.6, 0.7, 0.8, 1.0))
    yield from ({"task": "inpaint", "repeats": r, "told": told} for r, told in (
        (1, False), (1, True), (3, False), (10, False)))
    yield from ({"task": "restore", "measure": m, "spread": s, "told": False} for m in MEASURES
                for s in ("by eye", "none", "independent", "measured", "tenfold"))
    yield from ({"task": "restore", "measure": m, "spread": "measured", "told": True} for m in MEASURES)
    yield from ({"task": "from_afar", "coarse": a, "fine": b} for a, b in ((8, 3), (3, 3), (8, 8)))
    yield from ({"task": "turned", "upright_digit": a, "turned_digit": b} for a in range(10) for b in range(a, 10))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="start no new row after so many")
    args = parser.parse_args()
    digits, started = Digits(), time.monotonic()

    def measure(task, **how):
        if time.monotonic() - started > 60 * args.minutes:
            raise SystemExit(f"{args.minutes:g} minutes are over; run it again for the rest")
        return getattr(digits, task)(**how)

    fill(FILE, lambda: {"n": N, "steps": STEPS, "noise": NOISE, "blur": BLUR, "turned": TURNED}, list(wanted()),
         measure, rows="rows")


if __name__ == "__main__":
    main()
