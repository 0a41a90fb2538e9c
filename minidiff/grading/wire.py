"""What passes between the grader and the process that runs a student's code: JSON and raw arrays, never pickle.

A message is a length, a JSON header of that length, and the raw bytes of its arrays. A header cannot name code: it
holds None, bools, numbers, strings, lists, dicts and arrays of the dtypes in DTYPES. Everything else becomes a
`Stranger`, which is its kind in words and nothing more. On a pipe a message is a frame: a letter, its length, itself.
"""

import json
import math
import struct

import numpy as np
import torch

from minidiff.exercises.compare import kind_of

DTYPES = {str(d).removeprefix("torch."): d for d in (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.complex64, torch.complex128)}
LIMIT = 32 * 2**20  # bytes of arrays in one message
HEADER = 2**22  # bytes of one header
TOTAL = 4 * LIMIT  # bytes of one frame, and of all that one job sends
ITEMS = 20_000  # values in one message
TEXT = 10_000  # characters of one string
LENGTH, HEAD = struct.Struct("<Q"), struct.Struct("<cQ")


class WireError(Exception):
    """Bytes that are no message, or a value that is too large for one."""


class Stranger:
    """A value of another kind, on the grader's side: it equals nothing. The name of its class says the kind."""


def pack(value, limit=LIMIT, text=TEXT):
    """The bytes of a message; strings are cut. Raises WireError, in words for the learner, when a value is too large.

    limit: bytes of arrays; text: characters of one string.
    """
    arrays, count = [], [0]
    tree = _tree(value, arrays, count, limit, text)
    header = json.dumps(tree).encode()
    if len(header) > HEADER:
        raise WireError("gives more text than can be compared")
    return b"".join([LENGTH.pack(len(header)), header, *arrays])


def unpack(data):
    """The value in a message of bytes. Raises WireError on anything else; runs nothing that the bytes ask for."""
    try:
        size = LENGTH.unpack_from(data)[0]
        if size > min(HEADER, len(data) - LENGTH.size):
            raise WireError("the message is cut off, or has too long a header")
        tree = json.loads(data[LENGTH.size:LENGTH.size + size])
        value, end = _value(tree, memoryview(data), LENGTH.size + size)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError, OverflowError,
            struct.error) as error:
        raise WireError(f"not a message ({type(error).__name__})") from None
    if end != len(data):
        raise WireError("the message is longer than it says")
    return value


def read_frame(stream):
    """The next (letter, bytes) of a stream, or None at its end."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    letter, size = HEAD.unpack(head)
    if size > TOTAL:
        return None
    body = stream.read(size)
    return (letter, body) if len(body) == size else None


def write_frame(stream, letter, body):
    """Send one frame."""
    stream.write(HEAD.pack(letter, len(body)) + body)
    stream.flush()


def _tree(value, arrays, count, limit, text):
    count[0] += 1
    if count[0] > ITEMS:
        raise WireError(f"gives more than {ITEMS} values in lists")
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        if abs(value) >= 2**63:
            raise WireError("gives an integer of more than 64 bits")
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if type(value) is str:
        return value[:text]
    if type(value) in (tuple, list):
        return {type(value).__name__: [_tree(v, arrays, count, limit, text) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[_tree(v, arrays, count, limit, text) for v in pair] for pair in value.items()]}
    if isinstance(value, np.generic):
        return _tree(value.item(), arrays, count, limit, text)
    if type(value) in (torch.Tensor, torch.nn.Parameter, np.ndarray):
        return _array(value, arrays, limit)
    return {"other": kind_of(value)[:60]}


def _array(value, arrays, limit):
    numpy = type(value) is np.ndarray
    if numpy and (value.dtype.hasobject or value.dtype.names or value.dtype.kind not in "biufc"):
        return {"other": "a numpy array of objects"}
    tensor = torch.as_tensor(np.ascontiguousarray(value).reshape(value.shape)) if numpy else value.detach()
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES or tensor.layout != torch.strided or tensor.device.type == "meta":
        return {"other": "a tensor that holds no plain values"}
    size = tensor.numel() * tensor.element_size()
    if size + sum(map(len, arrays)) > limit:
        raise WireError(f"gives {tensor.numel()} numbers, which is more than can be compared")
    flat = tensor.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    arrays.append(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return {"numpy" if numpy else "tensor": [name, list(tensor.shape), bool(not numpy and value.requires_grad)]}


def _value(tree, data, at):
    if tree is None or isinstance(tree, (bool, int, str)):
        return tree, at
    (kind, body), = tree.items()
    if kind == "float":
        return float.fromhex(body), at
    if kind == "complex":
        return complex(*map(float.fromhex, body)), at
    if kind in ("tuple", "list"):
        items = []
        for item in body:
            value, at = _value(item, data, at)
            items.append(value)
        return (tuple(items) if kind == "tuple" else items), at
    if kind == "dict":
        pairs = {}
        for key, item in body:
            key, at = _value(key, data, at)
            pairs[key], at = _value(item, data, at)
        return pairs, at
    if kind == "other":
        words = "".join(c if c.isprintable() else " " for c in str(body)).split()
        return type(" ".join(words[1:]) or "thing", (Stranger,), {})(), at
    name, shape, requires_grad = body
    dtype, count = DTYPES[name], math.prod(shape)
    if kind not in ("tensor", "numpy") or any(type(n) is not int or n < 0 for n in shape):
        raise WireError("not a message (shape)")
    size = count * torch.empty((), dtype=dtype).element_size()
    if size > len(data) - at:
        raise WireError("the message is cut off")
    tensor = torch.frombuffer(bytearray(data[at:at + size]), dtype=dtype) if size else torch.empty(0, dtype=dtype)
    tensor = tensor.reshape(shape)
    if kind == "numpy":
        return tensor.numpy(), at + size
    return (tensor.requires_grad_() if requires_grad and tensor.is_floating_point() else tensor), at + size
