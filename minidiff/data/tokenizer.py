"""From text to numbers and back: words, and byte-pair encoding learned from captions.

Both tokenizers number the special tokens first, and have `encode`, `decode` and `size`; `batch` makes tensors of both.
"""

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import torch

PAD, START, END, UNKNOWN = range(4)  # special tokens: after a text, before it, behind it, and for a word not known
SPECIAL = 4
BYTES = 256


@dataclass(frozen=True)
class Words:
    """A tokenizer with a number for each word that its texts have: letters and digits, or one other sign."""

    words: tuple[str, ...]

    @property
    def size(self):
        """How many tokens there are, special ones included."""
        return SPECIAL + len(self.words)

    def encode(self, text):
        """The numbers of the words of a text, UNKNOWN for those that are not known: a list."""
        return [self._numbers.get(word, UNKNOWN) for word in split(text)]

    def decode(self, numbers):
        """The known words of these numbers with a space between: a text. Special tokens are left out."""
        return " ".join(self.words[number - SPECIAL] for number in numbers if number >= SPECIAL)

    def unknown(self, text, nearest=3):
        """The words of a text that are not known, each with up to `nearest` known ones that are spelt alike: a dict."""
        return {word: difflib.get_close_matches(word, self.words, nearest, 0.6)
                for word in split(text) if word not in self._numbers}

    @cached_property
    def _numbers(self):
        return {word: SPECIAL + i for i, word in enumerate(self.words)}


def split(text):
    """The words of a text, in lower case: runs of letters and digits, and every other sign by itself: a list."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def learn_words(texts, least=1):
    """The tokenizer of all words that stand at least `least` times in the texts, the most frequent first: Words."""
    counts = Counter(word for text in texts for word in split(text))
    return Words(tuple(word for word, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if n >= least))


@dataclass(frozen=True)
class BytePairs:
    """A tokenizer of bytes, and of pairs of tokens that were merged, in the order in which they were learned.

    Tokens 4 to 259 are the bytes, token 260 + k is the k-th merge. Any text comes back byte by byte (Sennrich et al.
    2016; on bytes and with the space at the head of a word: Radford et al. 2019, section 2.2).
    """

    merges: tuple[tuple[int, int], ...]

    @property
    def size(self):
        """How many tokens there are, special ones included."""
        return SPECIAL + BYTES + len(self.merges)

    def encode(self, text):
        """The tokens of a text: a list. In each word, the pair that was learned first is merged first."""
        return [token for piece in pieces(text) for token in merged(_tokens(piece), self._ranks)]

    def decode(self, numbers):
        """The text of these tokens. Special ones are left out; bytes that are no UTF-8 become the sign U+FFFD."""
        return b"".join(self._bytes[number] for number in numbers).decode("utf-8", errors="replace")

    @cached_property
    def _ranks(self):
        return {pair: SPECIAL + BYTES + k for k, pair in enumerate(self.merges)}

    @cached_property
    def _bytes(self):
        table = [b""] * SPECIAL + [bytes([b]) for b in range(BYTES)]
        for a, b in self.merges:
            table.append(table[a] + table[b])
        return table


def pieces(text):
    """A text cut where no merge may reach across: words, each with the space before it, and white space: a list."""
    return re.findall(r" ?\S+|\s+", text)


def merged(tokens, ranks):
    """Tokens after all merges that apply: `ranks` gives for a pair its new token, and smaller ones are merged first."""
    while len(tokens) > 1:
        pair = min(zip(tokens, tokens[1:]), key=lambda pair: ranks.get(pair, float("inf")))
        if pair not in ranks:
            break
        tokens = bpe_merge(tokens, pair, ranks[pair])
    return tokens


def learn_byte_pairs(texts, merges):
    """Learn up to `merges` merges from texts: BytePairs. Each one joins the pair that is most frequent at its time.

    Of pairs equally frequent, the one with the smaller tokens is first. It ends early when no pair stands twice.
    """
    counts = Counter(piece for text in texts for piece in pieces(text))
    words = [(_tokens(piece), n) for piece, n in sorted(counts.items())]
    learned = []
    pairs = Counter()
    for tokens, n in words:
        _count(pairs, tokens, n)
    while len(learned) < merges and pairs:
        pair, most = min(pairs.items(), key=lambda item: (-item[1], item[0]))
        if most < 2:
            break
        new = SPECIAL + BYTES + len(learned)
        learned.append(pair)
        for k, (tokens, n) in enumerate(words):
            if pair in zip(tokens, tokens[1:]):
                _count(pairs, tokens, -n)
                words[k] = (bpe_merge(tokens, pair, new), n)
                _count(pairs, words[k][0], n)
        del pairs[pair]
    return BytePairs(tuple(learned))


def batch(tokenizer, texts, length):
    """Texts as tensors: tokens (B, length) int64 with START, the text, END and PAD; mask (B, length), True but for PAD.

    Raises ValueError for a text of more than length - 2 tokens.
    """
    tokens = torch.full((len(texts), length), PAD)
    for row, text in zip(tokens, texts, strict=True):
        numbers = [START, *tokenizer.encode(text), END]
        if len(numbers) > length:
            raise ValueError(f"texts may have {length - 2} tokens, got {len(numbers) - 2} in {text[:60]!r}")
        row[:len(numbers)] = torch.tensor(numbers)
    return tokens, tokens != PAD


def _tokens(piece):
    return [SPECIAL + byte for byte in piece.encode()]


def _count(pairs, tokens, n):
    for pair in zip(tokens, tokens[1:]):
        pairs[pair] += n


def bpe_merge(tokens, pair, new):
    """Tokens with each `pair`, from left to right, replaced by `new`: a list (Sennrich et al. 2016, algorithm 1)."""
    out, i = [], 0
    while i < len(tokens):
        if tuple(tokens[i:i + 2]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(tokens[i])
            i += 1
    return out
