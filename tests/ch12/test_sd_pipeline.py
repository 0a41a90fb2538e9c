"""From a prompt to a picture, the whole way is that of diffusers' own pipeline with the same weights and noise."""

import pytest
import torch

from minidiff.data.clip_tokenizer import VISIBLE, ClipBytePairs
from minidiff.process.guidance import cfg
from minidiff.process.noise import Streams, normal_like
from minidiff.recipes.recipe import sample
from minidiff.recipes.sd15 import StableDiffusion, recipe_for
from minidiff.samplers.ddim import DDIM
from tests.ch12.sd_oracles import oracle
from tests.ch12.small_sd import SMALL, random_net


@pytest.mark.parametrize("guidance", [1, 7.5])
def test_a_picture_is_that_of_diffusers_pipeline(guidance):
    diffusers = pytest.importorskip("diffusers")
    parts = {part: random_net(part, shape) for part, shape in SMALL.items()}
    theirs = {part: oracle(part, net, SMALL[part]) for part, net in parts.items()}
    scheduler = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                        clip_sample=False, timestep_spacing="trailing")
    pipe = diffusers.StableDiffusionPipeline(theirs["vae"], theirs["text"], None, theirs["unet"], scheduler, None, None,
                                             requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    net = StableDiffusion(**parts, tokenizer=ClipBytePairs(tuple((chr(b), "a</w>") for b in VISIBLE[:86])))
    recipe = recipe_for(net, "1a 2a", side=64)
    how = recipe.draw(recipe.config)
    ours = sample(recipe, net, 2, steps=5, sampler=DDIM, seed=4, wrap=lambda d: cfg(d, guidance, how.null))
    tokens = net.tokenizer.batch(["1a 2a", ""])
    told, instead = theirs["text"](tokens).last_hidden_state.split(1)
    noise = float(how.path.sigma(1000)) * normal_like(torch.empty(2, 4, 8, 8), Streams(4, 0, 2))
    pictures = pipe(prompt_embeds=told.expand(2, -1, -1), negative_prompt_embeds=instead.expand(2, -1, -1),
                    latents=noise, num_inference_steps=5, guidance_scale=guidance, height=64, width=64,
                    output_type="pt").images
    torch.testing.assert_close(ours / 2 + 0.5, pictures, rtol=0, atol=1e-3)
    assert ours.std() > 0.1
