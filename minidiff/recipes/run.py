"""What every recipe returns, and how a run is trained, described and kept."""

import contextlib
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from minidiff.places import CHECKPOINTS  # noqa: F401, the chapters find it here
from minidiff.training.checkpoint import save_checkpoint, write_whole
from minidiff.training.fit import fit
from minidiff.training.lock import alone_in
from minidiff.training.parallel import only_first, ranks


@dataclass(frozen=True)
class Run:
    """A net, its loss, its batches, the arguments of `fit`, and the words that rebuild the net from a checkpoint."""

    net: torch.nn.Module
    loss_fn: Callable
    batch_at: Callable
    fit: dict
    config: dict


def train(run, out, *, steps=None, minutes=None, device="cpu", resume=False, progress=True, stop=None):
    """Train a run in the folder `out`: state.safetensors while it lasts; model.safetensors and model.json at its end.

    steps, minutes: the length of the whole run, with what was trained before a resume; stop: as in `fit`. Returns
    (Fitted, record); the record says what was trained, for how long, and on what. Raises as `held_for` and `fit` do.
    """
    out = Path(out)
    with contextlib.ExitStack() as held:
        only_first(lambda: held.enter_context(held_for(out, resume)))
        fitted = fit(run.net, run.loss_fn, run.batch_at, steps=steps, minutes=minutes, device=device, resume=resume,
                     config=run.config, state_path=out / "state.safetensors", progress=progress, stop=stop, **run.fit)
        record = run.config | {
            "steps": fitted.steps, "images": fitted.images, "seconds": round(fitted.seconds, 1),
            "compile_seconds": round(fitted.compile_seconds, 1), "compiled": fitted.compiled,
            "precision": fitted.precision, "images_per_second": round(fitted.images / max(fitted.seconds, 1e-9)),
            "hardware": hardware(device), "torch": torch.__version__, "loss_curve": thin(fitted.losses, 100),
        }
        if ranks()[1] == 0:
            save_model(out / "model.safetensors", fitted.ema, run.config)
            write_whole(out / "model.json", json.dumps(record, indent=1) + "\n")
    return fitted, record


@contextlib.contextmanager
def held_for(out, resume=False):
    """Hold the folder `out` for one run that loses nothing that is there: entered before anything slow, or just tried.

    Removes what was left by a process that was killed while it wrote. Raises ValueError when there is no run to resume
    or one that would be overwritten, TrainingError while another run is there, CheckpointError if `out` is read-only.
    """
    state, model = out / "state.safetensors", out / "model.safetensors"
    if resume and not state.is_file():
        raise ValueError(f"nothing to resume: there is no {state}")
    with alone_in(out):
        if not resume and (state.is_file() or model.is_file()):
            raise ValueError(f"{out} holds a run already: go on with --resume, or choose another --out")
        for part in out.glob(".*.safetensors.*"):
            part.unlink()
        yield


def save_model(path, net, config):
    """Keep a net's weights, in half precision where they survive it, with the description that rebuilds it."""
    save_checkpoint(path, {name: halved(value) for name, value in net.state_dict().items()}, config)


def halved(value):
    """A float32 tensor in half precision if that moves it by at most 1 / 1024 of its largest entry; else as it is."""
    if value.dtype != torch.float32 or value.numel() == 0:
        return value
    half = value.half()
    return half if ((half.float() - value).abs() <= value.abs().max() / 1024).all() else value


def hardware(device="cpu"):
    """The machine in words: processor or accelerator, and the number of threads."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    except OSError:
        pass
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"


def thin(values, n):
    """A list of at most n means over equal stretches of `values`, four digits each."""
    size = max(1, -(-len(values) // n))
    return [float(f"{sum(values[i:i + size]) / len(values[i:i + size]):.4g}") for i in range(0, len(values), size)]
