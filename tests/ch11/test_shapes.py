"""The scenes: a pure function of what was asked for; nothing held out in training; everything said can be seen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.data.errors import DataError
from minidiff.data.load import load
from minidiff.data.shapes import SHADE, shapes
from minidiff.data.shapes_draw import PALETTE, coverage
from minidiff.data.shapes_layout import HIDDEN, lay_out
from minidiff.data.shapes_scene import HELD_OUT, KINDS, describe, novel
from minidiff.data.shapes_words import COLOURS, RELATIONS, SHAPES, Description, Thing, say, understand

N = 400


@pytest.fixture(scope="module")
def scenes():
    return {split: shapes(N, 0, split) for split in ("train", "test")}


def each(scenes):
    """(split, Shapes, i) of every scene."""
    return [(split, some, i) for split, some in scenes.items() for i in range(N)]


def objects(some, i):
    """The objects of a scene: for each thing of its description a list of slots."""
    return [torch.nonzero(some.things[i] == k).flatten().tolist() for k in range(len(some.descriptions[i].things))]


@settings(max_examples=12)
@given(n=st.integers(1, 40), seed=st.integers(0, 3), split=st.sampled_from(("train", "test")))
def test_fewer_scenes_are_the_first_of_more(n, seed, split):
    more, fewer = shapes(40, seed, split), shapes(n, seed, split)
    for name in fewer.__dataclass_fields__:
        a, b = getattr(fewer, name), getattr(more, name)[:n]
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_seeds_and_splits_give_other_scenes(scenes):
    captions = [scenes["train"].captions[:50], shapes(50, 1).captions, scenes["test"].captions[:50]]
    assert all(a != b for i, a in enumerate(captions) for b in captions[:i])


def test_pictures_are_in_colour_on_white_and_masks_are_bool(scenes):
    some = scenes["train"]
    assert some.pictures.shape == (N, 3, 32, 32) and some.pictures.dtype == torch.float32
    assert some.pictures.max() == 1 and some.pictures.min() >= -1
    assert some.masks.shape == (N, 3, 32, 32) and some.masks.dtype == torch.bool
    assert some.centres.shape == (N, 3, 2) and some.things.shape == (N, 3)
    far = torch.nn.functional.max_pool2d(some.masks.any(1).float()[:, None], 5, 1, 2)[:, 0] == 0
    assert (some.pictures.permute(0, 2, 3, 1)[far] == 1).all()


def test_captions_say_the_descriptions_and_short_ones_the_same_things(scenes):
    for _, some, i in each(scenes):
        long, short = understand(some.captions[i]), understand(some.short[i])
        assert long == some.descriptions[i] and say(long) == some.captions[i]
        assert all(thing.size for thing in long.things) and not short.relations
        assert sorted((t.count, t.colour, t.shape) for t in long.things) == sorted(
            (t.count, t.colour, t.shape) for t in short.things)


def test_the_order_of_a_short_caption_tells_nothing_about_the_relation(scenes):
    """A net that learns from short captions must not read from them who is left of whom."""
    pairs = [(d, understand(short)) for some in scenes.values() for d, short in zip(some.descriptions, some.short)
             if len(d.things) == 2]
    first = [d.things[0].shape == s.things[0].shape and d.things[0].colour == s.things[0].colour for d, s in pairs]
    assert len(pairs) > 350 and np.mean(first) == pytest.approx(0.5, abs=4 * 0.5 / len(pairs) ** 0.5)


def test_no_training_scene_has_a_held_out_combination_and_every_test_scene_has_one(scenes):
    assert set(scenes["train"].novel) == {()}
    assert all(scenes["test"].novel)
    described = {split: describe(2000, 0, split) for split in ("train", "test")}
    assert described["test"][:N] == list(scenes["test"].descriptions)
    seen = {(t.colour, t.shape) for d in described["train"] for t in d.things}
    assert seen == {(c, s) for c in COLOURS for s in SHAPES} - HELD_OUT
    triples = [{(d.things[0].shape, r, t.shape) for d in described[split]
                for r, t in zip(d.relations, d.things[1:])} for split in ("train", "test")]
    new = triples[1] - triples[0]
    relations = {(d.things[0].shape, d.relations[0], d.things[1].shape) for d in described["test"]
                 if novel(d) == ("relation",) and len(d.things) == 2}
    assert relations <= new and len(relations) == 18


def test_six_colours_and_shapes_and_eighteen_relations_are_held_out():
    def related(a, relation, b):
        return Description((Thing(1, None, "black", a), Thing(1, None, "black", b)), (relation,))
    held = [(a, r, b) for a in SHAPES for r in RELATIONS for b in SHAPES if novel(related(a, r, b)) == ("relation",)]
    assert len(held) == 18
    assert all(sum(a == s for a, _, _ in held) == sum(b == s for *_, b in held) == 3 for s in SHAPES)
    assert sorted(shape for _, shape in HELD_OUT) == sorted(SHAPES) and len({colour for colour, _ in HELD_OUT}) == 6


def test_every_word_of_the_vocabulary_is_learned_in_training(scenes):
    words = {word for caption in scenes["train"].captions for word in caption.split()}
    assert {*COLOURS, *SHAPES, "two", "three", "small", "large", "left", "above", "front", "crosses"} <= words


def test_kinds_of_scenes_are_drawn_as_often_as_they_should_be():
    """Of the training split; a scene with more parts meets a held-out combination more often, and is drawn anew."""
    found = [("alike" if d.things[0].count > 1 else "one") if len(d.things) == 1 else "three" if len(d.things) == 3
             else "pair" if sum(t.count for t in d.things) == 2 else "group" for d in describe(2000, 5, "train")]
    for kind, share in KINDS.items():
        assert found.count(kind) / 2000 == pytest.approx(share, abs=0.09), kind


def test_each_object_is_seen_in_its_colour_around_its_centre(scenes):
    for _, some, i in each(scenes):
        for k, slots in enumerate(objects(some, i)):
            thing = some.descriptions[i].things[k]
            assert len(slots) == thing.count
            for slot in slots:
                mask = some.masks[i, slot]
                assert mask.sum() >= 15
                colour = torch.from_numpy(PALETTE[COLOURS.index(thing.colour)])
                off = (some.pictures[i][:, mask] - colour[:, None]).abs().amax(dim=0)
                assert off.min() < SHADE + 0.01 and off.median() < 0.5  # pure within, mixed with others at its edge
        assert not some.masks[i][some.things[i] < 0].any() and (some.masks[i].sum(0) <= 1).all()


def boxes(mask):
    rows, columns = (torch.nonzero(mask.any(axis)).flatten() for axis in (1, 0))
    return columns[0], columns[-1], rows[0], rows[-1]


def test_every_relation_that_is_said_is_seen_and_objects_are_apart(scenes):
    touching = torch.nn.functional.max_pool2d
    for _, some, i in each(scenes):
        slots, relations = objects(some, i), some.descriptions[i].relations
        front = {(0, s) for k, r in enumerate(relations, 1) if r == "in front of" for s in slots[k]}
        for k, relation in enumerate(relations, start=1):
            for a, b in [(a, b) for a in slots[0] for b in slots[k]]:
                (dx, dy), (ax0, ax1, ay0, ay1), (bx0, bx1, by0, by1) = (
                    (some.centres[i, b] - some.centres[i, a]).tolist(), *(boxes(some.masks[i, s]) for s in (a, b)))
                if relation == "left of":
                    assert ax1 + 1 < bx0 and abs(dy) <= 0.61 * dx
                if relation == "above":
                    assert ay1 + 1 < by0 and abs(dx) <= 0.61 * dy
        for a, b in ((0, 1), (0, 2), (1, 2)):
            if (some.things[i, [a, b]] >= 0).all():
                near = touching(some.masks[i, a][None].float(), 3, 1, 1)[0] > 0
                assert (near & some.masks[i, b]).any() == ((a, b) in front), some.captions[i]


def test_what_is_behind_keeps_at_least_two_thirds_of_itself():
    descriptions = [d for d in describe(400, 0, "train") if d.relations == ("in front of",)]
    layout = lay_out(descriptions, 0, "train")
    front, back = (coverage(layout.shapes[:, k], layout.centres[:, k], layout.radii[:, k]) for k in (0, 1))
    hidden = 1 - (back * (1 - front)).sum((1, 2)) / back.sum((1, 2))
    assert len(descriptions) > 40 and HIDDEN[0] <= hidden.min() < 0.2 and 0.3 < hidden.max() <= HIDDEN[1] <= 0.36


def test_an_object_never_touches_the_border_more_than_its_edge_does(scenes):
    for _, some, i in each(scenes):
        assert some.centres[i][some.things[i] >= 0].min() > 3.5
        assert some.centres[i][some.things[i] >= 0].max() < 28.5


def test_load_gives_pictures_and_the_number_of_objects():
    images, counts = load("shapes", "test", n=30)
    some = shapes(30, 0, "test")
    assert torch.equal(images, some.pictures)
    assert counts.tolist() == [sum(t.count for t in d.things) for d in some.descriptions]


def test_the_drawing_is_final():
    """The ink of the first scenes, in whole black pixels: what is trained on them rests on it."""
    some = shapes(4)
    assert some.captions == ("two small red squares", "a large yellow heart above a large green square",
                             "a large purple circle", "a large yellow cross in front of a large black triangle")
    ink = [57.14, 86.69, 47.14, 78.86]
    assert ((1 - some.pictures) / 2).mean(1).sum((1, 2)).tolist() == pytest.approx(ink, abs=0.02)


@pytest.mark.parametrize("arguments, reason", [
    ({"n": 0}, "shapes need n >= 1, got n = 0"), ({"n": 5, "split": "valid"}, "split must be .* got 'valid'")])
def test_bad_arguments_are_refused(arguments, reason):
    with pytest.raises(DataError, match=reason):
        shapes(**arguments)
