"""Without the other packages: the numbers that they computed once, by benchmarks/sd_golden.py, are ours."""

import json

import pytest
import torch

from minidiff.places import BENCHMARKS
from minidiff.recipes.sd15 import SHAPES, empty
from tests.ch12.small_sd import KINDS, SMALL, asked, random_net


@pytest.mark.parametrize("part", KINDS)
def test_the_golden_numbers_of_each_net(part):
    expected = torch.tensor(json.loads((BENCHMARKS / "sd_golden.json").read_text())[part])
    net = random_net(part, SMALL[part])
    answer = (net.decode if part == "vae" else net)(*asked(part)).flatten()
    torch.testing.assert_close(answer[::len(answer) // 8][:8], expected, rtol=0, atol=1e-4)
    assert expected.abs().max() > 0.1 and len(set(expected.tolist())) == 8


def test_the_measured_nets_have_the_published_number_of_weights():
    """Of the file of 4,265,146,304 bytes: four for each weight, and what stands beside them."""
    record = json.loads((BENCHMARKS / "sd15.json").read_text())
    counted = {part: sum(p.numel() for p in empty(part, SHAPES[part]).parameters()) for part in KINDS}
    assert record["weights"] == counted | {"all": sum(counted.values())}
    assert 0 < 4_265_146_304 - 4 * record["weights"]["all"] < 1_000_000
    assert record["float16"]["gb_on_disk"] == pytest.approx(2 * record["weights"]["all"] / 1e9, rel=0.01)
    assert 0 < record["float16"]["draw"]["evaluation"]["core_seconds"] and record["side"] == 512
