"""Word pieces, the tokenizer of BERT and of its successors: a text is cut into the longest pieces of a fixed list."""

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from minidiff.data.errors import DataError

UNKNOWN, START, END = "[UNK]", "[CLS]", "[SEP]"
INSIDE = "##"  # stands before a piece that does not begin a word
LONGEST = 100  # letters of a word; a longer one is not cut, but unknown
IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
              (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F))  # each of these signs is a word


@dataclass(frozen=True)
class WordPiece:
    """A tokenizer with a fixed list of pieces; the number of a piece is its place in the list.

    (Devlin et al. 2019, BERT, the uncased list; the cutting: Wu et al. 2016, section 4.1.)
    """

    pieces: tuple[str, ...]

    @property
    def size(self):
        """How many tokens there are, special ones included."""
        return len(self.pieces)

    def encode(self, text):
        """The numbers of the pieces of a text, between those of [CLS] and [SEP]: a list."""
        pieces = [piece for word in split(text) for piece in self._cut(word)]
        return [self._numbers[piece] for piece in (START, *pieces, END)]

    def decode(self, numbers):
        """The text of these numbers, in small letters, with one space between two words; special tokens left out."""
        pieces = [self.pieces[number] for number in numbers]
        return " ".join(p for p in pieces if not (p.startswith("[") and p.endswith("]"))).replace(f" {INSIDE}", "")

    def _cut(self, word):
        """The longest piece that a word begins with, then the longest that goes on, ...: a list, or [UNK] alone."""
        found, first = [], 0
        while first < len(word) <= LONGEST:
            marked = (INSIDE if first else "") + word[first:]
            while marked not in self._numbers and len(marked) > len(INSIDE) * bool(first):
                marked = marked[:-1]
            length = len(marked) - len(INSIDE) * bool(first)
            if length < 1:
                return [UNKNOWN]
            found.append(marked)
            first += length
        return found or [UNKNOWN]

    @cached_property
    def _numbers(self):
        return {piece: number for number, piece in enumerate(self.pieces)}


def split(text):
    """The words of a text: in small letters, without accents and control signs, each sign by itself: a list."""
    text = "".join("" if _is_control(c) or c == "\ufffd" else " " if c.isspace() else c for c in text)
    text = "".join(f" {c} " if _is_ideograph(c) else c for c in text)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").lower()
    return "".join(f" {c} " if _is_sign(c) else c for c in text).split()


def read_word_pieces(path):
    """The tokenizer of a vocab.txt, with one piece a line: WordPiece. Raises DataError when it cannot be one."""
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if missing := {UNKNOWN, START, END} - set(lines):
        raise DataError(f"{path} is no list of word pieces: it lacks {', '.join(sorted(missing))}")
    return WordPiece(tuple(lines[:-1] if lines[-1] == "" else lines))


def _is_control(c):
    return unicodedata.category(c) in ("Cc", "Cf", "Co") and c not in "\t\n\r"


def _is_ideograph(c):
    return any(low <= ord(c) <= high for low, high in IDEOGRAPHS)


def _is_sign(c):
    """Punctuation, and the other visible signs of ASCII that are neither letters nor digits."""
    return unicodedata.category(c).startswith("P") or c.isascii() and c.isprintable() and not c.isalnum() and c != " "
