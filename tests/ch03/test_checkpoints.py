"""Weights and states on disk: whole or not there at all, and enough to go on from, for any number of nets."""

import copy
import os

import pytest
import torch

from minidiff.training.checkpoint import load_checkpoint, load_weights, save_checkpoint, write_whole
from minidiff.training.ema import ema_update
from minidiff.training.errors import CheckpointError
from minidiff.training.fit import adamw, fit, step_generator
from minidiff.training.state import load_state, save_state
from tests.ch03.small import Stop, batch_at, loss_fn, net, weights


def full(fd):
    raise OSError(28, "No space left on device")


def test_checkpoint_round_trip(tmp_path):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, net().state_dict(), {"seed": 1})
    tensors, config = load_checkpoint(path)
    assert config == {"seed": 1} and torch.equal(tensors["0.weight"], net()[0].weight)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_damaged_checkpoints_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, net().state_dict(), {})
    whole = path.read_bytes()
    for content in (b"", b"hello, world", whole[:100], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="model.safetensors"):
            load_checkpoint(path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none")


def test_weights_of_another_net_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="missing"):
        load_weights(net(), {"a": torch.zeros(1)}, "x")
    with pytest.raises(CheckpointError, match=r"\(3,\) in the file and \(16,\)"):
        load_weights(net(), net().state_dict() | {"0.bias": torch.zeros(3)}, "x")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failure):
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail(fd):
        raise failure
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError if isinstance(failure, OSError) else KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_ends_training_with_the_last_state_that_was_whole(tmp_path, monkeypatch):
    state = tmp_path / "state.safetensors"

    def fill(step, loss, ema):
        if step == 5:
            monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="cannot write .*state.safetensors: No space left on device"):
        fit(net(), loss_fn, batch_at, steps=9, state_path=state, save_every=0.0, callback=fill)
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]
    assert load_checkpoint(state)[1]["step"] == 4
    monkeypatch.undo()
    resumed = fit(net(), loss_fn, batch_at, steps=9, state_path=state, resume=True)
    assert resumed.begun == 4 and resumed.losses == fit(net(), loss_fn, batch_at, steps=9).losses


def move(loss, optimizer):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def two_nets(state, steps, resume=False, end=None):
    """What a chapter with two nets and two optimisers writes: a student copies a teacher, a critic tells them apart."""
    teacher, student, critic = net(), net(dropout=0.2), net()
    nets = {"student": student, "critic": critic, "ema": copy.deepcopy(student)}
    optimizers = {"of_student": adamw(student, 1e-2), "of_critic": torch.optim.SGD(critic.parameters(), 0.1, 0.9)}
    losses = load_state(state, nets, optimizers)[0] if resume else []
    for step in range(len(losses), steps):
        x = batch_at(step) + torch.randn(8, 4, generator=step_generator(0, step))
        told = critic(teacher(x).detach()).mean() - critic(student(x).detach()).mean() + 0.1 * critic(x).square().mean()
        move(told, optimizers["of_critic"])
        copied = (student(x) - teacher(x).detach()).square().mean() + 0.1 * critic(student(x)).mean()
        move(copied, optimizers["of_student"])
        ema_update(nets["ema"], student, step)
        losses.append(copied.item())
        if step + 1 == end:
            raise Stop
        save_state(state, nets, optimizers, losses, {"step": step + 1})
    return losses, weights(*nets.values())


def test_a_loop_of_ones_own_with_two_nets_goes_on_to_the_bit(tmp_path):
    whole, at_the_end = two_nets(tmp_path / "whole", 8)
    with pytest.raises(Stop):
        two_nets(tmp_path / "state", 8, end=5)
    torch.manual_seed(99)
    losses, resumed = two_nets(tmp_path / "state", 8, resume=True)
    assert losses == whole and torch.equal(resumed, at_the_end)


def test_a_state_of_other_nets_is_refused(tmp_path):
    state = tmp_path / "state"
    two_nets(state, 1)
    with pytest.raises(CheckpointError, match="holds 'critic', asked for were net, ema, optimizer"):
        load_state(state, {"net": net(), "ema": net()}, {"optimizer": adamw(net())})
    save_checkpoint(state, net().state_dict(), {})
    with pytest.raises(CheckpointError, match="no training state"):
        load_state(state, {"net": net()}, {})


def test_a_resumed_optimiser_is_laid_out_as_its_weights(tmp_path):
    """CUDA's fused kernel takes weights and state only where they are laid out alike, and a file keeps no layout."""
    def loss(net, x, generator):
        return net(x).square().mean(), {}
    made = [torch.nn.Conv2d(2, 3, 3) for _ in range(2)]
    fit(made[0], loss, lambda step: torch.ones(1, 2, 4, 4), steps=2, state_path=tmp_path / "state")
    seen = []

    def watched(net, lr, weight_decay):
        seen.append(adamw(net, lr, weight_decay))
        return seen[0]
    fit(made[1], loss, lambda step: torch.ones(1, 2, 4, 4), steps=2, state_path=tmp_path / "state", resume=True,
        optimizer=watched)
    moment = seen[0].state[made[1].weight]["exp_avg"]
    assert moment.stride() == made[1].weight.stride() != moment.contiguous().stride()
