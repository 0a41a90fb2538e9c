"""Does a net read the label or a tag that says the same? MLPs on four islands, chapter 10, section 18: tag.json

    python benchmarks/tag.py            about two minutes of one core; run again, it goes on

For what was dropped in training, how loud the tag is and the seed: the share of 1,000 points that arrive at the island
of their label with the right tag, with none, and with that of another island.
"""

from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import fill

from minidiff.models.mlp import MLP
from minidiff.process.flow import cfm_loss, flow_path, pair_of_velocity
from minidiff.recipes.toy_reflow import ISLANDS
from minidiff.samplers.flow import euler_flow
from minidiff.samplers.step import final_sample
from minidiff.training.fit import fit

FILE = Path(__file__).with_suffix(".json")
RATE, STEPS, BATCH, LR, N, CLOUD = 0.2, 800, 512, 4e-3, 1000, 20_000
PATH = flow_path()
cloud = ISLANDS.sample(CLOUD, torch.Generator().manual_seed(5)).float()
home = ISLANDS.share(cloud).argmax(dim=1)


def message(island, loud, says_label=True, says_tag=True):
    """(B, 5): four places for the label, and a number of at most 2 `loud` for the tag; 0 is silence."""
    label = F.one_hot(island, 4) * torch.as_tensor(says_label)[..., None]
    tag = loud * (island + 1) / 2 * torch.as_tensor(says_tag)
    return torch.cat([label, tag[:, None]], dim=1).float()


def heard(net, told):
    return lambda x, t: net(torch.cat([x, told], dim=1), 1000 * t)[:, :2]


def told_loss(net, rows, dice, loud, rates):
    spoken = [torch.rand(len(rows), generator=dice) >= rate for rate in rates]
    t = torch.rand(len(rows), generator=dice, dtype=torch.float64)
    eps = torch.randn(len(rows), 2, generator=dice)
    return cfm_loss(heard(net, message(home[rows], loud, *spoken)), cloud[rows], t, eps, PATH), {}


def rows_at(step, seed):
    return torch.randint(CLOUD, (BATCH,), generator=torch.Generator().manual_seed(1000 * seed + step))


def arrives(net, told):
    """The island at which each of the points arrives."""
    def ask(x, t):
        return pair_of_velocity(heard(net, told)(x, t), x, t, PATH)
    x = torch.randn(N, 2, generator=torch.Generator().manual_seed(9))
    times = torch.linspace(1, 0, 21, dtype=torch.float64)
    return ISLANDS.share(final_sample(euler_flow(ask, x, times, PATH))).argmax(dim=1)


def measure(dropped, loud, seed):
    torch.manual_seed(seed)
    rates = (RATE * (dropped == "the label"), RATE * (dropped == "the tag"))
    net = fit(MLP(dim=7), partial(told_loss, loud=loud, rates=rates), partial(rows_at, seed=seed), steps=STEPS,
              lr=LR).ema
    wanted = torch.arange(N) % 4
    right, other = message(wanted, loud), message((wanted + 1) % 4, loud)
    told = {"right": right, "none": message(wanted, loud, says_tag=False),
            "wrong": torch.cat([right[:, :4], other[:, 4:]], dim=1)}
    return {tag: round((arrives(net, words) == wanted).double().mean().item(), 3) for tag, words in told.items()}


def main():
    keys = [{"dropped": dropped, "loud": loud, "seed": seed} for dropped, loud in (
        ("nothing", 1), ("nothing", 4), ("the label", 1), ("the tag", 1)) for seed in range(3)]
    fill(FILE, lambda: {"rate": RATE, "steps": STEPS, "batch": BATCH, "n": N}, keys, measure, rows="rows")


if __name__ == "__main__":
    main()
