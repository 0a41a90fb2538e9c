"""CLIP's tokenizer: byte-pair encoding in small letters, with a mark at the end of each word, in 77 places."""

import gzip
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from minidiff.data.errors import DataError
from minidiff.data.tokenizer import merged

END_OF_WORD = "</w>"
LENGTH = 77
MERGES = 48_894
VISIBLE = (*range(33, 127), *range(161, 173), *range(174, 256))  # bytes that the files write as the sign of that number
CONTRACTION = re.compile("'(?:s|t|re|ve|m|ll|d)")


@dataclass(frozen=True)
class ClipBytePairs:
    """A tokenizer by merges of pairs, each a text (Radford et al. 2021, section 2.4; the code that came with it).

    Tokens 0..255 are the bytes, 256..511 bytes that end a word, 512 + k the k-th merge; then come START and END.
    """

    merges: tuple[tuple[str, str], ...]

    @property
    def size(self):
        """How many tokens there are, the two special ones included."""
        return 2 * len(_SIGNS) + len(self.merges) + 2

    @property
    def start(self):
        """The token that stands before each text."""
        return self.size - 2

    @property
    def end(self):
        """The token that stands behind each text, and in all places after it."""
        return self.size - 1

    def encode(self, text):
        """The tokens of a text, without START and END: a list. In each word, what was learned first is merged first."""
        found = []
        for word in words(text):
            signs = [_SIGNS[byte] for byte in word.encode()]
            signs[-1] += END_OF_WORD
            found += merged([self._numbers[sign] for sign in signs], self._ranks)
        return found

    def decode(self, numbers):
        """The text of these tokens, with a space after each word; special ones are left out."""
        joined = "".join(self.tokens[number] for number in numbers if number < self.start)
        return " ".join(bytes(_BYTES[sign] for sign in word).decode("utf-8", errors="replace")
                        for word in joined.split(END_OF_WORD)).strip()

    def batch(self, texts, length=LENGTH):
        """Texts as (B, length) int64: START, the text, END, and END again up to the last place.

        Raises ValueError for a text of more than length - 2 tokens.
        """
        tokens = torch.full((len(texts), length), self.end)
        for row, text in zip(tokens, texts, strict=True):
            numbers = [self.start, *self.encode(text)]
            if len(numbers) >= length:
                raise ValueError(f"texts may have {length - 2} tokens, got {len(numbers) - 1} in {text[:60]!r}")
            row[:len(numbers)] = torch.tensor(numbers)
        return tokens

    @cached_property
    def tokens(self):
        """All tokens but the special ones as the files spell them, in the order of their numbers: a list."""
        return [*_SIGNS.values(), *(sign + END_OF_WORD for sign in _SIGNS.values()), *(a + b for a, b in self.merges)]

    @cached_property
    def _numbers(self):
        return {token: number for number, token in enumerate(self.tokens)}

    @cached_property
    def _ranks(self):
        return {(self._numbers[a], self._numbers[b]): self._numbers[a + b] for a, b in self.merges}


def words(text):
    """The words of a text in small letters: endings such as 's, runs of letters, single digits, runs of other signs."""
    text = "".join(c.lower() for c in unicodedata.normalize("NFC", text))
    found, i = [], 0
    while i < len(text):
        kind, j = _kind(text[i]), i + 1
        if ending := CONTRACTION.match(text, i):
            j = ending.end()
        elif kind in ("letter", "other"):
            while j < len(text) and _kind(text[j]) == kind:
                j += 1
        if kind != "space":
            found.append(text[i:j])
        i = j
    return found


def read_clip_merges(path):
    """The tokenizer of a merges.txt, or of OpenAI's bpe_simple_vocab_16e6.txt.gz: ClipBytePairs.

    A first line that names a version is left out. Raises DataError for a file that cannot be read or holds no merges.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lines = text.split("\n")
    lines = lines[1:] if "#version" in lines[0] else lines
    pairs = tuple(tuple(line.split(" ")) for line in lines[:MERGES] if line)
    known = {sign + mark for sign in _SIGNS.values() for mark in ("", END_OF_WORD)}
    for number, pair in enumerate(pairs):
        if len(pair) != 2 or not known.issuperset(pair):
            raise DataError(f"{path} is no list of CLIP's merges: merge {number + 1} is {' '.join(pair)[:60]!r}")
        known.add("".join(pair))
    if not pairs:
        raise DataError(f"{path} is no list of CLIP's merges: it is empty")
    return ClipBytePairs(pairs)


def _kind(c):
    return "space" if c.isspace() else {"L": "letter", "N": "number"}.get(unicodedata.category(c)[0], "other")


# How the files write a byte: as the sign of that number if it is visible, else as one of the signs from 256 on.
_SIGNS = {byte: chr(byte) for byte in VISIBLE}
_SIGNS |= {byte: chr(256 + k) for k, byte in enumerate(b for b in range(256) if b not in _SIGNS)}
_BYTES = {sign: byte for byte, sign in _SIGNS.items()}
