"""The judge sees pixels alone: it reads what was drawn, refuses what was not, and bears noise and blur."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy import ndimage

from minidiff.data.errors import DataError
from minidiff.data.shapes import shapes
from minidiff.data.shapes_draw import PALETTE, coverage, paint
from minidiff.data.shapes_words import COLOURS, SHAPES, understand
from minidiff.evaluation.shapes_judge import Verdict, judge, obeys, rates, relation
from minidiff.evaluation.shapes_read import Reading, Seen, read

RECORD = Path(__file__).resolve().parents[2] / "benchmarks" / "shapes_judge.json"


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scenes():
    return shapes(150, 3, "test")


def drawn(*objects):
    """A picture of objects (colour, shape, x, y, r), the last one on top: (1, 3, 32, 32)."""
    colours, names, x, y, r = zip(*objects)
    covered = coverage([SHAPES.index(name) for name in names], list(zip(x, y)), list(r))
    return torch.from_numpy(paint(covered[None], PALETTE[None, [COLOURS.index(c) for c in colours]])[0])


def names(reading):
    return {(seen.size, seen.colour, seen.shape) for seen in reading.objects}


# --- what was measured ----------------------------------------------------------------------------------------------

def test_the_judge_was_measured_on_thousands_of_pictures(record):
    assert record["pictures"] >= 5000
    for condition, least in (("clean", 0.995), ("noise 0.1", 0.98), ("blur 0.5", 0.98)):
        assert min(record["read"][condition].values()) >= least, condition


def test_wrong_captions_were_refused(record):
    refused = record["wrong captions refused, clean"]
    assert set(refused) == {"colour", "size", "shape", "number", "relation", "things exchanged", "colours exchanged"}
    assert all(of["captions"] >= 500 and of["refused"] >= 0.995 for of in refused.values())


# --- reading --------------------------------------------------------------------------------------------------------

def test_scenes_never_trained_on_are_read_as_they_were_drawn(scenes):
    for i, reading in enumerate(read(scenes.pictures)):
        things, centres = scenes.descriptions[i].things, scenes.centres[i][scenes.things[i] >= 0]
        assert names(reading) == {(t.size, t.colour, t.shape) for t in things}
        found = torch.tensor([(seen.x, seen.y) for seen in reading.objects])
        assert len(found) == len(centres) and torch.cdist(found, centres).amin(dim=0).max() < 1


@pytest.mark.parametrize("blur, noise", [(0, 0.1), (0.5, 0), (0.5, 0.1)])
def test_noise_and_blur_do_not_change_the_verdict(scenes, blur, noise):
    pictures = torch.from_numpy(ndimage.gaussian_filter(scenes.pictures.numpy(), (0, 0, blur, blur)))
    pictures = pictures + noise * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    assert rates(judge(pictures, scenes.captions))["whole"] >= 0.98


def test_an_order_of_two_is_read_from_the_pixels():
    below, above = ("red", "square", 13, 16, 5.6), ("blue", "circle", 20, 16, 5.6)
    for objects in ((below, above), (above, below)):
        (reading,) = read(drawn(*objects))
        ((front, back),) = reading.in_front
        assert (reading.objects[front].colour, reading.objects[back].colour) == (objects[1][0], objects[0][0])
        assert relation(reading, front, back) == "in front of" and relation(reading, back, front) == "behind"


def test_neighbours_that_do_not_overlap_are_not_in_front_of_each_other():
    (reading,) = read(drawn(("red", "square", 10, 16, 5.6), ("blue", "square", 20.2, 16, 5.6)))
    assert reading.in_front == frozenset() and len(reading.objects) == 2


def test_each_part_of_a_picture_that_is_no_object_of_the_grammar_is_unclear():
    picture = drawn(("red", "circle", 8, 8, 5.5))
    picture[:, :, 20:27, 20:27] = torch.tensor([0.2, 0.2, 0.2])[None, :, None, None]  # a grey square
    reading, = read(picture)
    assert [(seen.colour, seen.shape) for seen in reading.objects] == [("red", "circle"), (None, None)]
    picture = drawn(("red", "circle", 8, 8, 5.5))
    picture[:, :, 16:30, 18:21] = torch.from_numpy(PALETTE[COLOURS.index("blue")])[None, :, None, None]  # a bar
    reading, = read(picture)
    found = {(seen.colour, seen.shape) for seen in reading.objects}
    assert {("red", "circle"), ("blue", None)} <= found <= {("red", "circle"), ("blue", None), (None, None)}


def test_an_empty_picture_has_no_objects_and_noise_alone_obeys_nothing():
    assert read(torch.ones(1, 3, 32, 32)) == [Reading((), frozenset())]
    noise = torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert rates(judge(noise, ["a red circle"] * 20))["whole"] == 0


def test_a_picture_is_read_alike_alone_and_among_others(scenes):
    together = read(scenes.pictures[:24])
    assert [read(picture[None])[0] for picture in scenes.pictures[:24]] == together


# --- judging --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("caption, verdict", [
    ("a large red square left of a small blue star", Verdict(True, True, True, True)),
    ("a red square and a blue star", Verdict(True, True, True, True)),
    ("a blue star and a red square", Verdict(True, True, True, True)),
    ("a small red square left of a small blue star", Verdict(True, True, False, True)),
    ("a large blue square left of a small red star", Verdict(True, False, True, True)),
    ("a large red star left of a small blue square", Verdict(False, True, True, True)),
    ("a small blue star left of a large red square", Verdict(True, True, True, False)),
    ("a large red square above a small blue star", Verdict(True, True, True, False)),
    ("a large red square in front of a small blue star", Verdict(True, True, True, False)),
    ("a red square", Verdict(False, False, False, False)),
    ("two red squares and a blue star", Verdict(False, False, False, False))])
def test_each_part_of_a_caption_is_judged_for_itself(caption, verdict):
    assert judge(drawn(("red", "square", 9, 14, 5.6), ("blue", "star", 23, 17, 3.9)), [caption]) == [verdict]


def test_things_of_several_objects_stand_in_their_relation_one_and_all():
    two = [("green", "heart", 8, 8, 5.5), ("green", "heart", 23, 9, 5.5)]
    for y, obeyed in ((24, True), (9.5, False)):
        picture = drawn(*two, ("black", "cross", 15.5, y, 3.8))
        assert judge(picture, ["two large green hearts above a small black cross"])[0].relations == obeyed


def at(x, y, shape="circle"):
    return Seen("red", shape, "small", x, y)


@pytest.mark.parametrize("x, y, name", [(26, 17, "left of"), (5, 14, "right of"), (17, 27, "above"), (14, 5, "below")])
def test_the_longer_way_between_two_centres_names_their_relation(x, y, name):
    assert relation(Reading((at(16, 16), at(x, y)), frozenset()), 0, 1) == name


def test_objects_are_given_to_things_so_that_most_agrees():
    description = understand("a small red circle left of a small red circle and above a small red circle")
    corner = Reading((at(24, 8), at(8, 24), at(8, 8)), frozenset())  # the last one is both left of one and above one
    assert obeys(corner, description) == Verdict(True, True, True, True)
    column = Reading((at(8, 8), at(8, 16), at(8, 24)), frozenset())
    assert obeys(column, description) == Verdict(True, True, True, False)
    assert not obeys(replace(corner, objects=(*corner.objects[:2], at(8, 8, "star"))), description).objects


def test_rates_are_means_of_verdicts():
    found = rates([Verdict(True, True, True, True), Verdict(True, False, True, True)])
    assert found == {"objects": 1, "colours": 0.5, "sizes": 1, "relations": 1, "whole": 0.5}


def test_what_cannot_be_judged_is_refused(scenes):
    with pytest.raises(ValueError, match="captions must be as many as the 2 pictures, got 1"):
        judge(scenes.pictures[:2], ["a red circle"])
    with pytest.raises(DataError, match="expected a colour .* at 'pink circle'"):
        judge(scenes.pictures[:1], ["a pink circle"])
    with pytest.raises(ValueError, match=r"must have the shape \(N, 3, 32, 32\), got \(1, 1, 28, 28\)"):
        read(torch.zeros(1, 1, 28, 28))
