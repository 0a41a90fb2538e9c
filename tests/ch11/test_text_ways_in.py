"""A text comes into a U-Net in two ways, word by word and as a mean; the mean can be left out."""

import pytest
import torch

from minidiff.models.text_unet import TextUNet
from minidiff.recipes.captions import text_unet

CONFIG = {"words": ["red", "circle"], "length": 6, "shape": [3, 8, 8],
          "net": {"channels": [16], "blocks": 1, "patch": 2, "width": 16, "attention": [0], "reads": "self+cross",
                  "text": {"width": 16, "depth": 1, "heads": 2}}}


def net(**changes):
    torch.manual_seed(0)
    return text_unet(CONFIG | {"net": CONFIG["net"] | changes})


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
