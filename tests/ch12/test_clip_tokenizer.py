"""CLIP's tokenizer: its words, its places, and the tokens that two published implementations give."""

import gzip
import unicodedata
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minidiff.data.clip_tokenizer import ClipBytePairs, read_clip_merges, words
from minidiff.data.emoji import emoji
from minidiff.data.errors import DataError

FEW = ClipBytePairs((("c", "a"), ("ca", "t</w>"), ("r", "e"), ("re", "d</w>")))


def test_a_word_ends_with_a_mark_and_merges_in_the_order_of_learning():
    numbers = FEW.encode("Red CAT, cats")
    assert [FEW.decode([n]) for n in numbers] == ["red", "cat", ",", "ca", "t", "s"]
    assert numbers[:2] == [515, 513] and FEW.decode(numbers) == "red cat , cats"
    assert FEW.size == 518 and (FEW.start, FEW.end) == (516, 517)


def test_a_batch_has_start_text_end_and_end_again():
    tokens = FEW.batch(["red", "red cat", ""], length=5)
    assert tokens.tolist() == [[516, 515, 517, 517, 517], [516, 515, 513, 517, 517], [516, 517, 517, 517, 517]]
    assert FEW.batch(["cat"]).shape == (1, 77) and len(FEW.batch(["cat " * 75])) == 1
    with pytest.raises(ValueError, match="75 tokens, got 76 in 'cat cat"):
        FEW.batch(["cat " * 76])


@pytest.mark.parametrize("text, expected", [
    ("Don't stop", ["don", "'t", "stop"]), ("it's 2024!!", ["it", "'s", "2", "0", "2", "4", "!!"]),
    ("!'s", ["!'", "s"]), ("a_b-c", ["a", "_", "b", "-", "c"]), ("½ Ⅷ x²", ["½", "ⅷ", "x", "²"]),
    ("  two\n\tlines ", ["two", "lines"]), ("e\u0301tude", ["\xe9tude"]), ("", [])])
def test_words(text, expected):
    assert words(text) == expected


@given(text=st.text(max_size=40))
def test_any_text_is_cut_into_words_that_hold_all_of_it_but_white_space(text):
    small = "".join(c.lower() for c in unicodedata.normalize("NFC", text))
    assert "".join(words(text)) == "".join(c for c in small if not c.isspace())
    assert "".join(FEW.decode(FEW.encode(text)).split()) == "".join(words(text))


@pytest.mark.parametrize("content, expected", [
    (b"", "it is empty"), (b"#version: 0.2\n", "it is empty"), (b"#version: 0.2\na b c\n", "merge 1 is 'a b c'"),
    (b"a b\nx yz\n", "merge 2 is 'x yz'"), (b"\xff\xfe\x00", "cannot be read")])
def test_a_file_that_holds_no_merges_is_refused(content, expected, tmp_path):
    (tmp_path / "merges.txt").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_clip_merges(tmp_path / "merges.txt")


def test_files_that_are_not_there_or_broken_are_refused(tmp_path):
    (tmp_path / "merges.gz").write_bytes(gzip.compress(b"a b\n")[:-9])
    for name in ("none.txt", "merges.gz"):
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_clip_merges(tmp_path / name)


# --- CLIP's own merges ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def published():
    """The tokenizer of the file that comes with the package clip-anytorch."""
    if not (found := find_spec("clip")):
        pytest.skip("no package with CLIP's merges")
    return read_clip_merges(Path(found.origin).parent / "bpe_simple_vocab_16e6.txt.gz")


def test_clip_s_merges_make_clip_s_tokens(published):
    assert published.size == 49_408 and (published.start, published.end) == (49_406, 49_407)
    assert published.batch(["a photo of a cat"])[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 49407]


def test_captions_have_the_tokens_of_another_implementation(published):
    oracle = pytest.importorskip("instant_clip_tokenizer").Tokenizer()
    for caption in {*emoji("train").captions, "It's 2 o'clock -- isn't it?", "naïve café, 東京 🎉"}:
        assert published.encode(caption) == oracle.encode(caption), caption


@pytest.fixture(scope="module")
def theirs(published):
    transformers = pytest.importorskip("transformers")
    vocabulary = {token: n for n, token in enumerate([*published.tokens, "<|startoftext|>", "<|endoftext|>"])}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=list(published.merges))


@given(text=st.text(max_size=30) | st.text(alphabet="aBc'sS dé1²½!?\n-_", max_size=30))
def test_any_text_has_the_tokens_of_transformers(published, theirs, text):
    assume(not any(unicodedata.category(c) == "Cn" or c in "\x1c\x1d\x1e\x1f" for c in text))  # as Unicode has grown
    expected = theirs(text, padding="max_length", max_length=77, truncation=True)["input_ids"]
    if len(published.encode(text)) <= 75:
        assert published.batch([text])[0].tolist() == expected
