"""A folder of one's own pictures as a data set: PNG or JPEG files, whose subfolders are classes."""

from pathlib import Path

import numpy as np
import torch

from minidiff.data.errors import DataError

SUFFIXES = {".png", ".jpg", ".jpeg"}


def read_folder(folder, shape):
    """Read all pictures of a folder, cropped and scaled to `shape` = (C, H, W), grey for C = 1 and colour for C = 3.

    Each is cut around its centre to the proportions of H x W. Subfolders, in sorted order, are classes 0, 1, ...; a
    folder without any has one class. Returns images (N, C, H, W) float32 in [-1, 1], labels (N,) int64, and the names
    of the classes. Raises DataError for another number of channels, a folder without pictures, and a file that is none.
    """
    folder, (channels, height, width) = Path(folder), shape
    if channels not in (1, 3):
        raise DataError(f"pictures of a folder are grey (1 channel) or in colour (3), asked for were {channels}")
    found = classes_of(folder)
    files = [(file, label) for label, files in enumerate(found.values()) for file in files]
    images = np.stack([read_picture(file, channels, height, width) for file, _ in files])
    labels = torch.tensor([label for _, label in files])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1, labels, list(found)


def classes_of(folder):
    """{class: its files}, both sorted: the subfolders, or the folder itself. Raises DataError when it has no pictures.

    Hidden files and folders are left out, and so is every file with another ending than .png, .jpg or .jpeg.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    own = [entry for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    inside = {entry.name: sorted(file for file in entry.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
                                 and not file.name.startswith(".")) for entry in entries if entry.is_dir()}
    if own and any(inside.values()):
        raise DataError(f"{folder} has pictures beside subfolders with pictures: a subfolder is a class, so put "
                        f"{own[0].name} into one")
    if own:
        return {folder.name: own}
    for name, files in inside.items():
        if not files:
            raise DataError(f"{folder / name} holds no PNG or JPEG files, yet a subfolder is a class: fill or remove")
    if not inside:
        raise DataError(f"{folder} holds no PNG or JPEG files")
    return inside


def read_picture(file, channels, height, width):
    """One picture as bytes (height, width, channels), upright, on white where it is transparent. Raises DataError."""
    from PIL import Image, ImageOps  # matplotlib brings Pillow; nobody pays for it who does not read pictures
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as opened:
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith("I"):  # 16 bits of grey
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("L" if channels == 1 else "RGB")
            picture = picture.crop(middle(*picture.size, width / height))  # first, or the edges would shine through
            scaled = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))
            return scaled.reshape(height, width, channels)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} cannot be read as a picture: {error}") from error


def middle(width, height, ratio):
    """The largest box (left, top, right, bottom) around the centre that is `ratio` times as wide as high, in pixels."""
    across, down = max(1, round(min(width, height * ratio))), max(1, round(min(height, width / ratio)))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down
