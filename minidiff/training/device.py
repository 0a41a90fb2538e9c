"""Where a net runs, and in which precision."""

import contextlib
from pathlib import Path

import torch

PRECISIONS = ("float32", "bfloat16")


def pick_device(name=None):
    """The torch.device called `name`, "cpu", "cuda" or "mps"; by default CUDA where there is one, else the CPU.

    Raises ValueError with the reason when `name` is not a device of this machine.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'mps', got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        built = f"torch {torch.__version__} is built for CUDA {torch.version.cuda}" if torch.version.cuda else \
            f"torch {torch.__version__} is built without CUDA"
        raise ValueError(f"device 'cuda' was asked for, but this machine has no usable CUDA device ({built})")
    if name == "mps" and not torch.backends.mps.is_available():
        why = "macOS 14 and an Apple processor are needed" if torch.backends.mps.is_built() else \
            f"torch {torch.__version__} is built without it, as everywhere but on Apple computers"
        raise ValueError(f"device 'mps' was asked for, but this machine has none: {why}")
    return torch.device(name)


def autocast(device, precision):
    """A context in which the forward pass computes in `precision`, "float32" or "bfloat16" (else ValueError)."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be 'float32' or 'bfloat16', got {precision!r}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def has_fast_bfloat16(device):
    """Whether bfloat16 is computed by hardware units there: on CUDA always, on a CPU with AVX-512 BF16 or AMX."""
    device = torch.device(device)
    if device.type != "cpu":
        return device.type == "cuda"
    capability = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
    return capability.startswith("AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported() and _cpu_flag("bf16")


def _cpu_flag(name):
    try:
        return any(name in line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except OSError:
        return False


@contextlib.contextmanager
def fast_kernels(device):
    """Within it, CUDA multiplies float32 matrices in TF32 and tries which convolution is fastest; then as before."""
    if torch.device(device).type != "cuda":
        yield
        return
    kept = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(kept[0])
        torch.backends.cudnn.benchmark = kept[1]


def channels_last(net):
    """Lay out the weights of 2-D convolutions as their kernels read them fastest, in place; others stay as they are."""
    for p in net.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    return net


def synchronize(device):
    """Wait until a device has done what it was told; a CPU always has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
