"""Without the other packages: the numbers that they computed once, by benchmarks/sd_golden.py, are ours."""

import json

import pytest
import torch

from minidiff.places import BENCHMARKS
from tests.ch12.small_sd import KINDS, SMALL, asked, random_net


@pytest.mark.parametrize("part", KINDS)
def test_the_golden_numbers_of_each_net(part):
    expected = torch.tensor(json.loads((BENCHMARKS / "sd_golden.json").read_text())[part])
    net = random_net(part, SMALL[part])
    answer = (net.decode if part == "vae" else net)(*asked(part)).flatten()
    torch.testing.assert_close(answer[::len(answer) // 8][:8], expected, rtol=0, atol=1e-4)
    assert expected.abs().max() > 0.1 and len(set(expected.tolist())) == 8
