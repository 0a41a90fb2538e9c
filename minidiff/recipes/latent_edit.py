"""Changing a picture in its latents: encode, walk, decode. img2img, and filling in what a mask leaves open."""

from minidiff.process.latents import averaged_down
from minidiff.recipes.emoji_latent import autoencoder_of, encode
from minidiff.recipes.recipe import sample
from minidiff.samplers.edit import half_way, inpaint
from minidiff.samplers.sampler import Sampler


def redrawn(recipe, net, picture, strength, n, **how):
    """n pictures that a caption makes of one: its latents are noised half-way, and walked back (Meng et al. 2022).

    recipe, net: of emoji-latent, as `load` gives them; picture: (1, 3, H, W) in [-1, 1]; strength in (0, 1], the share
    of the walk that is walked; how: as in `sample`, caption and style among it. Returns (n, 3, H, W). Raises ValueError
    for another strength.
    """
    z = encode(recipe.config, picture)

    def start(shape, times, path, generator):
        return half_way(z.expand(shape), times, path, strength, generator)
    return sample(recipe, net, n, start=start, **how)


def filled_in(recipe, net, picture, kept, n, *, repeats=1, evaluations=40, **how):
    """n pictures that agree with one where it is kept: RePaint in the latents, and pixels pasted last.

    picture: (1, 3, H, W); kept: (1, 1, H, W), 1 where it stays and 0 where it is drawn anew. In the latents the mask is
    the share of each square that is kept, so places on its border are mixed; the autoencoder brings back nothing
    exactly, so the kept pixels themselves are put into the end (Rombach et al. 2022, section 4.5, trains a net for it
    instead). repeats: as in `inpaint`; how: as in `sample`. Returns (n, 3, H, W). Raises ValueError for repeats < 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    z, mask = encode(recipe.config, picture), averaged_down(kept, autoencoder_of(recipe.config).factor)

    def walk(denoiser, x, times, path, generator):
        return inpaint(denoiser, x, times, path, z.to(x).expand_as(x), mask.to(x), generator, repeats)
    drawn = sample(recipe, net, n, sampler=Sampler(walk, each=repeats, draws=True), steps=evaluations, **how)
    return kept * picture + (1 - kept) * drawn
