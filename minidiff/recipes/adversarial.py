"""The autoencoder against a critic: two nets with an optimiser each, so a loop of its own around the parts of `fit`."""

import copy

import torch

from minidiff.data.batches import each, moved
from minidiff.models.kl_vae import last_layer
from minidiff.models.patch_gan import tower_features
from minidiff.process.autoencoding import adaptive_weight, hinge_critic, hinge_drawer, perceptual_loss, vae_loss
from minidiff.recipes.emoji_vae import noise
from minidiff.recipes.tiny_clip import shifted
from minidiff.training.device import autocast, fast_kernels
from minidiff.training.ema import ema_update_at_once
from minidiff.training.errors import TrainingError
from minidiff.training.fit import adamw, learning_rate, step_generator


def train_against(run, critic, steps, *, tower=None, perceptual=0.0, adversarial=0.0, begin=0.5, lr=1e-3, device="cpu"):
    """Train an autoencoder against a critic (Esser et al. 2021; Rombach et al. 2022, appendix G). Returns (ema, logs).

    run: of emoji-vae; critic: pictures (B, 3, H, W) -> logits; tower: the picture tower of a CLIP, which stays as it
    is, for the weight `perceptual` of `perceptual_loss`; adversarial: the weight of the critic's opinion beside
    `adaptive_weight`, from the share `begin` of the steps on. With both weights 0 it is the training of emoji-vae. ema:
    the averaged autoencoder; logs: a dict of floats for each step. Raises TrainingError when the loss is not finite.
    """
    net, critic, config = run.net.to(device).train(), critic.to(device).train(), run.config
    ema, logs, precision = copy.deepcopy(net).eval().requires_grad_(False), [], run.fit["precision"]
    tower = tower if tower is None else copy.deepcopy(tower).to(device)
    drawer, judge = adamw(net, lr), adamw(critic, lr)
    with fast_kernels(device):
        for step in range(steps):
            generator = step_generator(run.fit["seed"], step)
            for group in [*drawer.param_groups, *judge.param_groups]:
                group["lr"] = learning_rate(step / steps, step, lr)
            x = shifted(each(lambda v: moved(v, device), run.batch_at(step))["x"], config["moved"], generator)
            with autocast(device, precision):
                picture, mean, log_var = net(x, noise(x, config["net"], generator))
                loss, said = vae_loss(picture.float(), x, mean.float(), log_var.float(), config["weight"])
                if perceptual:
                    seen = perceptual_loss(tower_features(tower, picture), tower_features(tower, x)).mean()
                    loss, said["perceptual"] = loss + perceptual * seen, seen.detach()
                if adversarial and step >= begin * steps:
                    fooled = hinge_drawer(critic(picture))
                    said["weight"] = adversarial * adaptive_weight(loss, fooled, last_layer(net))
                    loss = loss + said["weight"] * fooled
            one_step(drawer, net, loss)
            if adversarial:
                with autocast(device, precision):
                    said["critic"] = hinge_critic(critic(x), critic(picture.detach()))
                one_step(judge, critic, said["critic"])
            ema_update_at_once(ema, net, step)
            logs.append({name: value.detach() for name, value in said.items()})
    return ema, [{name: float(value) for name, value in said.items()} for said in logs]


def one_step(optimizer, net, loss, clip=1.0):
    """One step of one net, whatever else the loss has touched. Raises TrainingError when the loss is not finite."""
    if not loss.isfinite():
        raise TrainingError(f"the loss of the {type(net).__name__} became {loss.item()}; try a lower learning rate")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimizer.step()
