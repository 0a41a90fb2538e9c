"""The critic of patches, the perceptual loss, and the loop that trains two nets."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from minidiff.models.clip import PictureEncoder
from minidiff.models.kl_vae import KLVAE, last_layer
from minidiff.models.patch_gan import PatchCritic, tower_features
from minidiff.process.autoencoding import adaptive_weight, hinge_critic, hinge_drawer, perceptual_loss, vae_loss
from minidiff.recipes import emoji_vae
from minidiff.recipes.adversarial import train_against
from minidiff.recipes.recipe import build
from minidiff.training.errors import TrainingError
from minidiff.training.fit import fit
from tests.nets import awake, normal

VAE = {"net": {"latent": 4, "channels": [8, 16], "blocks": 1, "patch": 2}, "batch": 8,
       "fit": {"lr": 1e-3, "warmup": 100, "precision": "float32"}}


@pytest.mark.parametrize("channels", [(8,), (8, 8), (8, 8, 8)])
def test_a_logit_sees_a_patch_of_the_size_that_the_critic_says(channels):
    """Without its normalisation, which looks at the whole picture, by the slope of one logit in the middle."""
    critic = awake(PatchCritic(3, channels))
    for layer in critic.layers:
        if isinstance(layer, nn.GroupNorm):
            layer.forward = lambda x: x
    x = normal(1, 3, 64, 96).requires_grad_()
    logits = critic(x)
    assert logits.shape == (1, 1, 64 // 2 ** len(channels), 96 // 2 ** len(channels))
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    seen = x.grad[0].abs().sum(dim=0) > 0
    assert int(seen.any(dim=1).sum()) == int(seen.any(dim=0).sum()) == critic.patch


def test_the_hinge_asks_for_a_margin_and_no_more():
    real, fake = torch.tensor([[2.0, 0.5]]), torch.tensor([[-3.0, 1.0]])
    assert float(hinge_critic(real, fake)) == 0.5 * (0.5 / 2 + 2.0 / 2)
    assert float(hinge_critic(torch.zeros(1, 2), torch.zeros(1, 2))) == 1.0
    assert float(hinge_drawer(fake)) == 1.0


def test_the_two_losses_pull_at_the_last_layer_with_the_same_force():
    net, critic = awake(KLVAE(3, 4, (8,), patch=2)), awake(PatchCritic(3, (8,)))
    x = normal(2, 3, 8, 8)
    picture, mean, log_var = net(x, normal(2, 4, 4, 4, seed=2))
    plain, fooled = vae_loss(picture, x, mean, log_var, 0.0)[0], hinge_drawer(critic(picture))
    weight = adaptive_weight(plain, fooled, last_layer(net))
    slopes = [torch.autograd.grad(loss, last_layer(net), retain_graph=True)[0].norm()
              for loss in (plain, weight * fooled)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=0)
    assert not weight.requires_grad
    assert float(adaptive_weight(plain, 0 * fooled, last_layer(net))) == 1e4  # a critic that says nothing, bounded


def test_the_perceptual_loss_is_0_for_equal_and_4_for_opposite_features_and_ignores_their_size():
    a = [normal(2, 5, 4, 6), normal(2, 3, 2, 3, seed=2)]
    assert perceptual_loss(a, a).tolist() == [0, 0]
    torch.testing.assert_close(perceptual_loss(a, [-x for x in a]), torch.full((2,), 4.0))
    torch.testing.assert_close(perceptual_loss(a, [3 * x for x in a]), torch.zeros(2), rtol=0, atol=1e-6)
    orthogonal = [torch.eye(2).view(1, 2, 1, 2)], [torch.eye(2).flip(0).view(1, 2, 1, 2)]
    assert float(perceptual_loss(*orthogonal)) == pytest.approx(2)


def test_the_tower_is_read_level_by_level_up_to_its_own_answer():
    torch.manual_seed(0)
    tower = awake(PictureEncoder(5, (8, 16), size=16)).eval()
    x = normal(2, 3, 16, 16)
    found = tower_features(tower, x)
    assert [tuple(f.shape) for f in found] == [(2, 8, 8, 8), (2, 16, 4, 4)]
    torch.testing.assert_close(tower.head(nn.functional.silu(tower.norm(found[-1])).flatten(1)), tower(x))


# --- the loop -------------------------------------------------------------------------------------------------------

def tiny():
    run = build(replace(emoji_vae.RECIPE, presets={"cpu": VAE}))
    torch.manual_seed(1)
    return run, PatchCritic(3, (8, 8)), PictureEncoder(4, (8, 8)).eval().requires_grad_(False)


def test_without_critic_and_perception_it_is_the_training_of_emoji_vae():
    run, critic, _ = tiny()
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=6, **run.fit)
    run, critic, _ = tiny()
    ema, logs = train_against(run, critic, 6)
    for one, other in zip(fitted.ema.parameters(), ema.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert set(logs[0]) == {"mse", "kl"}


def test_both_nets_learn_and_the_critic_speaks_from_half_of_the_run_on():
    run, critic, tower = tiny()
    before = {name: p.clone() for name, p in critic.named_parameters()}
    seen = [p.clone() for p in tower.parameters()]
    ema, logs = train_against(run, critic, 12, tower=tower, perceptual=0.1, adversarial=0.5, lr=3e-3)
    assert [("weight" in said) for said in logs] == [False] * 6 + [True] * 6
    assert all(said["critic"] > 0 and said["perceptual"] > 0 for said in logs) and logs[-1]["weight"] > 0
    assert all((p != before[name]).any() for name, p in critic.named_parameters())
    assert all(torch.equal(p, q) for p, q in zip(tower.parameters(), seen, strict=True))
    assert sum(said["mse"] for said in logs[-3:]) < sum(said["mse"] for said in logs[:3])
    assert not any(p.requires_grad for p in ema.parameters())


def test_a_critic_alone_learns_to_tell_real_from_drawn():
    run, critic, _ = tiny()
    _, logs = train_against(run, critic, 30, adversarial=0.5, begin=1.0, lr=5e-3)
    assert all("weight" not in said for said in logs)
    assert sum(said["critic"] for said in logs[-5:]) < 0.9 * sum(said["critic"] for said in logs[:5])


def test_the_training_is_the_same_again_and_stops_where_a_loss_is_not_finite():
    def weights():
        run, critic, tower = tiny()
        return [*train_against(run, critic, 3, tower=tower, perceptual=0.1, adversarial=0.5)[0].parameters()]
    assert all(torch.equal(a, b) for a, b in zip(weights(), weights(), strict=True))
    run, critic, _ = tiny()
    with torch.no_grad():
        last_layer(run.net).fill_(float("nan"))
    with pytest.raises(TrainingError, match="the loss of the KLVAE became nan; try a lower learning rate"):
        train_against(run, critic, 2)
