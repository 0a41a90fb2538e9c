"""Emoji: captioned colour pictures in three styles, and in a fourth one, shipped with the package; no download.

Who drew them, and under which licence they come, says minidiff/data/pictures/LICENCES.md.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from minidiff.data.errors import DataError, check_split

FOLDER = Path(__file__).parent / "pictures"
STYLES = ("noto", "twemoji", "fluent", "openmoji")
LICENCES = {"noto": "Noto Emoji, Google, Apache-2.0", "twemoji": "Twemoji, Twitter and other contributors, CC BY 4.0",
            "fluent": "Fluent Emoji, Microsoft, MIT", "openmoji": "OpenMoji, CC BY-SA 4.0"}
SIDE, COLUMNS = 32, 64  # pixels of a picture, pictures in a row of the sheet
DIGESTS = {  # sha256 of the pixels of each sheet, and of its table as JSON with sorted keys
    "emoji": ("17f2d3fbb7bcd45defe2b383c364647d859078b20ee32b9ee92d583d56bf5a2a",
              "afed23b57249b8f261443c4a9ed54aa198e4c2312cb1d8937113cade0e10801d"),
    "openmoji": ("0839c263e3d301545b7348803b3474164f945572ac8992fbbc0fcd84687f7d19",
                 "3a7f7913575cdf0f05cee6173b33b4f1ba753fdd6d5fd98af1eb6816ce90b6b0"),
}
NEAR = 0.1  # the root mean square difference, in [-1, 1], up to which two pictures count as the same


@dataclass(frozen=True)
class Emoji:
    """N pictures, each with what is known of it.

    pictures: (N, 3, 32, 32) float32 in [-1, 1], on white; captions: their Unicode names, in lower case; styles: of
    STYLES; groups: such as "food-drink"; tags: for each a tuple of key words; splits: "train", "test", or "left out".
    A picture of "test" is the truth for its caption in its style: training has the caption in other styles alone, and
    no picture like it. Left out are pictures that were meant for "test", but that look like another one.
    """

    pictures: torch.Tensor
    captions: tuple[str, ...]
    styles: tuple[str, ...]
    groups: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    splits: tuple[str, ...]

    def take(self, rows):
        """The pictures of these rows, indices into 0..N - 1, with all that is known of them: Emoji."""
        rows = list(rows)
        return Emoji(self.pictures[rows], *(tuple(column[i] for i in rows) for column in (
            self.captions, self.styles, self.groups, self.tags, self.splits)))


def emoji(split=None, style=None):
    """Emoji of "train" or "test", in one style, where these are given: 4,874 in all, in the first three STYLES.

    Raises DataError for an unknown split or style, and when a file of the package is damaged.
    """
    return _choose(_all("emoji"), split, style, STYLES[:3])


def openmoji(split=None):
    """400 faces, animals and things to eat in the style of OpenMoji: Emoji; every tenth one belongs to "test".

    Raises DataError for an unknown split, and when a file of the package is damaged.
    """
    return _choose(_all("openmoji"), split, None, STYLES[3:])


def near_duplicates(pictures, others, rms=NEAR):
    """How many of `others` (M, C, H, W) differ from each of `pictures` (N, C, H, W) by less than `rms`: (N,) int64.

    The difference is the root mean square over all values; a picture that is itself among the others counts as one.
    """
    a, b = pictures.flatten(1), others.flatten(1)
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1) - 2 * a @ b.T
    return (squares < rms**2 * a.shape[1]).sum(dim=1)


def labelled(name, split, n=None):
    """What `load(name, split, n)` gives: pictures (N, 3, 32, 32), and the numbers of their styles in STYLES (N,) int64.

    Raises DataError for more pictures than there are, and as `emoji` and `openmoji` do.
    """
    chosen = emoji(split) if name == "emoji" else openmoji(split)
    if n is not None and n > len(chosen.captions):
        raise DataError(f"{name} has {len(chosen.captions)} {split} images, asked for were {n}")
    return chosen.pictures[:n], torch.tensor([STYLES.index(style) for style in chosen.styles[:n]])


def _choose(everything, split, style, styles):
    if split is not None:
        check_split(split)
    if style is not None and style not in styles:
        raise DataError(f"style must be one of {', '.join(styles)}, got {style!r}")
    return everything.take(i for i, (s, where) in enumerate(zip(everything.styles, everything.splits, strict=True))
                           if split in (None, where) and style in (None, s))


@cache
def _all(name):
    table = _table(name)
    pictures = _pictures(name, len(table))
    splits = [row.get("split", "test" if i % 10 == 9 else "train") for i, row in enumerate(table)]
    rows = [i for i, split in enumerate(splits) if split == "test"]
    for i, count in zip(rows, near_duplicates(pictures[rows], pictures).tolist(), strict=True):
        splits[i] = "test" if count == 1 else "left out"
    return Emoji(pictures, *(tuple(row[key] for row in table) for key in ("caption", "style", "group")),
                 tuple(tuple(row["tags"]) for row in table), tuple(splits))


def _table(name):
    """What the JSON file says of each picture: a list of dicts. Raises DataError when it is damaged."""
    path = FOLDER / f"{name}-32.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; {_REMEDY}") from error
    text = json.dumps(table, sort_keys=True)
    _check(path, text.encode(), DIGESTS[name][1], "its table")
    return table["pictures"]


def _pictures(name, n):
    """The n pictures of a sheet: (n, 3, 32, 32) float32 in [-1, 1]. Raises DataError when it is damaged."""
    from matplotlib import image

    path = FOLDER / f"{name}-32.png"
    try:
        sheet = (image.imread(path) * 255).round().astype("uint8")
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}; {_REMEDY}") from error
    _check(path, sheet.tobytes(), DIGESTS[name][0], "its pixels")
    cells = torch.from_numpy(sheet).unflatten(0, (-1, SIDE)).unflatten(2, (COLUMNS, SIDE))  # rows, 32, 64, 32, 3
    return cells.permute(0, 2, 4, 1, 3).flatten(0, 1)[:n].float() / 127.5 - 1


def _check(path, content, published, what):
    digest = hashlib.sha256(content).hexdigest()
    if digest != published:
        raise DataError(f"{path} is damaged: the sha256 of {what} is {digest[:12]}..., published is "
                        f"{published[:12]}...; {_REMEDY}")


_REMEDY = "take the file anew from the repository, or install the package anew"
