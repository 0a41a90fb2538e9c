"""Every net of the course is one graph to torch.compile: no check of values, no surprise on the way, breaks it."""

import pytest
import torch

from minidiff.models.clip import Clip
from minidiff.models.gan import GAN
from minidiff.models.kl_vae import KLVAE
from minidiff.models.mlp import MLP
from minidiff.models.prior import Prior
from minidiff.models.text_unet import TextUNet
from minidiff.models.unet import UNet
from minidiff.models.vae import VAE
from minidiff.recipes.recipe import find, names


def narrow(options):
    """The same kinds of layers in the same places, as few and as narrow as can be: tracing takes time by the layer."""
    small = {"channels": [8, 8], "blocks": 1, "width": 16}
    return options | {name: small[name] for name in small if name in options} if "channels" in options else options


def nets():
    """{name: (net, what it is called with)}: of every recipe and preset those that differ, and others."""
    found = {"GAN": (GAN(), torch.zeros(2, 196), torch.zeros(2, 16)), "MLP": (MLP(), torch.zeros(2, 2), torch.ones(2)),
             "VAE": (VAE(), torch.zeros(2, 196), torch.zeros(2, 16))}
    for name in names():
        for preset, chosen in find(name).presets.items():
            config = find(name).config | {"net": narrow(chosen["net"]), "shape": [1, 28, 28], "classes": 10,
                                          "words": ["red", "heart"], "styles": ["one", "two"], "dim": 16}
            net = find(name).net(config)
            if str(net) not in [str(other) for other, *_ in found.values()]:
                time = [torch.ones(2)] if isinstance(net, (UNet, TextUNet, Prior)) else []
                if isinstance(net, KLVAE):
                    time = [torch.zeros(2, *net.grid(28, 28))]
                x = {Clip: torch.zeros(2, 3, 32, 32), Prior: torch.zeros(2, 16)}.get(type(net))
                found[f"{name} {preset}"] = net, torch.zeros(2, 1, 28, 28) if x is None else x, *time
    return found


NETS = nets()


@pytest.mark.parametrize("name", NETS)
def test_a_net_is_one_graph(name):
    net, *given = NETS[name]
    known = {"label": torch.tensor([3, 10]), "style": torch.tensor([1, 2]), "picture": torch.ones(2, 16)}
    cond = {name: known[name] for name in known if getattr(net, "embed", None) and name in net.embed.extra}
    if isinstance(net, Prior):
        cond["text"] = torch.ones(2, 16)
    if isinstance(net, (TextUNet, Clip)):
        cond["tokens"] = torch.tensor([[1, 4, 5, 2, 0], [1, 5, 2, 0, 0]])
    torch._dynamo.reset()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
        net.eval()  # no dropout, so that two calls agree
        traced, plain = torch.compile(net, fullgraph=True, backend="eager")(*given, **cond), net(*given, **cond)
    torch.testing.assert_close(traced, plain, rtol=1e-5, atol=1e-5)
