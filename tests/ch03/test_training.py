"""The training loop: repeatable and resumable to the bit, for any optimiser and any kind of batch."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from minidiff.data.batches import Batches
from minidiff.training import fit as module
from minidiff.training.checkpoint import load_checkpoint
from minidiff.training.errors import TrainingError
from minidiff.training.fit import adamw, fit, learning_rate, step_generator
from tests.ch03.small import Stop, batch_at, loss_fn, net, stop_after, weights


def all_weights(fitted):
    return weights(fitted.net, fitted.ema)


def test_two_runs_are_equal_to_the_bit():
    first, second = (fit(net(), loss_fn, batch_at, steps=20, seed=3) for _ in range(2))
    assert first.losses == second.losses and torch.equal(all_weights(first), all_weights(second))


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
    state = tmp_path / "state.safetensors"
    with pytest.raises(Stop):  # after step 11: the state of step 10 has been saved by then
        fit(net(dropout), loss_fn, batch_at, steps=20, state_path=state, save_every=0.0, callback=stop_after(11))
    torch.manual_seed(99)  # the resumed process has other global random numbers until it restores them
    resumed = fit(net(dropout), loss_fn, batch_at, steps=20, state_path=state, resume=True)
    assert resumed.losses == whole.losses and len(whole.losses) == 20 and resumed.begun == 10
    assert torch.equal(all_weights(resumed), all_weights(whole))


def test_resume_refuses_the_state_of_another_run(tmp_path):
    state = tmp_path / "state.safetensors"
    fit(net(), loss_fn, batch_at, steps=2, state_path=state, config={"seed": 0})
    with pytest.raises(TrainingError, match="another run: it says {'seed': 0}, asked for is {'seed': 1}"):
        fit(net(), loss_fn, batch_at, steps=4, state_path=state, config={"seed": 1}, resume=True)


@pytest.mark.parametrize("length", [{"steps": 5}, {"steps": 3}, {"minutes": 1e-9}])
def test_a_run_that_has_had_its_length_is_left_as_it_is(tmp_path, length):
    state = tmp_path / "state.safetensors"
    done = fit(net(), loss_fn, batch_at, steps=5, state_path=state)
    again = fit(net(), loss_fn, batch_at, state_path=state, resume=True, progress=True, **length)
    assert again.begun == again.steps == 5 and again.losses == done.losses and not again.stopped
    assert torch.equal(all_weights(again), all_weights(done))


CHILD = """
from tests.ch03.small import net, batch_at, loss_fn
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
    time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    losses, done = load_checkpoint(state)[0]["losses"].tolist(), load_checkpoint(state)[1]["step"]
    assert done == len(losses) >= 1
    end = min(done, 30)
    fresh = []
    with pytest.raises(Stop):
        fit(net(), loss_fn, batch_at, steps=10**6,
            callback=lambda step, loss, ema: fresh.append(float(loss)) or stop_after(end)(step, loss, ema))
    assert fresh == [pytest.approx(x, rel=1e-6) for x in losses[:end]]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path):
    state = tmp_path / "state.safetensors"

    def bad(net, batch, generator):
        loss, logs = loss_fn(net, batch, generator)
        return (loss * math.nan if bad.calls > 5 else loss), setattr(bad, "calls", bad.calls + 1) or logs
    bad.calls = 0
    with pytest.raises(TrainingError, match="became nan"):
        fit(net(), bad, batch_at, steps=20, state_path=state, save_every=0.0)
    tensors, config = load_checkpoint(state)
    assert config["step"] == 6 and all(x.isfinite().all() for x in tensors.values() if x.is_floating_point())


@pytest.mark.parametrize("wrong", [{}, {"steps": 1, "minutes": 1}, {"steps": 0}, {"minutes": -1}])
def test_fit_wants_steps_or_minutes(wrong):
    with pytest.raises(ValueError, match="steps"):
        fit(net(), loss_fn, batch_at, **wrong)


def test_minutes_are_kept():
    start = time.monotonic()
    fitted = fit(net(), loss_fn, batch_at, minutes=0.005)
    assert 0.3 <= fitted.seconds <= time.monotonic() - start and fitted.images == 8 * fitted.steps


# what a batch, an optimiser and a net may be

def test_accumulated_gradients_are_those_of_the_large_batch():
    def plain(net, batch, generator):
        return net(batch).square().mean(), {}
    halves = fit(net(), plain, lambda i: batch_at(i // 2)[4 * (i % 2):][:4], steps=5, accumulate=2)
    whole = fit(net(), plain, batch_at, steps=5)
    assert torch.allclose(all_weights(halves), all_weights(whole), atol=1e-6)


def test_a_batch_may_be_a_dict_of_tensors():
    points, signs = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.ones(32, 1)

    def named(net, batch, generator):
        return loss_fn(net, batch["x"] * batch["sign"], generator)
    named = fit(net(), named, Batches({"x": points, "sign": signs}, 8, seed=0).at, steps=5)
    plain = fit(net(), loss_fn, Batches(points, 8, seed=0).at, steps=5)
    assert named.losses == plain.losses and named.images == plain.images == 40


def test_the_loss_knows_the_step_that_its_batch_names():
    seen = []

    def knowing(net, batch, generator):
        seen.append(int(batch["step"]))
        return loss_fn(net, batch["x"], generator)
    fit(net(), knowing, lambda step: {"x": batch_at(step), "step": torch.tensor(step)}, steps=4)
    assert seen == [0, 1, 2, 3]


def two_groups(net, lr, weight_decay):
    return torch.optim.AdamW([{"params": net[0].parameters(), "lr": lr}, {"params": net[3].parameters(), "lr": 0.0}],
                             weight_decay=weight_decay)


def test_every_group_of_weights_has_its_own_learning_rate():
    seen = []

    def watched(net, lr, weight_decay):
        seen.append(optimizer := two_groups(net, lr, weight_decay))
        optimizer.param_groups[1]["lr"] = lr / 4
        return optimizer
    fit(net(), loss_fn, batch_at, steps=10, lr=0.1, warmup=1, optimizer=watched,
        callback=lambda step, loss, ema: seen.append([group["lr"] for group in seen[0].param_groups]))
    assert seen[1:] == [[pytest.approx(learning_rate(i / 10, i, lr, warmup=1)) for lr in (0.1, 0.025)]
                        for i in range(10)]
    start, fitted = net(), fit(net(), loss_fn, batch_at, steps=3, optimizer=two_groups).net
    assert torch.equal(fitted[3].weight, start[3].weight) and not torch.equal(fitted[0].weight, start[0].weight)


def two_optimizers(net, lr, weight_decay):
    return (torch.optim.SGD(net[0].parameters(), 10 * lr, momentum=0.9),
            torch.optim.AdamW(net[3].parameters(), lr, weight_decay=weight_decay))


def test_two_optimisers_share_a_net_and_go_on_to_the_bit(tmp_path):
    given = {"steps": 12, "warmup": 3, "optimizer": two_optimizers}
    whole = fit(net(), loss_fn, batch_at, **given)
    assert not torch.equal(whole.net[0].weight, net()[0].weight)
    assert not torch.equal(whole.net[3].weight, net()[3].weight)
    with pytest.raises(Stop):
        fit(net(), loss_fn, batch_at, state_path=tmp_path / "state", save_every=0.0, callback=stop_after(6), **given)
    resumed = fit(net(), loss_fn, batch_at, state_path=tmp_path / "state", resume=True, **given)
    assert resumed.begun == 5 and torch.equal(all_weights(resumed), all_weights(whole))


def test_weights_that_are_frozen_stay():
    start, trained = net(), net()
    trained[0].requires_grad_(False)
    fitted = fit(trained, loss_fn, batch_at, steps=3)
    assert torch.equal(fitted.net[0].weight, start[0].weight) and torch.equal(fitted.ema[0].weight, start[0].weight)
    assert not torch.equal(fitted.net[3].weight, start[3].weight)
    assert len(adamw(trained).param_groups[0]["params"]) == 2


def test_a_net_of_three_dimensional_convolutions_trains():
    film = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.Flatten(0, 1), nn.Conv2d(3, 3, 3, padding=1))

    def loss_fn(net, x, generator):
        return net(x).square().mean(), {}
    fitted = fit(film, loss_fn, lambda step: torch.ones(2, 1, 3, 4, 4), steps=3)
    assert fitted.steps == 3 and fitted.losses[2] < fitted.losses[0]
    assert fitted.net[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert fitted.net[0].weight.is_contiguous()


class Reads(TorchDispatchMode):
    """Counts how often a number is read from a tensor: on a card every time waits for the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        self.count += op is torch.ops.aten._local_scalar_dense.default
        return op(*args, **kwargs or {})


def test_nothing_is_read_from_the_device_but_the_losses_of_twenty_steps_at_once(monkeypatch):
    """With an optimiser that keeps no counter on the CPU, as the fused one of CUDA does not either."""
    monkeypatch.setattr(module, "READ_EVERY", {"cpu": 20})
    seen = []

    def sgd(net, lr, weight_decay):
        return torch.optim.SGD(net.parameters(), lr, foreach=True)
    with Reads() as reads:
        fitted = fit(net(), loss_fn, batch_at, steps=39, optimizer=sgd,
                     callback=lambda step, loss, ema: seen.append((loss, reads.count)))
    assert [count for _, count in seen] == [0] * 39 and all(isinstance(loss, torch.Tensor) for loss, _ in seen)
    assert fitted.losses == [loss.item() for loss, _ in seen]
    with Reads() as reads:
        torch.ones(()).item()
    assert reads.count == 1  # what the test looks for is seen


def test_learning_rate_warms_up_stays_and_falls_to_zero():
    at = [learning_rate(i / 1000, i, 1.0, warmup=100, flat=0.5) for i in range(1001)]
    assert at[0] == pytest.approx(0.01) and at[49] == pytest.approx(0.5)
    assert at[100:501] == [1.0] * 401 and at[750] == pytest.approx(0.5) and at[1000] == 0


def test_every_step_and_rank_has_its_own_random_numbers():
    keys = [(seed, i, rank) for seed in range(3) for i in range(50) for rank in range(2)]
    draws = {torch.randn(1, generator=step_generator(*key)).item() for key in keys}
    assert len(draws) == 300
