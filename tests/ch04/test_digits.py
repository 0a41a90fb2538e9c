"""The judge of digits: the frozen classifier, and the Fréchet distance in its features."""

import json

import pytest
import torch

from minidiff.data.load import load
from minidiff.evaluation.digits import JUDGE, Judge, load_judge
from minidiff.evaluation.frechet import frechet, moments
from minidiff.models.classifier import Classifier
from minidiff.training.checkpoint import load_checkpoint, save_checkpoint
from minidiff.training.errors import CheckpointError


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.fixture(scope="module")
def strokes():
    return load("strokes", "test", n=600)


def test_features_and_labels(judge, strokes):
    images, _ = strokes
    features = judge.features(images)
    assert features.shape == (600, 64) and features.dtype == torch.float32 and not features.requires_grad
    assert judge.labels(images).shape == (600,) and judge.labels(images).dtype == torch.int64


def test_parts_of_a_set_are_joined_in_order(judge, strokes):
    images, _ = strokes  # 600 images cross the limit of one part, 500
    assert torch.allclose(judge.features(images)[497:503], judge.features(images[497:503]), atol=1e-4)
    assert torch.equal(judge.labels(images)[497:503], judge.labels(images[497:503]))


def test_reads_digits_that_it_was_not_trained_on(judge, strokes):
    images, labels = strokes
    assert (judge.labels(images) == labels).double().mean() > 0.6


def test_a_set_is_at_distance_zero_from_itself(judge, strokes):
    images, _ = strokes
    own = judge.against(images)
    assert abs(own.distance(images)) < 1e-2 and abs(own.distance(images.flip(0))) < 1e-2
    assert own.net is judge.net and not torch.equal(own.mean, judge.mean)


def test_distance_is_that_of_the_moments(judge, strokes):
    images, _ = strokes
    half, other = images[:300], images[300:]
    expected = frechet(judge.features(half), judge.features(other))
    assert judge.against(other).distance(half) == pytest.approx(expected)


def test_the_record_orders_what_is_far_and_what_is_near(judge, strokes):
    images, _ = strokes
    metrics = json.loads(JUDGE.with_suffix(".json").read_text())["metrics"]
    noise = torch.randn(600, 1, 28, 28, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    assert judge.distance(noise) > 5 * judge.distance(images) > 5 * metrics["floor"]["1000"]
    assert judge.distance(noise) == pytest.approx(metrics["null"]["noise"], rel=0.1)
    assert metrics["test_accuracy"] > 0.99
    floors = [metrics["floor"][n] for n in ("500", "1000", "2000", "5000", "10000")]
    assert floors == sorted(floors, reverse=True) and floors[-1] > 0


def test_moments_of_one_feature_are_still_matrices():
    mean, cov = moments(torch.tensor([[1.0], [2.0], [6.0]]))
    assert mean.shape == (1,) and cov.shape == (1, 1) and cov.item() == pytest.approx(7.0)


def test_errors_are_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_judge(tmp_path / "missing.safetensors")
    (tmp_path / "text.safetensors").write_text("not a checkpoint")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_judge(tmp_path / "text.safetensors")
    tensors, config = load_checkpoint(JUDGE)
    del tensors["head.bias"]
    save_checkpoint(tmp_path / "part.safetensors", tensors, config)
    with pytest.raises(CheckpointError, match="head.bias"):
        load_judge(tmp_path / "part.safetensors")


def test_a_distance_needs_two_images():
    judge = Judge(Classifier(), torch.zeros(64).double(), torch.eye(64).double())
    with pytest.raises(ValueError, match="N >= 2"):
        judge.distance(torch.zeros(1, 1, 28, 28))
