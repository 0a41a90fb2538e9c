"""Two optimisers for one net: who gets which weight, and that `fit` lets both follow its schedule."""

import pytest
import torch

from minidiff.models.text_unet import TextUNet
from minidiff.recipes.captions import text_unet
from minidiff.recipes.recipe import find
from minidiff.training.fit import fit
from minidiff.training.muon import Muon
from minidiff.training.muon_adamw import OUTER, muon_and_adamw

CONFIG = {"words": ["red", "circle"], "length": 6, "shape": [3, 8, 8],
          "net": {"channels": [16], "blocks": 1, "patch": 2, "width": 16, "attention": [0], "reads": "self+cross",
                  "text": {"width": 16, "depth": 1, "heads": 2}}}


def net(**changes):
    torch.manual_seed(0)
    return text_unet(CONFIG | {"net": CONFIG["net"] | changes})


def test_every_weight_has_one_optimiser_and_muon_the_matrices_inside():
    made = net()
    adam, muon = muon_and_adamw(made, 1e-3)
    names = {id(p): name for name, p in made.named_parameters()}
    of_muon = [names[id(p)] for group in muon.param_groups for p in group["params"]]
    of_adam = [names[id(p)] for group in adam.param_groups for p in group["params"]]
    assert sorted(of_muon + of_adam) == sorted(names.values())
    assert "unet.middle.0.attend.text.k.weight" in of_muon and "encoder.layers.0.q.weight" in of_muon
    assert not any(set(OUTER) & set(name.split(".")) for name in of_muon)
    assert {"encoder.token.weight", "unet.conv_in.weight", "unet.conv_out.weight"} <= set(of_adam)


def test_a_net_of_outer_layers_alone_is_adamws():
    made = torch.nn.ModuleDict({"conv_in": torch.nn.Conv2d(1, 2, 3), "embed": torch.nn.Linear(3, 4)})
    assert [type(one) for one in muon_and_adamw(made)] == [torch.optim.AdamW]


def test_both_follow_the_schedule_of_fit():
    weights = torch.nn.Linear(3, 3)
    rates = []

    def watched(net, lr, weight_decay):
        rates.append(muon_and_adamw(net, lr, weight_decay, muon_lr=0.5))
        return rates[0]
    fit(weights, lambda net, x, generator: (net(x).square().mean(), {}), lambda step: torch.ones(2, 3), steps=4,
        optimizer=watched, warmup=1, flat=0.0)
    adam, muon = rates[0]
    assert isinstance(muon, Muon) and muon.param_groups[0]["lr"] / 0.5 == pytest.approx(
        adam.param_groups[0]["lr"] / 1e-3) == pytest.approx(0.25)


@pytest.mark.parametrize("mean", [True, False])
def test_without_the_mean_a_text_comes_word_by_word_alone(mean):
    made = net(mean=mean)
    assert isinstance(made, TextUNet) and ("text" in made.embed.extra) == mean
    for name, p in made.named_parameters():
        if name.endswith("text.o.weight") or "conv_out.weight" in name or "conv2.weight" in name:
            torch.nn.init.normal_(p)
    seen = []
    for layer in made.modules():
        if hasattr(layer, "maps"):
            torch.nn.init.zeros_(layer.o.weight)
            torch.nn.init.zeros_(layer.o.bias)  # no word comes in by attention
            seen.append(layer)
    x, tokens = torch.randn(1, 3, 8, 8), torch.tensor([[1, 4, 2, 0, 0, 0], [1, 5, 2, 0, 0, 0]])
    with torch.no_grad():
        one, other = (made(x, torch.tensor(500.0), tokens=row[None]) for row in tokens)
    assert seen and torch.equal(one, other) == (not mean)


def test_the_recipes_that_draw_from_text_use_them():
    assert all(find(name).presets[preset]["fit"]["optimizer"] is muon_and_adamw
               for name in ("shapes-text", "emoji-text") for preset in ("cpu", "cuda"))
