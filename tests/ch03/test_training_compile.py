"""Nothing that is slow once counts as training, and nothing of it shows in what is trained."""

import pytest
import torch
from torch import nn

from minidiff.training import compile as module
from minidiff.training import fit as loop
from minidiff.training.compile import compiling_pays
from minidiff.training.fit import fit
from tests.ch03.small import Clock, batch_at, loss_fn, net, weights

COMPILING, COMPILED, PLAIN = 66.0, 0.5, 1.0  # seconds of the fake clock


@pytest.fixture
def clock(monkeypatch):
    """A clock on which a pass takes a second, and with the compiled net half of one; see `slow_compile`."""
    fake = Clock()
    monkeypatch.setattr(module, "time", fake)
    monkeypatch.setattr(loop, "time", fake)
    return fake


class SlowOnce(nn.Module):
    """As torch.compile's answer: the net itself, after a first call that takes a minute."""

    def __init__(self, net, clock):
        super().__init__()
        self.net, self.clock, self.first = net, clock, True

    def forward(self, x):
        self.clock.now += (COMPILING if self.first else 0.0) + COMPILED - PLAIN
        self.first = False
        return self.net(x)


@pytest.fixture
def slow_compile(clock, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda net, **options: SlowOnce(net, clock))


def timed_loss(clock):
    def loss(net, batch, generator):
        clock.now += PLAIN
        return loss_fn(net, batch, generator)
    return loss


def test_compiling_is_not_on_the_clock_of_training(clock, slow_compile):
    fitted = fit(net(), timed_loss(clock), batch_at, minutes=1, compile=True)
    assert fitted.compiled and fitted.steps == 60 / COMPILED and fitted.seconds == 60
    assert fitted.compile_seconds == COMPILING + 2 * COMPILED


def test_the_state_says_what_came_before_the_clock(clock, slow_compile, tmp_path):
    given = {"state_path": tmp_path / "state", "compile": True}
    fit(net(), timed_loss(clock), batch_at, steps=4, **given)
    resumed = fit(net(), timed_loss(clock), batch_at, steps=6, resume=True, **given)
    assert resumed.seconds == 6 * COMPILED and resumed.compile_seconds == 2 * (COMPILING + 2 * COMPILED)


class Stateful(nn.Module):
    """A net with everything that a pass leaves behind: running means, a counter, dropout's random numbers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 4))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("compile", [True, "auto"])
def test_two_steps_are_the_same_to_the_bit_with_and_without_what_comes_before(clock, slow_compile, compile):
    torch.manual_seed(5)
    plain = fit(first := Stateful(), loss_fn, batch_at, steps=2)
    torch.manual_seed(5)
    tried = fit(second := Stateful(), timed_loss(clock), batch_at, steps=2, compile=compile)
    assert tried.losses == plain.losses and torch.equal(weights(tried.net, tried.ema), weights(plain.net, plain.ema))
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))
    assert second.layers[1].num_batches_tracked == 2 and tried.compile_seconds > 0


def test_a_compiler_that_fails_costs_a_line_and_not_the_run(clock, monkeypatch, capsys):
    def no_compiler(net, **options):
        def fails(x):
            raise RuntimeError("No working C++ compiler found\nset CXX")
        return type("Broken", (nn.Module,), {"forward": lambda self, x: fails(x)})()
    monkeypatch.setattr(torch, "compile", no_compiler)
    fitted = fit(net(), loss_fn, batch_at, steps=3, compile=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["compiling failed, so the net is trained without: No working C++ compiler found"]
    assert not fitted.compiled and fitted.losses == fit(net(), loss_fn, batch_at, steps=3).losses


@pytest.mark.parametrize("length, compiled", [({"minutes": 5}, False), ({"minutes": 6}, True),
                                              ({"steps": 349}, False), ({"steps": 352}, True)])
def test_auto_compiles_where_the_run_is_long_enough(clock, slow_compile, length, compiled):
    """On a CPU 70 s for a gain of 1.25 are won back in 350 s; a step of the fake clock takes one."""
    seen = []
    fitted = fit(net(), timed_loss(clock), batch_at, compile="auto", stop=lambda: bool(seen),
                 callback=lambda *now: seen.append(now), **length)
    assert fitted.compiled is compiled and fitted.steps == 1 and fitted.stopped


def test_a_card_wins_compiling_back_in_three_minutes_and_other_devices_never():
    assert [compiling_pays(seconds, "cuda") for seconds in (60, 197, 199)] == [False, False, True]
    assert not compiling_pays(1e9, "mps")


@pytest.mark.parametrize("units, half, chosen", [(True, 0.8, "bfloat16"), (True, 0.95, "float32"),
                                                 (False, 0.1, "float32")])
def test_precision_auto_is_what_is_measured_to_be_faster_where_there_are_units_for_it(clock, monkeypatch, units, half,
                                                                                     chosen):
    monkeypatch.setattr(module, "has_fast_bfloat16", lambda device: units)

    def loss(net, batch, generator):
        clock.now += half if torch.is_autocast_enabled("cpu") else 1.0
        return loss_fn(net, batch, generator)
    assert fit(net(), loss, batch_at, steps=2, precision="auto").precision == chosen


def test_without_anything_to_find_out_nothing_is_run_before_training():
    passes = []

    def counted(net, batch, generator):
        passes.append(1)
        return loss_fn(net, batch, generator)
    assert fit(net(), counted, batch_at, steps=3).compile_seconds < 0.1 and len(passes) == 3
