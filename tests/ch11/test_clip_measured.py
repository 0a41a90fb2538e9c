"""The committed nets are the ones that benchmarks/clip.json speaks of, and they know what it says."""

import json

import pytest
import torch

from minidiff.data.emoji import emoji
from minidiff.evaluation.frechet import frechet
from minidiff.evaluation.retrieval import ranks, retrieval_at
from minidiff.recipes.recipe import load, sample
from minidiff.recipes.run import CHECKPOINTS
from minidiff.recipes.tiny_clip import embed_captions, embed_pictures
from tests.conftest import ROOT

MEASURED = json.loads((ROOT / "benchmarks" / "clip.json").read_text())


@pytest.fixture(scope="module")
def held():
    """The vectors of held-out pictures and of their captions, each with its style, and those of training pictures."""
    recipe, net = load(CHECKPOINTS / "tiny-clip.safetensors")
    some = emoji("test")
    texts = [f"{style} {caption}" for style, caption in zip(some.styles, some.captions, strict=True)]
    return (embed_pictures(net, some.pictures), embed_captions(recipe.config, net, texts),
            embed_pictures(net, emoji("train").pictures))


def test_retrieval_is_as_measured_and_far_above_chance(held):
    pictures, texts, _ = held
    for name, queries, candidates in (("picture of a text", texts, pictures), ("text of a picture", pictures, texts)):
        told = MEASURED["retrieval"]["held out"][name]
        found = ranks(queries, candidates, torch.arange(len(queries)))
        for n, value in told["retrieval@1"].items():
            assert abs(retrieval_at(found, len(found), int(n)) - value) < 0.01, (name, n)
            assert value > 1.5 * told["chance"][n]
        assert told["retrieval@1"][str(len(found))] > 20 * told["chance"][str(len(found))]


def test_training_pictures_are_found_more_often_than_held_out_ones():
    seen, held = (MEASURED["retrieval"][name]["picture of a text"]["retrieval@1"] for name in ("training", "held out"))
    assert all(seen[n] > held[n] for n in held)


def test_the_distance_in_these_features_knows_noise_and_has_the_floor_that_is_told(held):
    pictures, _, known = held
    floor, noise = MEASURED["floors"]["held-out pictures"], MEASURED["floors"]["noise"]
    assert abs(frechet(pictures, known) / floor - 1) < 0.02 and noise > 50 * floor


def test_a_sample_of_the_prior_knows_its_text_and_the_mean_of_samples_comes_nearest(held):
    """On held-out pairs. A sample is as far from the truth as two draws of one posterior are; their mean is nearer."""
    pictures, texts, _ = held
    recipe, net = load(CHECKPOINTS / "clip-prior.safetensors")
    told = {kind: figures["cosine"] for kind, figures in MEASURED["prior"]["held out"].items() if kind != "pictures"}
    draws = torch.stack([sample(recipe, net, len(texts), seed=seed, text=texts) for seed in range(16)])
    for kind, made in (("one sample", draws[0]), ("mean of 16 samples", draws.mean(dim=0))):
        assert abs(float(torch.cosine_similarity(made, pictures).mean()) - told[kind]) < 0.01
    assert told["one sample"] > told["sample of another text"] + 0.1 and told["sample of another text"] > 0.4
    assert told["mean of 16 samples"] > max(told["one sample"], told["the text's vector"]) + 0.05
    assert told["linear map of the text"] > told["mean of 16 samples"] - 0.02  # a mean is all that a cosine asks for


def test_words_that_no_caption_has_are_found_by_meaning_and_not_by_spelling():
    words = MEASURED["words"]
    assert words["synonyms"]["within 1"] > 10 * words["synonyms by spelling, within 1"] > 10 * words["chance within 1"]
