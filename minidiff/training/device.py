"""Where a net runs and in which precision."""

import contextlib

import torch


def pick_device(name=None):
    """The torch.device called `name`, or the best that this machine has: CUDA, then CPU.

    Raises ValueError when `name` is not a device of this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu' or 'cuda', got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda' was asked for, but this machine has no usable CUDA device")
    return torch.device(name)


def autocast(device, precision):
    """A context in which the forward pass computes in `precision`, "float32" or "bfloat16" (else ValueError)."""
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision must be 'float32' or 'bfloat16', got {precision!r}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def has_fast_bfloat16(device):
    """Whether bfloat16 is computed by hardware units there: on CUDA always, on a CPU with AVX-512 BF16 or AMX."""
    if torch.device(device).type == "cuda":
        return True
    capability = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    return capability.startswith("AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _cpu_flag("bf16")


def _cpu_flag(name):
    try:
        with open("/proc/cpuinfo") as file:
            return any(name in line for line in file if line.startswith("flags"))
    except OSError:
        return False
