"""What a published text encoder says of the captions of the emoji, and of words that no caption has; no download.

The vectors are those of all-MiniLM-L6-v2 (Apache-2.0), made by benchmarks/minilm.py and kept in half precision.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from minidiff.data.errors import DataError

FILE = Path(__file__).parent / "texts" / "minilm-captions.safetensors"
DIGEST = "276042220286f53a10ba558282b3dccade830b774879b8064f025cb4d48e5617"  # sha256 of the file


@dataclass(frozen=True)
class CaptionVectors:
    """Texts and their unit vectors (N, 384) float32, each in the order of its texts.

    captions: all captions of the emoji, in the order of the alphabet; synonyms: {word: a caption that means it}, words
    that neither a caption nor a key word has, chosen by hand; tags: {key word: the captions that it belongs to}, drawn
    at random among the key words without a word of any caption.
    """

    captions: tuple[str, ...]
    vectors: torch.Tensor
    synonyms: dict[str, str]
    synonym_vectors: torch.Tensor
    tags: dict[str, tuple[str, ...]]
    tag_vectors: torch.Tensor


@cache
def caption_vectors():
    """The vectors that come with the package: CaptionVectors. Raises DataError when their file is damaged."""
    try:
        digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{FILE} cannot be read: {error.strerror}") from None
    if digest != DIGEST:
        raise DataError(f"{FILE} is damaged: its sha256 is {digest[:12]}..., published is {DIGEST[:12]}...; take the "
                        "file anew from the repository, or install the package anew")
    try:
        with safe_open(FILE, framework="pt") as file:
            texts = json.loads(file.metadata()["texts"])
            vectors = {name: torch.nn.functional.normalize(file.get_tensor(name).float(), dim=1) for name in texts}
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{FILE} cannot be read: {error}") from None
    return CaptionVectors(tuple(texts["captions"]), vectors["captions"], texts["synonyms"], vectors["synonyms"],
                          {word: tuple(captions) for word, captions in texts["tags"].items()}, vectors["tags"])
