"""A folder of one's own pictures: every kind of file, its classes, and a clear line for what cannot be read."""

import numpy as np
import pytest
import torch
from PIL import Image

from minidiff.data.errors import DataError
from minidiff.data.folder import read_folder


@pytest.fixture
def folder(tmp_path):
    """Two classes: a red and a blue picture, wider than high, with a green and a white edge that the crop cuts off."""
    for name, colour, edge in (("b cats/1.png", (0, 0, 255), "white"), ("a dogs/deep/2.JPG", (255, 0, 0), "green")):
        picture = Image.new("RGB", (60, 20), edge)
        picture.paste(Image.new("RGB", (36, 20), colour), (12, 0))
        (tmp_path / name).parent.mkdir(parents=True)
        picture.save(tmp_path / name, quality=100, subsampling=0)
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    (tmp_path / "b cats" / "notes.txt").write_text("no picture either")
    return tmp_path


def test_subfolders_are_classes_in_sorted_order_and_the_middle_is_kept(folder):
    images, labels, classes = read_folder(folder, (3, 8, 8))
    assert images.shape == (2, 3, 8, 8) and images.dtype == torch.float32 and labels.dtype == torch.int64
    assert classes == ["a dogs", "b cats"] and labels.tolist() == [0, 1]
    for image, colour in zip(images, ((1, -1, -1), (-1, -1, 1)), strict=True):
        expected = torch.tensor(colour, dtype=torch.float32)[:, None, None].expand(3, 8, 8)
        torch.testing.assert_close(image, expected, atol=0.05, rtol=0)


def test_grey_is_the_luma_of_a_colour_and_no_subfolder_is_one_class(folder):
    images, labels, classes = read_folder(folder / "b cats", (1, 4, 6))
    assert images.shape == (1, 1, 4, 6) and classes == ["b cats"] and labels.tolist() == [0]
    torch.testing.assert_close(images[0, 0], torch.full((4, 6), 29 / 127.5 - 1), atol=0.01, rtol=0)


def test_black_is_minus_1_and_white_is_1_in_every_kind_of_file(tmp_path):
    half = np.zeros((4, 8), np.uint8)
    half[:, 4:] = 255
    kinds = {name: Image.fromarray(half).convert(name) for name in ("L", "1", "P", "RGB")}
    kinds |= {"I;16": Image.fromarray(half.astype(np.uint16) * 257),
             "LA": Image.merge("LA", [Image.new("L", (8, 4), 0), Image.fromarray(255 - half)]),
             "RGBA": Image.merge("RGBA", [Image.new("L", (8, 4), 0)] * 3 + [Image.fromarray(255 - half)])}
    for name, picture in kinds.items():
        picture.save(tmp_path / f"{name.replace(';', '')}.png")
    images, _, _ = read_folder(tmp_path, (1, 4, 8))
    expected = torch.from_numpy(half).float() / 127.5 - 1
    assert all(torch.equal(image[0], expected) for image in images) and len(images) == len(kinds)


def test_a_picture_that_a_camera_turned_is_upright(tmp_path):
    picture = Image.new("L", (8, 8), 0)
    picture.paste(255, (0, 0, 8, 4))  # white above
    turned, exif = picture.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise when it is shown
    turned.save(tmp_path / "a.jpg", exif=exif, quality=100)
    images, _, _ = read_folder(tmp_path, (1, 8, 8))
    assert images[0, 0, :3].min() > 0.8 and images[0, 0, 5:].max() < -0.8


def damaged(folder):
    file = folder / "b cats" / "1.png"
    file.write_bytes(file.read_bytes()[:60])


@pytest.mark.parametrize("change, reason", [
    (damaged, r"1\.png cannot be read as a picture"),
    (lambda folder: (folder / "b cats" / "3.png").write_text("text"), r"3\.png cannot be read as a picture"),
    (lambda folder: (folder / "b cats" / "1.png").unlink(), "b cats holds no PNG or JPEG files, yet a subfolder is"),
    (lambda folder: Image.new("L", (2, 2)).save(folder / "top.png"), "beside subfolders.*put top.png into"),
])
def test_what_cannot_be_read_is_named(folder, change, reason):
    change(folder)
    with pytest.raises(DataError, match=reason):
        read_folder(folder, (3, 8, 8))


def test_an_empty_folder_a_missing_one_and_other_channels_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no PNG or JPEG files$"):
        read_folder(tmp_path, (1, 8, 8))
    with pytest.raises(DataError, match="none cannot be read: No such file"):
        read_folder(tmp_path / "none", (1, 8, 8))
    with pytest.raises(DataError, match="grey .1 channel. or in colour .3., asked for were 4"):
        read_folder(tmp_path, (4, 8, 8))
