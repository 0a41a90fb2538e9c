"""What the tests of Stable Diffusion's nets share: nets of the same structure that are narrow, and published names."""

import torch

from minidiff.models.sd_clip import ClipText
from minidiff.models.sd_unet import SDUNet
from minidiff.models.sd_vae import SDVAE
from minidiff.recipes.sd_names import own_name
from tests.ch12.sd_published import diffusers_names
from tests.nets import normal

KINDS = {"unet": SDUNet, "vae": SDVAE, "text": ClipText}
KEYS = {"unet": 686, "vae": 248, "text": 196}  # as many as SD 1.5 has, in the narrow nets too
SMALL = {"unet": {"channels": (32, 64, 96, 96), "width": 24}, "vae": {"channels": (32, 64, 96, 96)},
         "text": {"size": 600, "width": 24, "heads": 2}}


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


def as_published(part, net, names=None):
    """The weights of one of our nets under the names of a diffusers folder, or under `names`: {name: Tensor}."""
    own = net.state_dict()
    return {name: own[own_name(name)[1]] for name in names or diffusers_names()[part]}


def asked(part):
    """Fixed inputs of a narrow net: x, t and context of the U-Net, a latent, or tokens."""
    if part == "text":
        return (torch.arange(77)[None] * 7 % 600,)
    z = normal(1, 4, 8, 8)
    return (z,) if part == "vae" else (z, torch.tensor([321]), normal(1, 9, 24, seed=2))
