"""The grammar of the shapes: it says what is meant, understands what it says, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidiff.data.errors import DataError
from minidiff.data.shapes_words import COLOURS, RELATIONS, SHAPES, SIZES, Description, Thing, say, shorten, understand

things = st.builds(Thing, st.integers(1, 3), st.sampled_from((None, *SIZES)), st.sampled_from(COLOURS),
                   st.sampled_from(SHAPES))


@st.composite
def descriptions(draw):
    some = draw(st.lists(things, min_size=1, max_size=3).filter(lambda some: sum(thing.count for thing in some) <= 3))
    related = len(some) > 1 and draw(st.booleans())
    return Description(tuple(some), tuple(draw(st.sampled_from(RELATIONS)) for _ in some[1:]) if related else ())


@given(descriptions())
def test_what_is_said_is_understood(description):
    assert understand(say(description)) == description


@pytest.mark.parametrize("description, caption", [
    (Description((Thing(1, None, "orange", "star"),)), "an orange star"),
    (Description((Thing(1, "large", "orange", "star"),)), "a large orange star"),
    (Description((Thing(3, "small", "red", "cross"),)), "three small red crosses"),
    (Description((Thing(2, None, "red", "circle"), Thing(1, None, "blue", "heart"))),
     "two red circles and a blue heart"),
    (Description((Thing(1, "small", "red", "circle"), Thing(1, "large", "blue", "heart")), ("in front of",)),
     "a small red circle in front of a large blue heart"),
    (Description((Thing(1, None, "red", "circle"), Thing(1, None, "blue", "heart"), Thing(1, None, "black", "star")),
                 ("left of", "above")), "a red circle left of a blue heart and above a black star"),
    (Description((Thing(1, None, "red", "circle"), Thing(1, None, "blue", "heart"), Thing(1, None, "black", "star"))),
     "a red circle, a blue heart and a black star")])
def test_captions_are_english(description, caption):
    assert say(description) == caption


@pytest.mark.parametrize("text, reason", [
    ("", r"expected a number \(a, an, two, three\) at 'its end'"),
    ("red circle", "expected a number .* at 'red circle'"),
    ("a pink circle", "expected a colour .* at 'pink circle'"),
    ("a red dog", "expected a shape .* at 'dog'"),
    ("two red circle", "expected a shape .* at 'circle'"),
    ("a red circles", "expected a shape .* at 'circles'"),
    ("a orange circle", "did you mean 'an orange circle'"),
    ("a red circle  and a blue heart", "did you mean"),
    ("a red circle below a blue heart", "'below a blue heart' does not belong to it"),
    ("a red circle left of a blue heart and", "expected one of left of, above, in front of at 'its end'"),
    ("a red circle left of", "expected a number .* at 'its end'"),
    ("a red circle and", "expected a number .* at 'its end'"),
    ("a red circle, a blue heart, a black star", "did you mean 'a red circle, a blue heart and a black star'"),
    ("three red circles above two blue hearts", "asks for more than 3 objects")])
def test_what_is_not_a_caption_is_named(text, reason):
    with pytest.raises(DataError, match=reason):
        understand(text)


@given(st.text(alphabet="aotwenrdcilu ,", max_size=40))
def test_any_other_text_is_refused_with_one_sentence(text):
    with pytest.raises(DataError, match="^[^\n]*$"):
        understand(text)


@given(descriptions(), st.randoms())
def test_a_short_caption_names_the_same_things_and_nothing_more(description, random):
    order = list(range(len(description.things)))
    random.shuffle(order)
    short = shorten(description, order)
    assert short.relations == () and all(thing.size is None for thing in short.things)
    assert [(t.count, t.colour, t.shape) for t in short.things] == [
        (t.count, t.colour, t.shape) for t in (description.things[k] for k in order)]
