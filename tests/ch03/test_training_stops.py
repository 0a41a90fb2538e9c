"""A run that is asked to stop loses nothing; two runs do not share a folder; and somebody can see how far it is."""

import io
import os
import signal
import subprocess
import sys
import threading

import pytest

from minidiff.training import progress as module
from minidiff.training.checkpoint import load_checkpoint
from minidiff.training.errors import CheckpointError, TrainingError
from minidiff.training.fit import fit
from minidiff.training.interrupt import Interrupt
from minidiff.training.lock import alone_in
from minidiff.training.parallel import agree, only_first
from minidiff.training.progress import Progress
from tests.ch03.small import Clock, batch_at, loss_fn, net, weights


# signals

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_between_two_steps_and_nothing_is_lost(tmp_path, number, capfd):
    state, before = tmp_path / "state", signal.getsignal(number)
    with Interrupt() as stop:
        fitted = fit(net(), loss_fn, batch_at, steps=9, state_path=state, stop=stop,
                     callback=lambda step, loss, ema: step == 4 and os.kill(os.getpid(), number))
    assert fitted.stopped and fitted.steps == 4 and stop.number == number
    assert load_checkpoint(state)[1]["step"] == 4 and "keeping what is learned" in capfd.readouterr().err
    assert signal.getsignal(number) == before
    resumed = fit(net(), loss_fn, batch_at, steps=9, state_path=state, resume=True)
    whole = fit(net(), loss_fn, batch_at, steps=9)
    assert not resumed.stopped and resumed.losses == whole.losses
    assert (weights(resumed.ema) == weights(whole.ema)).all()


def test_before_the_first_step_there_is_something_to_keep_too(tmp_path):
    fitted = fit(net(), loss_fn, batch_at, minutes=1, state_path=tmp_path / "state", stop=lambda: True)
    assert (fitted.steps, fitted.losses, fitted.stopped) == (0, [], True)
    assert fit(net(), loss_fn, batch_at, steps=2, state_path=tmp_path / "state", resume=True).steps == 2


def test_the_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt), Interrupt() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_a_thread_beside_the_main_one_trains_without_signals():
    seen = []

    def train():
        with Interrupt() as stop:
            seen.append(stop())
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [False]


# the lock

HOLDER = """
import sys, time
from minidiff.training.lock import alone_in
with alone_in(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_until_its_process_ends_even_by_kill_9(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match=rf"another run is training in .* \(process {holder.pid}\)"):
            with alone_in(tmp_path):
                pass
    finally:
        holder.kill()
        holder.wait()
    with alone_in(tmp_path):
        pass


def test_a_folder_is_free_again_after_a_run_and_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), alone_in(tmp_path / "new" / "folder"):
            with pytest.raises(TrainingError, match="another run"):
                with alone_in(tmp_path / "new" / "folder"):
                    pass
            raise KeyError
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write .*file"):
        with alone_in(tmp_path / "file" / "run"):
            pass


# one process and many

def test_one_process_agrees_with_itself():
    assert agree(2.5, True) == (2.5, True)
    assert only_first(lambda: "done") == "done"
    with pytest.raises(ValueError, match="no"):
        only_first(lambda: int("no"))


TOGETHER = """
import os, sys
from pathlib import Path
import torch._dynamo  # what DistributedDataParallel imports, once for both
import torch.distributed as dist
from minidiff.training.fit import fit
from minidiff.training.parallel import agree, only_first
from tests.ch03.small import batch_at, loss_fn, net, weights
folder, child = Path(sys.argv[1]), os.fork()
rank = 0 if child else 1
dist.init_process_group("gloo", init_method=(folder / "meet").as_uri(), rank=rank, world_size=2)
only_first((folder / "run").mkdir)  # would fail in whoever came second
try:
    only_first((folder / "run").mkdir)
except FileExistsError:
    said = "refused"
steps = []
fitted = fit(net(), loss_fn, lambda i: batch_at(2 * i + rank), minutes=1, stop=lambda: rank == 1 and len(steps) == 5,
             callback=lambda step, loss, ema: steps.append(step))
said = f"{agree(rank, -rank)} {said} {fitted.steps} {fitted.stopped} {fitted.images} {weights(fitted.net).sum()}"
(folder / str(rank)).write_text(said)
dist.destroy_process_group()
if child:
    os.waitpid(child, 0)
"""


def test_two_processes_make_files_once_and_stop_at_the_same_step_with_one_net(tmp_path):
    """Only the second one is asked to stop."""
    subprocess.run([sys.executable, "-c", TOGETHER, str(tmp_path)], check=True, timeout=300)
    said = [(tmp_path / str(rank)).read_text() for rank in range(2)]
    assert said[0] == said[1] and said[0].startswith("[1.0, 0.0] refused 5 True 80 ")


# how far it is

@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(module, "time", fake)
    return fake


def test_where_nobody_looks_there_is_a_line_a_minute(clock, capsys):
    shown = Progress(300, "s", begun=500)
    for _ in range(25):
        clock.now += 10
        shown.update(clock.now - 100, lambda: f"at {clock.now:.0f}")
    shown.close()
    assert capsys.readouterr().err.splitlines() == [f"{60 * i}/300 s, at {60 * i + 100}" for i in range(1, 5)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_there_is_a_bar_also_beyond_the_end(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = Progress(20, "steps", begun=30)
    clock.now += 1
    shown.update(31, lambda: "loss 0.5")
    shown.close()
    assert "20/20 steps" in sys.stderr.getvalue() and "loss 0.5" in sys.stderr.getvalue()


def test_not_shown_is_silent(clock, capsys):
    shown = Progress(20, "steps", shown=False)
    clock.now += 1000
    shown.update(5, lambda: pytest.fail("words that nobody reads"))
    shown.close()
    assert capsys.readouterr().err == ""
