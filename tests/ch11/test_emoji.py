"""The emoji: whole, named, licensed; what is held out is in training in no style that looks like it."""

import shutil
from pathlib import Path

import matplotlib.image
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidiff.data import emoji as module
from minidiff.data.emoji import FOLDER, LICENCES, STYLES, emoji, near_duplicates, openmoji
from minidiff.data.errors import DataError
from minidiff.data.load import available, load

ROOT = Path(__file__).resolve().parents[2]


def test_there_are_4874_pictures_and_what_is_known_of_them():
    every = emoji()
    assert every.pictures.shape == (4874, 3, 32, 32) and every.pictures.dtype == torch.float32
    assert (every.pictures.min(), every.pictures.max()) == (-1, 1)
    levels = (every.pictures + 1) * 127.5
    assert (levels - levels.round()).abs().max() < 1e-4
    assert len({*zip(every.captions, every.styles)}) == 4874 and len(set(every.captions)) == 1644
    assert len(set(every.groups)) == 8 and all(every.tags) and all(c == c.lower() for c in every.captions)


def test_each_picture_lies_where_the_sheet_has_it():
    sheet = torch.from_numpy(matplotlib.image.imread(FOLDER / "emoji-32.png"))
    for i in (0, 63, 64, 4873):
        row, column = divmod(i, 64)
        cell = sheet[32 * row:32 * row + 32, 32 * column:32 * column + 32].permute(2, 0, 1)
        assert torch.allclose(emoji().pictures[i], 2 * cell - 1, atol=1e-6)


def test_pictures_are_what_their_captions_say():
    colours = {"red": (1, -1, -1), "yellow": (1, 1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1)}
    for style in STYLES[:3]:
        some = emoji(style=style)
        for colour, signs in colours.items():
            middle = some.pictures[some.captions.index(f"{colour} heart"), :, 14:18, 12:20].mean((1, 2))
            assert (middle * torch.tensor(signs)).sum() > 0.6, (style, colour)


def test_corners_are_white():
    corners = emoji().pictures[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners > 0.9).float().mean() > 0.85


def test_splits_and_styles_choose():
    train, test = emoji("train"), emoji("test")
    assert (len(train.captions), len(test.captions)) == (4716, 154)
    assert set(train.splits) == {"train"} and set(test.splits) == {"test"}
    noto = emoji("test", "noto")
    assert set(noto.styles) == {"noto"} and set(noto.captions) < set(test.captions)
    rows = [i for i, style in enumerate(test.styles) if style == "noto"]
    assert torch.equal(noto.pictures, test.pictures[rows]) and noto.tags == test.take(rows).tags


def test_a_held_out_caption_is_in_training_in_other_styles_alone():
    train, test = emoji("train"), emoji("test")
    seen = set(zip(train.captions, train.styles))
    for caption, style in zip(test.captions, test.styles):
        assert (caption, style) not in seen
        assert sum((caption, other) in seen for other in STYLES[:3] if other != style) >= 1


def test_no_held_out_picture_has_a_near_duplicate():
    test, every = emoji("test"), emoji()
    distance = torch.cdist(test.pictures.flatten(1).double(), every.pictures.flatten(1).double()) / 3072**0.5
    assert (distance < 0.1).sum(dim=1).tolist() == [1] * 154  # itself
    left = [(c, s) for c, s, split in zip(every.captions, every.styles, every.splits) if split == "left out"]
    assert len(left) == 4 and ("man juggling", "fluent") in left


def test_near_duplicates_count_what_differs_by_less_than_rms():
    base = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    others = torch.cat([base, base + 0.09, base - 0.099, base + 0.101, -base])
    assert near_duplicates(base, others).tolist() == [3]
    assert near_duplicates(base, others, rms=0.05).tolist() == [1]
    assert near_duplicates(others, base).tolist() == [1, 1, 1, 0, 0]


def test_openmoji_is_a_style_of_its_own():
    train, test = openmoji("train"), openmoji("test")
    assert openmoji().pictures.shape == (400, 3, 32, 32) and len(train.captions) == 360 and len(test.captions) >= 35
    assert {*train.styles, *test.styles} == {"openmoji"} and not set(train.captions) & set(test.captions)
    assert "openmoji" not in emoji().styles


@pytest.mark.parametrize("name, split, n", [
    ("emoji", "train", 4716), ("emoji", "test", 154), ("openmoji", "train", 360)])
def test_load_gives_pictures_and_the_numbers_of_their_styles(name, split, n):
    images, labels = load(name, split)
    some = emoji(split) if name == "emoji" else openmoji(split)
    assert available(name) and torch.equal(images, some.pictures) and labels.dtype == torch.int64
    assert [STYLES[k] for k in labels] == list(some.styles) and len(images) == n
    assert torch.equal(load(name, split, n=5)[0], images[:5])


@pytest.mark.parametrize("call, reason", [
    (lambda: emoji("valid"), "split must be .* got 'valid'"),
    (lambda: openmoji("valid"), "split must be .* got 'valid'"),
    (lambda: emoji(style="openmoji"), "style must be one of noto, twemoji, fluent, got 'openmoji'"),
    (lambda: load("emoji", "test", n=155), "emoji has 154 test images, asked for were 155"),
    (lambda: load("emoji", "test", size=16), "'emoji' cannot be loaded with size = 16")])
def test_bad_arguments_are_one_clear_sentence(call, reason):
    with pytest.raises(DataError, match=reason):
        call()


# --- damage ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the smaller set that may be damaged."""
    for file in ("openmoji-32.png", "openmoji-32.json"):
        shutil.copy(FOLDER / file, tmp_path)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    module._all.cache_clear()
    yield tmp_path
    module._all.cache_clear()


def test_an_undamaged_copy_is_read(copy):
    assert len(openmoji().captions) == 400


@pytest.mark.parametrize("file", ["openmoji-32.png", "openmoji-32.json"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 0.999), change=st.sampled_from(("flip", "cut", "zeros", "empty", "gone")))
def test_damage_is_named_and_never_used(copy, file, where, change):
    data = bytearray((FOLDER_OF_THE_PACKAGE / file).read_bytes())
    i = int(where * len(data))
    if change == "flip":
        data[i] ^= 1
    elif change == "zeros":
        data[i:i + 40] = bytes(len(data[i:i + 40]))
    elif change != "gone":
        del data[0 if change == "empty" else i:]
    (copy / file).unlink(missing_ok=True)
    if change != "gone":
        (copy / file).write_bytes(data)
    module._all.cache_clear()
    with pytest.raises(DataError, match=rf"{file} (is damaged|cannot be read).*take the file anew"):
        openmoji()
    shutil.copy(FOLDER_OF_THE_PACKAGE / file, copy)


FOLDER_OF_THE_PACKAGE = FOLDER


# --- licences -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("file", [FOLDER / "LICENCES.md", ROOT / "datasets" / "README.md"])
def test_each_style_s_licence_is_named(file):
    text = file.read_text(encoding="utf-8")
    names = "Noto, Apache, Twemoji, CC BY 4.0, Fluent, MIT, OpenMoji, CC BY-SA 4.0, CLDR".split(", ")
    assert [name for name in names if name not in text] == []


def test_what_the_licences_ask_for_is_beside_the_pictures():
    assert set(LICENCES) == set(STYLES)
    texts = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("LICEN*")}
    assert "Apache License" in texts["LICENSE-Apache-2.0.txt"]
    assert "UNICODE LICENSE V3" in texts["LICENSE-Unicode-3.0.txt"]
    assert "Permission is hereby granted, free of charge" in texts["LICENCES.md"]
    rows = {style: sum(s == style for s in (*emoji().styles, *openmoji().styles)) for style in STYLES}
    lines = texts["LICENCES.md"].splitlines()
    for style, n in rows.items():
        assert any(line.startswith(f"| `{style}`") and f"{n:,}" in line for line in lines), style
