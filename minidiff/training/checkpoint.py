"""Writing and reading weights: one safetensors file with its description inside, whole or not there at all."""

import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from minidiff.training.errors import CheckpointError


def write_whole(path, content):
    """Write bytes or text so that `path` is either the old file or the new one, never a part of it.

    Raises CheckpointError when the folder cannot be written or the disk is full.
    """
    path, temporary = Path(path), None
    content = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def save_checkpoint(path, tensors, config):
    """Write tensors {name: Tensor} and a description `config` (anything JSON can hold) as one file."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_whole(path, save(tensors, metadata={"config": json.dumps(config)}))


def load_checkpoint(path):
    """Read (tensors, config) as `save_checkpoint` wrote them.

    Raises CheckpointError when the file is missing, truncated, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            config = json.loads((file.metadata() or {})["config"])
            return {name: file.get_tensor(name) for name in file.keys()}, config
    except (KeyError, ValueError):
        raise CheckpointError(f"{path} is a safetensors file without this course's description in it") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error})") from None


def load_weights(net, tensors, path):
    """Copy {name: Tensor} into the net, in its own dtype; names and shapes must match exactly, else CheckpointError."""
    own = net.state_dict()
    if own.keys() != tensors.keys():
        missing, unused = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
        raise CheckpointError(f"{path} does not fit this net: missing {missing[:3]}, unused {unused[:3]}")
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise CheckpointError(f"{path} does not fit this net: {name} is {tuple(value.shape)} in the file and "
                                  f"{tuple(own[name].shape)} in the net")
    with torch.no_grad():
        for name, value in tensors.items():
            own[name].copy_(value)
    return net
