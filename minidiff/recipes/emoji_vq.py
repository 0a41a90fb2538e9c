"""emoji-vq: an autoencoder whose latents are 64 of K learned codes a picture, beside emoji-vae."""

import torch

from minidiff.data.emoji import emoji
from minidiff.evaluation.rate import psnr_of
from minidiff.models.vq import VQVAE, codes_in_use
from minidiff.process.autoencoding import vq_loss
from minidiff.recipes.emoji_vae import pictures
from minidiff.recipes.recipe import Recipe
from minidiff.recipes.tiny_clip import shifted


def vqvae(config):
    """The autoencoder of config["net"] for pictures of config["shape"]."""
    return VQVAE(config["shape"][0], **config["net"])


def loss(config):
    """`vq_loss` of pictures that are moved by up to config["moved"] pixels; config["revive"]: no code stays dead."""
    def loss_fn(net, batch, generator):
        x = shifted(batch["x"], config["moved"], generator)
        picture, z, q, indices = net(x)
        if config["revive"] and net.training:
            net.quantiser.revive(z, indices, generator)
        return vq_loss(picture.float(), x, z.float(), q.float(), config["commitment"])
    return loss_fn


@torch.no_grad()
def figures(net):
    """What a trained net keeps of held-out emoji, and how many of its codes all emoji of training use."""
    held = emoji("test").pictures
    chosen = torch.cat([net.quantiser.nearest(net.encoder(x)) for x in emoji("train").pictures.split(500)])
    K = len(net.quantiser.codes)
    share, perplexity = codes_in_use(chosen, K)
    return {"codes": K, "in use": share, "perplexity": perplexity, "psnr": psnr_of(net(held)[0], held),
            "bits a picture": chosen[0].numel() * torch.tensor(float(K)).log2().item()}


CPU = {"net": {"codes": 256, "latent": 4, "channels": [32, 64], "blocks": 1, "patch": 2}, "batch": 64,
       "fit": {"lr": 3e-3, "precision": "float32"}}
RECIPE = Recipe(
    name="emoji-vq", data=pictures, net=vqvae, loss=loss, presets={"cpu": CPU},
    config={"shape": [3, 32, 32], "commitment": 0.25, "moved": 3, "revive": True})
