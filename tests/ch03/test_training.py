"""The training loop: resumable to the bit, whole checkpoints, an average that forgets its start."""

import copy
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from minidiff.training.checkpoint import load_checkpoint, load_weights, save_checkpoint, write_whole
from minidiff.training.device import autocast, pick_device
from minidiff.training.ema import ema_decay, ema_update
from minidiff.training.errors import CheckpointError, TrainingError
from minidiff.training.fit import fit, learning_rate, step_generator


def net(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(dropout), nn.Tanh(), nn.Linear(16, 4))


def batch_at(step):
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(step))


def loss_fn(net, batch, generator):
    noise = torch.randn(batch.shape, generator=generator)
    return (net(batch + noise) - batch).square().mean(), {}


def weights(fitted):
    return torch.cat([p.flatten() for p in [*fitted.net.parameters(), *fitted.ema.parameters()]])


def test_two_runs_are_equal_to_the_bit():
    first, second = (fit(net(), loss_fn, batch_at, steps=20, seed=3) for _ in range(2))
    assert first.losses == second.losses and torch.equal(weights(first), weights(second))


def test_another_seed_is_another_run():
    first, second = (fit(net(), loss_fn, batch_at, steps=3, seed=seed).losses for seed in (1, 2))
    assert first != second


def test_training_lowers_the_loss():
    losses = fit(net(), loss_fn, batch_at, steps=400, lr=1e-2).losses
    assert sum(losses[-50:]) < 0.7 * sum(losses[:50])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_2k_steps_equal_k_resumed_for_k_more_to_the_bit(tmp_path, dropout):
    """The first half stops as a killed run does: with the schedule of the whole, after k steps."""
    whole = fit(net(dropout), loss_fn, batch_at, steps=20)

    class Stop(Exception):
        pass

    def stop(step, loss, ema):
        if step == 11:  # the state of step 10 has been saved by then
            raise Stop

    state = tmp_path / "state.safetensors"
    with pytest.raises(Stop):
        fit(net(dropout), loss_fn, batch_at, steps=20, state_path=state, save_every=0.0, callback=stop)
    torch.manual_seed(99)  # the resumed process has other global random numbers until it restores them
    resumed = fit(net(dropout), loss_fn, batch_at, steps=20, state_path=state, resume=True)
    assert len(resumed.losses) == 20 and resumed.losses == whole.losses
    assert torch.equal(weights(resumed), weights(whole))


def test_resume_refuses_the_state_of_another_run(tmp_path):
    state = tmp_path / "state.safetensors"
    fit(net(), loss_fn, batch_at, steps=2, state_path=state, config={"seed": 0})
    with pytest.raises(TrainingError, match="another run"):
        fit(net(), loss_fn, batch_at, steps=4, state_path=state, config={"seed": 1}, resume=True)


CHILD = """
import torch
from tests.ch03.test_training import net, batch_at, loss_fn
from minidiff.training.fit import fit
print("go", flush=True)
fit(net(), loss_fn, batch_at, steps=10**6, state_path={state!r}, save_every=0.0)
"""


def test_kill_9_leaves_a_state_that_goes_on_as_if_nothing_had_happened(tmp_path):
    state = tmp_path / "state.safetensors"
    child = subprocess.Popen([sys.executable, "-c", CHILD.format(state=str(state))], stdout=subprocess.PIPE)
    child.stdout.readline()
    deadline = time.monotonic() + 30
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done = load_checkpoint(state)[1]["step"]
    assert done >= 1
    with pytest.raises(ValueError, match="steps"):
        fit(net(), loss_fn, batch_at, steps=0)
    # a run whose total differs only in its learning rate would differ; ask for the same total and compare the past
    losses = load_checkpoint(state)[0]["losses"].tolist()
    fresh = []

    class Stop(Exception):
        pass

    def stop(step, loss, ema):
        fresh.append(loss)
        if step == min(done, 50):
            raise Stop

    with pytest.raises(Stop):
        fit(net(), loss_fn, batch_at, steps=10**6, callback=stop)
    assert fresh == [pytest.approx(x, rel=1e-6) for x in losses[:len(fresh)]]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path):
    state = tmp_path / "state.safetensors"

    def bad(net, batch, generator):
        loss, logs = loss_fn(net, batch, generator)
        return (loss * math.nan if bad.calls > 5 else loss), setattr(bad, "calls", bad.calls + 1) or logs
    bad.calls = 0
    with pytest.raises(TrainingError, match="became nan"):
        fit(net(), bad, batch_at, steps=20, state_path=state, save_every=0.0)
    tensors, config = load_checkpoint(state)
    assert config["step"] == 6 and all(value.isfinite().all() for value in tensors.values() if value.is_floating_point())


@pytest.mark.parametrize("wrong", [{}, {"steps": 1, "minutes": 1}, {"steps": 0}, {"minutes": -1}])
def test_fit_wants_steps_or_minutes(wrong):
    with pytest.raises(ValueError, match="steps"):
        fit(net(), loss_fn, batch_at, **wrong)


def test_minutes_are_kept():
    start = time.monotonic()
    fitted = fit(net(), loss_fn, batch_at, minutes=0.01)
    assert 0.6 <= fitted.seconds <= time.monotonic() - start and fitted.images == 8 * fitted.steps


def test_accumulated_gradients_are_those_of_the_large_batch():
    def plain(net, batch, generator):
        return net(batch).square().mean(), {}
    halves = fit(net(), plain, lambda i: batch_at(i // 2)[4 * (i % 2):][:4], steps=5, accumulate=2)
    whole = fit(net(), plain, batch_at, steps=5)
    assert torch.allclose(weights(halves), weights(whole), atol=1e-6)


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    at = [learning_rate(i / 1000, i, 1.0, warmup=100, flat=0.5) for i in range(1001)]
    assert at[0] == pytest.approx(0.01) and at[49] == pytest.approx(0.5)
    assert at[100:501] == [1.0] * 401 and at[750] == pytest.approx(0.5) and at[1000] == 0


def test_every_step_and_rank_has_its_own_random_numbers():
    keys = [(seed, i, rank) for seed in range(3) for i in range(50) for rank in range(2)]
    draws = {torch.randn(1, generator=step_generator(*key)).item() for key in keys}
    assert len(draws) == 300


# the average

def test_average_of_a_constant_is_that_constant():
    kept, new = net(), net()
    for n in range(5):
        ema_update(kept, new, n)
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), new.parameters(), strict=True))


def test_average_after_k_updates_has_its_closed_form():
    kept, new = net().double(), net().double()
    start = copy.deepcopy(kept)
    with torch.no_grad():
        for p in new.parameters():
            p.add_(1.0)
    for n in range(7):
        ema_update(kept, new, n, decay=0.6)
    left = math.prod(ema_decay(n, 0.6) for n in range(7))
    for k, s, p in zip(kept.parameters(), start.parameters(), new.parameters(), strict=True):
        assert torch.allclose(k, left * s + (1 - left) * p)


def test_without_warm_up_the_average_keeps_ninety_percent_of_the_random_start():
    assert 0.9999**1000 == pytest.approx(0.905, abs=1e-3)
    assert math.prod(ema_decay(n, 0.9999) for n in range(1000)) < 1e-10


def test_average_copies_buffers_and_has_no_gradients():
    new, kept = torch.nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4)
    new(torch.randn(8, 4))
    ema_update(kept, new, 0)
    assert torch.equal(kept.running_mean, new.running_mean)
    fitted = fit(net(), loss_fn, batch_at, steps=2)
    assert all(p.grad is None and not p.requires_grad for p in fitted.ema.parameters())


# checkpoints

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


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, "old")

    def full(fd):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_devices_and_precisions_are_named():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="tpu"):
        pick_device("tpu")
    with pytest.raises(ValueError, match="float8"):
        autocast("cpu", "float8")


def test_bfloat16_computes_in_half_the_bits():
    with autocast("cpu", "bfloat16"):
        assert net()(torch.zeros(1, 4)).dtype == torch.bfloat16
