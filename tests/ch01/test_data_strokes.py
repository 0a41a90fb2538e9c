"""The drawn digits: a pure function of what was asked for, balanced, and drawn like MNIST's."""

import json
import re
from pathlib import Path

import pytest
import torch

from minidiff.data.errors import DataError
from minidiff.data.load import load
from minidiff.data.strokes import HANDWRITINGS, NUMBERS, PRESSES, strokes


MEASURED = Path(__file__).resolve().parents[2] / "benchmarks" / "strokes.json"


@pytest.fixture(scope="module")
def digits():
    return strokes(2000)


def test_images_are_grey_levels_between_minus_one_and_one(digits):
    images, labels = digits
    assert images.shape == (2000, 1, 28, 28) and images.dtype == torch.float32 and labels.dtype == torch.int64
    levels = (images + 1) * 127.5
    assert (levels - levels.round()).abs().max() < 1e-4
    assert (images.min(), images.max()) == (-1, 1)


def test_each_ten_images_hold_every_digit_once(digits):
    assert torch.equal(digits[1].view(-1, 10).sort(1).values, torch.arange(10).expand(200, 10))


@pytest.mark.parametrize("n", [1, 9, 10, 333])
def test_fewer_images_are_the_first_of_more(digits, n):
    images, labels = strokes(n)
    assert torch.equal(images, digits[0][:n]) and torch.equal(labels, digits[1][:n])


def test_threads_do_not_change_a_pixel(digits):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(before, 2))
        assert torch.equal(strokes(2000)[0], digits[0])
    finally:
        torch.set_num_threads(before)


def test_seed_and_split_give_other_digits(digits):
    drawn = [digits[0][:50], strokes(50, seed=1)[0], strokes(50, split="test")[0], strokes(50, seed=1, split="test")[0]]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert not (one[:, None] == other[None]).flatten(2).all(2).any()


def test_load_gives_seed_zero_and_its_split():
    for split in ("train", "test"):
        images, labels = load("strokes", split, n=20, size=16)
        assert torch.equal(images, strokes(20, split=split, size=16)[0])
        assert torch.equal(labels, strokes(20, split=split, size=16)[1])


def test_another_size_is_the_same_digit(digits):
    large = torch.nn.functional.avg_pool2d(strokes(200, size=56)[0], 2)
    same = ((large - digits[0][:200]) ** 2).mean((1, 2, 3))
    other = ((large - digits[0][10:210]) ** 2).mean((1, 2, 3))
    assert same.median() < 0.25 * other.median()
    assert strokes(10, size=9)[0].shape == (10, 1, 9, 9)


def test_ink_statistics_are_those_of_mnist(digits):
    """MNIST's training set: 80.9 % of the pixels are zero, mean 0.1307, standard deviation 0.3081 (in 0..1)."""
    ink = (digits[0] + 1) / 2
    assert (ink == 0).float().mean() == pytest.approx(0.809, abs=0.01)
    assert ink.mean() == pytest.approx(0.1307, abs=0.006)
    assert ink.std() == pytest.approx(0.3081, abs=0.006)


def test_digits_fill_the_box_and_lie_around_the_centre(digits):
    ink = (digits[0][:, 0] + 1) / 2
    for axis in (1, 2):
        extent = (ink > 0).any(axis).sum(1)
        assert extent.max() <= 22
    longest = torch.maximum((ink > 0).any(1).sum(1), (ink > 0).any(2).sum(1))
    assert longest.min() >= 18
    place = torch.arange(28.0)
    for axis in (1, 2):
        centre = (ink.sum(axis) * place).sum(1) / ink.sum((1, 2))
        assert (centre - 14).abs().max() < 2.5 and centre.mean() == pytest.approx(14, abs=0.25)


def test_the_drawing_is_final():
    """The ink of the first ten digits, in whole black pixels: the chapters print numbers that rest on them."""
    images, labels = strokes(10)
    assert labels.tolist() == [8, 9, 3, 5, 6, 2, 4, 7, 0, 1]
    ink = [113.05, 112.24, 118.13, 125.95, 84.62, 135.05, 92.29, 68.37, 132.09, 59.69]
    assert ((images + 1) / 2).sum((1, 2, 3)).tolist() == pytest.approx(ink, abs=0.02)


def test_a_classifier_of_strokes_was_measured_to_read_strokes_and_mnist():
    record = json.loads(MEASURED.read_text(encoding="utf-8"))["accuracy"]
    assert (record["strokes"]["images"], record["mnist"]["images"]) == (2000, 10_000)
    assert record["strokes"]["accuracy"] >= 0.97 and record["mnist"]["accuracy"] >= 0.7
    for accuracy in record.values():
        assert len(accuracy["of each digit"]) == 10
        assert min(accuracy["of each digit"].values()) > 0.7


def test_no_image_repeats_another(digits):
    assert len(torch.unique(digits[0].flatten(1), dim=0)) == 2000


def test_every_handwriting_can_be_written_with_the_numbers_there_are():
    for digit, handwritings in HANDWRITINGS.items():
        assert len(handwritings) >= 4, digit
        for share, text in handwritings:
            points = re.findall(r"\d+,\d+", text)
            assert share > 0 and len(points) == len(re.sub(r"\|", " ", text).split())
            assert 2 + 27 + 2 * len(points) + PRESSES <= NUMBERS


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 5, "size": 7}, {"n": 5, "split": "valid"}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(DataError, match="got"):
        strokes(**arguments)
