"""Here float32 is computed as exactly as on a CPU, unless a test trains or says otherwise."""

import pytest
import torch

from minidiff.models.unet import UNet


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


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
