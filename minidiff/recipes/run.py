"""What every recipe returns, and how a run is trained, described and kept."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from minidiff.training.checkpoint import save_checkpoint
from minidiff.training.fit import fit

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"


@dataclass(frozen=True)
class Run:
    """A net, its loss, its batches, the arguments of `fit`, and the words that rebuild the net from a checkpoint."""

    net: torch.nn.Module
    loss_fn: Callable
    batch_at: Callable
    fit: dict
    config: dict


def train(run, out, *, steps=None, minutes=None, device="cpu", resume=False, progress=True):
    """Train a run in the folder `out`: state.safetensors while it lasts, model.safetensors at its end.

    Returns (Fitted, record); the record says what was trained, for how long, and on what.
    """
    out = Path(out)
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=steps, minutes=minutes, device=device, config=run.config,
                 state_path=out / "state.safetensors", resume=resume, progress=progress, **run.fit)
    record = run.config | {
        "steps": fitted.steps, "images": fitted.images, "seconds": round(fitted.seconds, 1),
        "images_per_second": round(fitted.images / fitted.seconds), "hardware": hardware(device),
        "torch": torch.__version__, "loss_curve": thin(fitted.losses, 100),
    }
    if int(os.environ.get("RANK", 0)) == 0:
        save_model(out / "model.safetensors", fitted.ema, run.config)
    return fitted, record


def save_model(path, net, config):
    """Keep a net's weights, in half precision where they survive it, with the description that rebuilds it."""
    save_checkpoint(path, {name: halved(value) for name, value in net.state_dict().items()}, config)


def halved(value):
    """A float32 tensor in half precision if that moves it by at most 1 / 1024 of its largest entry; else as it is."""
    if value.dtype != torch.float32:
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
