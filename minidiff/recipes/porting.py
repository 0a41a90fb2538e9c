"""Published weights become the course's checkpoints: every tensor is used, and read back."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from minidiff.data.clip_tokenizer import read_clip_merges
from minidiff.recipes.published import check, files_of, sorted_by_net
from minidiff.recipes.sd15 import MERGES, NETS, RECORD, SHAPES, empty, load_part
from minidiff.training.checkpoint import load_checkpoint, write_whole
from minidiff.training.errors import CheckpointError

DTYPES = {"float16": torch.float16, "float32": torch.float32}
# The file as it was published in 2022, 4,265,146,304 bytes; archives of it state the same sum.
PUBLISHED = {"6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa": "v1-5-pruned-emaonly.safetensors"}


def port_sd15(given, out, dtype="float16"):
    """Write published files as a model of the course: `out` with a file for each net, the merges, and a record.

    given: files and folders, as `files_of` takes them; dtype: of the weights that are written, "float16" or "float32".
    Returns the record. Raises CheckpointError for a file that is damaged, a pickle, of another model, or that cannot be
    written; DataError for merges that are none; ValueError for what is missing among `given`.
    """
    weights, merges = files_of(given)
    out = Path(out)
    if (out / RECORD).exists():
        raise ValueError(f"{out} holds a model already: choose another --out")
    tokenizer = read_clip_merges(merges)
    with contextlib.ExitStack() as opened:
        found = sorted_by_net(weights, opened)
        nets = {part: empty(part, SHAPES[part]) for part in NETS}
        for part, net in nets.items():
            check(part, net, found[part])
        if tokenizer.size != nets["text"].token.num_embeddings:
            raise ValueError(f"{merges} makes {tokenizer.size} tokens, and the text encoder knows "
                             f"{nets['text'].token.num_embeddings}")
        check_space(out, sum(p.numel() for net in nets.values() for p in net.parameters()) * DTYPES[dtype].itemsize)
        numbers = {part: written(part, net, found[part], out / f"{part}.safetensors", dtype)
                   for part, net in nets.items()}
    write_whole(out / MERGES, "".join(f"{a} {b}\n" for a, b in tokenizer.merges))
    record = {"model": "sd15", "dtype": dtype, "nets": SHAPES, "golden": numbers, "torch": torch.__version__,
              "weights": {part: sum(p.numel() for p in net.parameters()) for part, net in nets.items()},
              "files": [described(path) for path in weights]}
    write_whole(out / RECORD, json.dumps(record, indent=1) + "\n")
    return record


def check_space(out, size):
    """Raise CheckpointError unless `out`, which is made if need be, has room for `size` bytes."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(".*.safetensors.*"):  # by a process that was killed while it wrote
            left.unlink()
        free = shutil.disk_usage(out).free
    except OSError as error:
        raise CheckpointError(f"cannot write {out}: {error.strerror or error}") from None
    if size > free:
        raise CheckpointError(f"cannot write {out}: it takes {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def written(part, net, tensors, path, dtype):
    """Write one net, read it back bit by bit, and ask it: four numbers of its `golden` answer, for the record.

    Raises CheckpointError.
    """
    values = {name: tensors[name].read(tuple(own.shape), DTYPES[dtype]) for name, own in net.state_dict().items()}
    save_large(path, values, {"model": "sd15", "part": part, "net": SHAPES[part]})
    back, _ = load_checkpoint(path)
    if back.keys() != values.keys() or not all(torch.equal(back[name], value) for name, value in values.items()):
        raise CheckpointError(f"{path} does not hold what was written to it: the disk or the memory is damaged")
    values.clear()
    answer = golden(part, load_part(path, part))
    if not answer.isfinite().all():
        raise CheckpointError(f"{path} computes values that are not finite numbers: its weights are no trained ones")
    return [float(f"{value:.4g}") for value in answer.flatten()[::-(-answer.numel() // 4)]]


def golden(part, net):
    """What a net computes from a fixed input, on every machine the same up to rounding: a tensor."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=generator)
    with torch.no_grad():
        if part == "unet":
            return net(normal(1, 4, 8, 8), 500, normal(1, 77, net.middle[0].attend.text.k.in_features))
        if part == "vae":
            return net(normal(1, 3, 32, 32).clamp(-1, 1), normal(1, 4, 4, 4))[0]
        return net(torch.arange(net.length)[None] % net.token.num_embeddings)


def save_large(path, tensors, config):
    """As `save_checkpoint`, without a copy of all tensors in memory. Raises CheckpointError."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
        save_file(tensors, temporary, metadata={"config": json.dumps(config)})
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def described(path):
    """A file that was read, for the record: its name, its size, its sum, and which published file has that sum."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": found, "published": PUBLISHED.get(found)}
