"""`edit`, and guidance within an interval, as a person types them: what they make, and one line for what is wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from minidiff.cli.main import main
from minidiff.models.unet import UNet
from minidiff.recipes.pictures import judge_of
from minidiff.recipes.run import save_model
from tests.course.test_cli import DDPM, FLOW, NET, drawn, says

CHECKER = np.indices((28, 28)).sum(axis=0) % 2 == 0


def saved(pixels, file):
    """A grey picture of truths or of bytes as a PNG; returns the file."""
    Image.fromarray(pixels.astype(np.uint8) * (255 if pixels.dtype == bool else 1)).save(file)
    return file


@pytest.fixture
def seven(tmp_path):
    """A drawn 7, as a file."""
    digit = drawn(tmp_path, FLOW, "--n", 1, "--label", 7, "--steps", 9)[0, 0]
    return saved(np.rint((digit + 1) * 127.5), tmp_path / "seven.png")


@pytest.fixture
def lower(tmp_path):
    """A mask whose lower half is white."""
    return saved(np.arange(28)[:, None].repeat(28, axis=1) >= 14, tmp_path / "mask.png")


@pytest.fixture
def ddpm(tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "model.safetensors", UNet(**NET), DDPM)
    return tmp_path / "model.safetensors"


def edited(tmp_path, *arguments):
    """What `edit` writes as numbers, (N, C, H, W)."""
    file = tmp_path / "edited.npy"
    assert main(["edit", *map(str, arguments), "--out", str(file)]) == 0
    return np.load(file)


def original(file):
    return np.asarray(Image.open(file)).astype(np.float32) / 127.5 - 1


def away(pictures, file):
    return float(((pictures[:, 0] - original(file)) ** 2).mean())


def test_more_strength_is_further_away_and_a_label_leads(seven, tmp_path):
    near, far = (edited(tmp_path, FLOW, "--init", seven, "--strength", s, "--n", 8, "--label", 3) for s in (0.15, 0.9))
    assert near.shape == (8, 1, 28, 28) and near.dtype == np.float32
    assert away(near, seven) < 0.05 < away(far, seven)
    assert (judge_of("mnist").labels(torch.from_numpy(far)) == 3).sum() >= 6


def test_without_a_label_none_is_meant(seven, tmp_path):
    plain, none, threes = (edited(tmp_path, FLOW, "--init", seven, "--strength", 0.8, "--n", 2, "--steps", 9, *more)
                           for more in ((), ("--label", 10), ("--label", 3)))
    assert (plain == none).all() and not (plain == threes).all()


def test_what_the_mask_keeps_stays_to_the_bit_and_the_rest_is_new(seven, lower, tmp_path):
    new = edited(tmp_path, FLOW, "--init", seven, "--mask", lower, "--n", 3, "--steps", 20, "--repeats", 2)
    assert (new[:, 0, :14] == original(seven)[:14]).all()
    assert (np.abs(new[:, 0, 14:] - original(seven)[14:]).max(axis=(1, 2)) > 0.5).all()
    assert np.abs(new[0] - new[1]).max() > 0.5


def test_steps_of_a_mask_count_evaluations_of_the_net(seven, lower, tmp_path, monkeypatch):
    asked, call = [], UNet.__call__
    monkeypatch.setattr(UNet, "__call__", lambda self, *a, **k: asked.append(0) or call(self, *a, **k))
    edited(tmp_path, FLOW, "--init", seven, "--mask", lower, "--n", 1, "--steps", 13, "--repeats", 3)
    assert len(asked) == 12


def test_edits_are_the_same_for_every_n_and_batch_and_work_on_a_model_without_labels(seven, lower, ddpm, tmp_path):
    for way in (("--strength", 0.5), ("--mask", lower)):
        many = edited(tmp_path, ddpm, "--init", seven, *way, "--n", 3, "--batch", 2, "--steps", 10)
        one = edited(tmp_path, ddpm, "--init", seven, *way, "--n", 1, "--steps", 10)
        np.testing.assert_allclose(many[:1], one, rtol=1e-4, atol=1e-4)


def test_edits_are_written_as_a_grid(seven, tmp_path):
    assert main(["edit", str(FLOW), "--init", str(seven), "--strength", "0.2", "--n", "10", "--steps", "5",
                 "--out", str(tmp_path / "x.png")]) == 0
    assert Image.open(tmp_path / "x.png").size == (903, 93)


def test_guidance_within_an_interval_lies_between_none_and_all(tmp_path):
    asked = ("--n", 3, "--label", 7, "--steps", 9)
    plain, guided, some, all_times = (drawn(tmp_path, FLOW, *asked, *more) for more in (
        (), ("--guidance", 4), ("--guidance", 4, "--interval", "0.2,0.8"), ("--guidance", 4, "--interval", "0,1")))
    assert (guided == all_times).all()
    assert np.abs(some - plain).max() > 0.1 and np.abs(some - guided).max() > 0.1


def test_guidance_that_is_no_guidance_is_one_line(tmp_path, capsys):
    out = ("--out", tmp_path / "x.png")
    for words, wrong in ((("--guidance", "nan"), "--guidance: must be a finite number, got nan"),
                         (("--guidance", "inf"), "--guidance: must be a finite number, got inf"),
                         (("--guidance", "much"), "--guidance: must be a finite number, got much"),
                         (("--guidance", 2, "--interval", "0.8,0.2"), "--interval: must be LOW,HIGH with 0 <= LOW <"),
                         (("--guidance", 2, "--interval", "0.2"), "--interval: must be LOW,HIGH"),
                         (("--guidance", 2, "--interval", "0.2,nan"), "--interval: must be LOW,HIGH"),
                         (("--guidance", 2, "--interval", "200,800"), "--interval: must be LOW,HIGH"),
                         (("--interval", "0.2,0.8"), "--interval says where --guidance acts")):
        assert wrong in says(capsys, "sample", FLOW, *words, *out)
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("words, wrong", [
    (("--strength", 0), "--strength: must lie above 0 and be at most 1, got 0"),
    (("--strength", 1.5), "--strength: must lie above 0 and be at most 1"),
    (("--strength", "nan"), "--strength: must be a finite number"),
    (("--strength", 0.5, "--label", 11), "whole numbers in 0..10"),
    (("--strength", 0.5, "--guidance", 2), "--guidance leads towards a --label"),
    (("--strength", 0.5, "--guidance", "nan", "--label", 3), "--guidance: must be a finite number"),
    (("--strength", 0.5, "--repeats", 3), "--repeats goes with --mask"),
    (("--strength", 0.5, "--n", 0), "--n: must be a positive whole number"),
    ((), "one of the arguments --strength --mask is required"),
    (("--mask", "nosuch.png"), "nosuch.png cannot be read as a picture"),
])
def test_a_wrong_edit_is_one_line(words, wrong, seven, tmp_path, capsys):
    assert wrong in says(capsys, "edit", FLOW, "--init", seven, *words, "--out", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_a_wrong_mask_is_one_line(seven, lower, tmp_path, capsys):
    def refused(mask, *more):
        return says(capsys, "edit", FLOW, "--init", seven, "--mask", mask, *more, "--out", tmp_path / "x.png")

    other = saved(CHECKER[:20, :27], tmp_path / "other.png")
    assert refused(other).endswith("--mask must have the size of --init, 28 x 28 pixels, got 27 x 20")
    assert "nothing to draw anew" in refused(saved(CHECKER & False, tmp_path / "black.png"))
    assert "not allowed with argument --mask" in refused(lower, "--strength", 0.5)
    assert "--sampler goes with --strength" in refused(lower, "--sampler", "ddim")
    assert "one step takes 5 evaluations" in refused(lower, "--steps", 4)


def test_what_is_no_picture_and_a_model_that_knows_no_label_are_one_line(seven, ddpm, tmp_path, capsys):
    text, out = tmp_path / "text.png", ("--strength", 0.5, "--out", tmp_path / "x.png")
    text.write_text("this is not a picture")
    assert "text.png cannot be read as a picture" in says(capsys, "edit", FLOW, "--init", text, *out)
    assert "nosuch.png cannot be read as a picture" in says(capsys, "edit", FLOW, "--init", "nosuch.png", *out)
    assert f"{tmp_path} cannot be read as a picture" in says(capsys, "edit", FLOW, "--init", tmp_path, *out)
    assert "takes no condition, asked for was label" in says(capsys, "edit", ddpm, "--init", seven, "--label", 7, *out)
    assert "must end in .png or .npy" in says(capsys, "edit", FLOW, "--init", seven, *out[:2], "--out", "x.gif")
    save_model(tmp_path / "four.safetensors", UNet(image_channels=4, **NET), DDPM | {"shape": [4, 28, 28]})
    assert "this model draws 4" in says(capsys, "edit", tmp_path / "four.safetensors", "--init", seven, *out)
