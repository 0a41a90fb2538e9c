"""What the tests of Stable Diffusion's nets share: nets of the same structure that are narrow, and published names."""

import pytest
import torch

from minidiff.models.sd_clip import ClipText
from minidiff.models.sd_unet import SDUNet
from minidiff.models.sd_vae import SDVAE
from minidiff.recipes.sd_names import own_name
from tests.ch12.sd_published import diffusers_names

KINDS = {"unet": SDUNet, "vae": SDVAE, "text": ClipText}
KEYS = {"unet": 686, "vae": 248, "text": 196}  # as many as SD 1.5 has, in the narrow nets too
SMALL = {"unet": {"channels": (32, 64, 96, 96), "width": 24}, "vae": {"channels": (32, 64, 96, 96)},
         "text": {"size": 600, "width": 24, "heads": 2}}
WHOLE = {"unet": {}, "vae": {}, "text": {}}


def random_net(part, shape):
    """A net with random weights, the same in every run, whose layers keep the size of what they get."""
    with torch.device("meta"):
        net = KINDS[part](**shape)
    net = net.to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(5)
    for name, p in sorted(net.state_dict().items()):
        p.normal_(0, p[0].numel()**-0.5 if p.ndim > 1 else 0.05, generator=generator)
        if "norm" in name and name.endswith("weight"):
            p += 1
    return net


def oracle_of(package, shape):
    """The package, or a skipped test. Nets of full size, up to 3.4 GB, are compared where all oracles are installed."""
    if not shape:
        pytest.importorskip("transformers", reason="full size asks for the extra `oracles`")
    return pytest.importorskip(package)


def as_published(part, net, names=None):
    """The weights of one of our nets under the names of a diffusers folder, or under `names`: {name: Tensor}."""
    own = net.state_dict()
    return {name: own[own_name(name)[1]] for name in names or diffusers_names()[part]}
