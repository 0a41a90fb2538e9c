"""Here float32 is computed as exactly as on a CPU, unless a test trains or says otherwise."""

import pytest
import torch

from minidiff.models.unet import UNet


@pytest.fixture(autouse=True)
def exact():
    kept = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.set_float32_matmul_precision(kept[0])
    torch.backends.cudnn.allow_tf32 = kept[1]


@pytest.fixture
def make_net():
    """A function that makes the same small U-Net every time, away from its zero start."""
    def make():
        torch.manual_seed(0)
        net = UNet(channels=(16, 32), attention=(1,), patch=2)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.02 * torch.randn(p.shape))
        return net.eval()
    return make
