"""Text to numbers and back: byte-pair encoding loses nothing, words say what they do not know."""

import gzip
import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidiff.data.emoji import emoji
from minidiff.data.shapes_scene import describe
from minidiff.data.shapes_words import COLOURS, SHAPES, say, shorten
from minidiff.data.tokenizer import (BYTES, END, PAD, SPECIAL, START, UNKNOWN, BytePairs, Words, batch,
                                     learn_byte_pairs, learn_words, merged, pieces, split)


@pytest.fixture(scope="module")
def captions():
    return sorted(set(emoji("train").captions))


@pytest.fixture(scope="module")
def byte_pairs(captions):
    return learn_byte_pairs(captions, 200)


@pytest.fixture(scope="module")
def words(captions):
    return learn_words(captions)


# --- byte pairs -----------------------------------------------------------------------------------------------------

@given(text=st.text(max_size=60) | st.text(alphabet="a bcd\n\té😀", max_size=60))
def test_any_text_comes_back_byte_by_byte(byte_pairs, text):
    assert byte_pairs.decode(byte_pairs.encode(text)) == text
    assert "".join(pieces(text)) == text


def test_captions_come_back_and_are_shorter_than_their_bytes(byte_pairs, captions):
    coded = [byte_pairs.encode(caption) for caption in captions]
    assert [byte_pairs.decode(tokens) for tokens in coded] == captions
    assert sum(map(len, coded)) < 0.5 * sum(len(caption.encode()) for caption in captions)
    assert max(map(max, coded)) < byte_pairs.size == SPECIAL + BYTES + 200


def test_each_merge_is_of_the_pair_that_was_most_frequent(captions):
    """The definition, slowly: all is counted anew before each merge."""
    learned = learn_byte_pairs(captions[:150], 40)
    for k, pair in enumerate(learned.merges):
        before, counts = BytePairs(learned.merges[:k]), Counter()
        for caption in captions[:150]:
            for piece in pieces(caption):
                tokens = before.encode(piece)
                counts.update(zip(tokens, tokens[1:]))
        assert pair == min(counts, key=lambda p: (-counts[p], p)), k


def test_a_textbook_example():
    """Sennrich et al. 2016, algorithm 1: low, lower, newest and widest, 5, 2, 6 and 3 times: e s, es t, l o, lo w."""
    texts = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    learned = learn_byte_pairs(texts, 4)
    spelt = [(learned.decode([a]), learned.decode([b])) for a, b in learned.merges]
    assert spelt == [("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w")]
    assert [learned.decode([token]) for token in learned.encode("lowest")] == ["low", "est"]


def test_what_was_learned_first_is_merged_first():
    ranks = {(1, 2): 10, (2, 3): 9}
    assert merged([1, 2, 3], ranks) == [1, 9] and merged([1, 2, 2, 3], ranks) == [10, 9]
    assert merged([5, 5, 5], {(5, 5): 6}) == [6, 5] and merged([], ranks) == []


def test_no_merge_reaches_across_a_space(byte_pairs):
    for token in range(SPECIAL + BYTES, byte_pairs.size):
        assert " " not in byte_pairs.decode([token])[1:]


def test_learning_ends_when_no_pair_stands_twice():
    assert learn_byte_pairs(["abc"], 10).merges == () and learn_byte_pairs([], 10).merges == ()
    assert len(learn_byte_pairs(["ab ab"], 10).merges) == 1


def test_special_tokens_have_no_text(byte_pairs):
    assert byte_pairs.decode([START, *byte_pairs.encode("red heart"), END, PAD, PAD]) == "red heart"
    assert byte_pairs.decode([SPECIAL + 0xFF]) == "\ufffd"


# --- words ----------------------------------------------------------------------------------------------------------

def test_words_of_captions_come_back(words, captions):
    for caption in captions:
        assert UNKNOWN not in words.encode(caption)
        assert split(words.decode(words.encode(caption))) == split(caption)


def test_the_words_of_the_shapes_are_few():
    some = describe(500, 0, "train")
    known = learn_words([say(d) for d in some] + [say(shorten(d, range(len(d.things)))) for d in some])
    plural = {f"{shape}es" if shape == "cross" else f"{shape}s" for shape in SHAPES}
    others = "a an two three small large left of above in front and ,".split()
    assert set(known.words) == {*COLOURS, *SHAPES, *plural, *others}


def test_unknown_words_are_named_with_the_nearest_known_ones(words):
    assert words.encode("purple hart") == [*words.encode("purple"), UNKNOWN]
    unknown = words.unknown("a PURPLE hart qqqqq heart")
    assert list(unknown) == ["hart", "qqqqq"] or list(unknown) == ["a", "hart", "qqqqq"]
    assert "heart" in unknown["hart"] and unknown["qqqqq"] == [] and all(len(near) <= 3 for near in unknown.values())


def test_frequent_words_come_first_and_rare_ones_may_be_left_out():
    texts = ["red heart", "red star", "blue heart", "red, red"]
    assert learn_words(texts).words == ("red", "heart", ",", "blue", "star")
    assert learn_words(texts, least=2).words == ("red", "heart")


def test_upper_case_and_space_do_not_matter(words):
    assert words.encode("  Red   HEART ") == words.encode("red heart")


# --- tensors --------------------------------------------------------------------------------------------------------

def test_a_batch_has_start_text_end_and_padding():
    tokenizer = Words(("red", "heart"))
    tokens, mask = batch(tokenizer, ["red heart", "", "blue heart heart"], 6)
    assert tokens.tolist() == [[START, 4, 5, END, PAD, PAD], [START, END, PAD, PAD, PAD, PAD],
                               [START, UNKNOWN, 5, 5, END, PAD]]
    assert tokens.dtype == torch.int64 and torch.equal(mask, tokens != PAD)


def test_a_text_that_is_too_long_is_refused(byte_pairs):
    for tokenizer, text, n in ((Words(("red",)), "red red red red red", 5), (byte_pairs, "\x00" * 7, 7)):
        with pytest.raises(ValueError, match=f"texts may have 4 tokens, got {n} in "):
            batch(tokenizer, [text], 6)


# --- a published tokenizer ------------------------------------------------------------------------------------------

def clip(folder):
    """CLIP's tokenizer by our `merged` and its published merges (Radford et al. 2021): a word's end is marked."""
    lines = gzip.decompress((folder / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]
    letters = [chr(b) for b in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges)]
    numbers = {token: k for k, token in enumerate(vocabulary)}
    ranks = {(numbers[a], numbers[b]): numbers[a + b] for a, b in merges}

    def encode(text):
        words = [[*word[:-1], f"{word[-1]}</w>"] for word in re.findall(r"[a-z]+|\d|[^\sa-z\d]+", text)]
        return [token for word in words for token in merged([numbers[letter] for letter in word], ranks)]
    return encode


def test_clip_s_merges_give_clip_s_tokens(captions):
    """Against another implementation; needs the packages clip-anytorch (for its file) and instant-clip-tokenizer."""
    oracle = pytest.importorskip("instant_clip_tokenizer").Tokenizer()
    if not (found := find_spec("clip")):
        pytest.skip("no package with CLIP's merges")
    encode = clip(Path(found.origin).parent)
    assert encode("a photo of a cat") == [320, 1125, 539, 320, 2368]  # as published
    for caption in [c for c in captions if c.isascii()]:
        assert encode(caption) == oracle.encode(caption), caption
