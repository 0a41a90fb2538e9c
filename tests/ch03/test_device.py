"""Where a net runs: devices are there or refused with a reason, and precisions are named."""

import pytest
import torch

from minidiff.training import device as module
from minidiff.training.device import autocast, fast_kernels, has_fast_bfloat16, pick_device
from tests.ch03.small import net


def test_devices_are_there_or_refused_with_a_reason(monkeypatch):
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="'cpu', 'cuda' or 'mps', got 'tpu'"):
        pick_device("tpu")
    for cuda in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        assert pick_device().type == ("cuda" if cuda else "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no usable CUDA device .*torch .* is built"):
        pick_device("cuda")


def test_mps_is_taken_where_torch_has_it(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("mps").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for built, reason in ((False, "built without it"), (True, "macOS 14")):
        monkeypatch.setattr(torch.backends.mps, "is_built", lambda built=built: built)
        with pytest.raises(ValueError, match=reason):
            pick_device("mps")


def test_precisions_are_named():
    with pytest.raises(ValueError, match="float8"):
        autocast("cpu", "float8")
    with autocast("cpu", "bfloat16"):
        assert net()(torch.zeros(1, 4)).dtype == torch.bfloat16


def test_bfloat16_is_fast_on_every_card_and_on_a_cpu_that_says_so(monkeypatch):
    assert has_fast_bfloat16("cuda") and not has_fast_bfloat16("mps")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not has_fast_bfloat16("cpu")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    for flag in (True, False):
        monkeypatch.setattr(module, "_cpu_flag", lambda name, flag=flag: flag)
        assert has_fast_bfloat16("cpu") is flag


def test_fast_kernels_are_for_the_time_of_training():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    with pytest.raises(KeyError), fast_kernels("cuda"):
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == ("high", True)
        raise KeyError
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == before == ("highest", False)
