"""Stable Diffusion 1.5 with published weights: three nets in a folder, and how they draw what a prompt says.

`minidiff.recipes.porting` makes the folder; nothing here is trained. The picture is drawn by `recipe.sample`.
"""

import json
from pathlib import Path

import torch
from torch import nn

from minidiff.data.clip_tokenizer import read_clip_merges
from minidiff.models.sd_clip import ClipText
from minidiff.models.sd_unet import CountsFrom0, SDUNet
from minidiff.models.sd_vae import SDVAE
from minidiff.process.denoiser import denoiser_of
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, scaled_linear_betas
from minidiff.process.targets import EPS
from minidiff.recipes.recipe import Draw, Recipe
from minidiff.samplers.multistep import DPMPP_2M
from minidiff.training.checkpoint import load_checkpoint
from minidiff.training.errors import CheckpointError

NETS = {"unet": SDUNet, "vae": SDVAE, "text": ClipText}
SHAPES = {"unet": {"channels": (320, 640, 1280, 1280), "width": 768}, "vae": {"channels": (128, 256, 512, 512)},
          "text": {"size": 49_408, "width": 768, "heads": 12}}
SIDE = 512  # pixels, of the pictures that it learned last
SCALE = 0.18215  # latents of the autoencoder times this have about unit variance (Rombach et al. 2022, appendix G)
RECORD, MERGES = "model.json", "merges.txt"


class StableDiffusion(nn.Module):
    """The three nets and the tokenizer: net(x (B, 4, h, w), t, context (B, L, width)) -> the noise in x, as x.

    t counts from 1, as everywhere in the course. `read` makes the context of texts, `decode` pictures of latents.
    """

    def __init__(self, unet, vae, text, tokenizer):
        super().__init__()
        self.unet, self.vae, self.text, self.tokenizer = CountsFrom0(unet), vae, text, tokenizer

    def forward(self, x, t, context):
        return self.unet(x, t, context=context)

    def read(self, texts):
        """What the net is told for texts: (B, 77, width). Raises ValueError for a text of more than 75 tokens."""
        tokens = self.tokenizer.batch(texts, self.text.length)
        return self.text(tokens.to(self.text.token.weight.device))

    def encode(self, pictures):
        """The mean latents of pictures (B, 3, H, W) in [-1, 1], scaled: (B, 4, H / 8, W / 8)."""
        return SCALE * self.vae.encode(pictures)[0]

    def decode(self, latents):
        """The pictures of scaled latents (B, 4, h, w), one by one to save memory: (B, 3, 8 h, 8 w) in [-1, 1]."""
        return torch.cat([self.vae.decode(z[None] / SCALE).clamp(-1, 1) for z in latents])


def recipe_for(net, prompt, side=SIDE, steps=25):
    """How a `StableDiffusion` draws a prompt, as a Recipe for `sample`: guidance leads away from the empty text.

    side: of the square pictures, a multiple of 8; steps: evaluations of the net. Raises ValueError.
    """
    if side < 8 or side % 8:
        raise ValueError(f"the side of a picture must be a multiple of 8, got {side}")
    with torch.no_grad():
        told, instead = net.read([prompt, ""]).cpu().split(1)
    how = Draw(
        path=discrete_path(alpha_bar_of(scaled_linear_betas())), denoiser=lambda net, path: denoiser_of(net, path, EPS),
        shape=(4, side // 8, side // 8), sampler=DPMPP_2M, steps=steps, clip=False,
        cond=lambda n: {"context": told.expand(n, -1, -1)},
        null=lambda cond: {"context": instead.expand_as(cond["context"]).to(cond["context"])},
        decode=lambda net, latents: net.decode(latents))
    return Recipe("sd15", data=None, net=None, loss=None, presets={}, draw=lambda config: how)


def record_in(folder):
    """What `model.json` of a ported model says: a dict. Raises CheckpointError when it is not there, or of another."""
    try:
        record = json.loads((Path(folder) / RECORD).read_text(encoding="utf-8"))
    except OSError:
        raise CheckpointError(f"there is no Stable Diffusion 1.5 in {folder}; 'python -m minidiff port sd15 FILE...' "
                              "makes one from published files") from None
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("model") != "sd15":
        raise CheckpointError(f"{Path(folder) / RECORD} does not describe a Stable Diffusion 1.5")
    return record


def load_sd15(folder, device="cpu"):
    """A ported model, frozen, in float32 on `device`: StableDiffusion. Raises CheckpointError, DataError."""
    folder = Path(folder)
    record_in(folder)
    nets = {part: load_part(folder / f"{part}.safetensors", part) for part in NETS}
    tokenizer = read_clip_merges(folder / MERGES)
    return StableDiffusion(**nets, tokenizer=tokenizer).eval().to(device)


def load_part(file, part):
    """One net of a ported model, frozen, in float32: read as it is needed where the file has float32 already.

    Raises CheckpointError for a file that is damaged, or that holds another net.
    """
    tensors, config = load_checkpoint(file)
    if config.get("part") != part or not isinstance(config.get("net"), dict):
        raise CheckpointError(f"{file} does not hold the {part} of a Stable Diffusion 1.5")
    net = empty(part, config["net"])
    own = {name: value.shape for name, value in net.state_dict().items()}
    if own != {name: value.shape for name, value in tensors.items()}:
        raise CheckpointError(f"{file} does not fit the net that it describes")
    return filled(net, tensors)


def empty(part, shape):
    """A net without memory for its weights, to look at or to be `filled`."""
    with torch.device("meta"):
        return NETS[part](**shape)


def filled(net, tensors):
    """The net with these tensors as its weights, not copies of them if they are float32, frozen."""
    net.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
    return net.eval().requires_grad_(False)
