"""What passes between the grader and the process that runs a student's code: JSON and raw arrays, never pickle.

A message is a length, a JSON header of that length, and the raw bytes of its arrays. A header cannot name code: it
holds None, bools, numbers, strings, lists, dicts and arrays of the dtypes in DTYPES. Everything else becomes a
`Stranger`, which is its kind in words and nothing more. On a pipe a message is a frame: a letter, the number of the
job that it belongs to, its length, itself. What is read is held to the same limits as what is written.
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
LIMIT = 4 * 2**20  # bytes of arrays in one message
HEADER = 2**20  # bytes of one header
FRAME = LIMIT + HEADER + 64  # bytes of one frame
TOTAL = 4 * LIMIT  # bytes of all frames that one job sends
ORDER = 2**26  # bytes of what the grader itself sends
ITEMS = 20_000  # values in one message
TEXT = 10_000  # characters of one string
DEPTH, DIMENSIONS = 50, 32  # of lists in lists, and of one array
LENGTH, HEAD = struct.Struct("<Q"), struct.Struct("<cIQ")


class WireError(Exception):
    """Bytes that are no message, or a value that is too large for one."""


class Stranger:
    """A value of another kind, on the grader's side: it equals nothing. The name of its class says the kind."""


def pack(value, limit=LIMIT, text=TEXT, header=HEADER):
    """The bytes of a message; strings are cut. Raises WireError, in words for the learner, when a value is too large.

    limit: bytes of arrays; text: characters of one string; header: bytes of the header.
    """
    arrays, count = [], [0]
    tree = _tree(value, arrays, count, limit, text, 0)
    head = json.dumps(tree).encode()
    if len(head) > header:
        raise WireError("gives more text than can be compared")
    return b"".join([LENGTH.pack(len(head)), head, *arrays])


def unpack(data, header=HEADER):
    """The value in a message of bytes. Raises WireError on anything else; runs nothing that the bytes ask for."""
    try:
        size = LENGTH.unpack_from(data)[0]
        if size > min(header, len(data) - LENGTH.size):
            raise WireError("the message is cut off, or has too long a header")
        tree = json.loads(data[LENGTH.size:LENGTH.size + size])
        value, end = _value(tree, memoryview(data), LENGTH.size + size, [0], 0)
        if end != len(data):
            raise WireError("the message is longer than it says")
    except WireError:
        raise
    except Exception as error:  # whatever json, numpy and torch make of such bytes
        raise WireError(f"not a message ({type(error).__name__})") from None
    return value


def read_frame(stream, most=FRAME):
    """The next (letter, job, bytes) of a stream; None at its end, or where a frame would have more than `most`."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    letter, job, size = HEAD.unpack(head)
    if size > most:
        return None
    body = stream.read(size)
    return (letter, job, body) if len(body) == size else None


def write_frame(stream, letter, job, body=b""):
    """Send one frame."""
    stream.write(HEAD.pack(letter, job, len(body)) + body)
    stream.flush()


def fields(told, kinds):
    """The values of a dict that has exactly the keys of `kinds`, each of exactly that type. Raises WireError."""
    if type(told) is not dict or told.keys() != kinds.keys() or any(
            kind is not object and type(told[key]) is not kind for key, kind in kinds.items()):
        raise WireError("not a message (fields)")
    return [told[key] for key in kinds]


def printable(text, most):
    """At most so many characters of a text, those that cannot be printed as spaces."""
    return "".join(c if c.isprintable() else " " for c in text[:most])


def _tree(value, arrays, count, limit, text, depth):
    count[0] += 1
    if count[0] > ITEMS:
        raise WireError(f"gives more than {ITEMS} values in lists")
    if depth > DEPTH:
        raise WireError(f"gives lists in lists, more than {DEPTH} deep")
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
    rest = (arrays, count, limit, text, depth + 1)
    if type(value) in (tuple, list):
        return {type(value).__name__: [_tree(v, *rest) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[_tree(v, *rest) for v in pair] for pair in value.items()]}
    if isinstance(value, np.generic):
        return _tree(value.item(), *rest)
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
    if tensor.ndim > DIMENSIONS:
        raise WireError(f"gives an array of {tensor.ndim} dimensions")
    size = tensor.numel() * tensor.element_size()
    if size + sum(map(len, arrays)) > limit:
        raise WireError(f"gives {tensor.numel()} numbers, which is more than can be compared")
    flat = tensor.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    arrays.append(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return {"numpy" if numpy else "tensor": [name, list(tensor.shape), bool(not numpy and value.requires_grad)]}


def _value(tree, data, at, count, depth):
    count[0] += 1
    if count[0] > ITEMS or depth > DEPTH:
        raise WireError("not a message (too many values)")
    if tree is None or type(tree) in (bool, int, str):
        return tree, at
    (kind, body), = tree.items()
    if kind == "float":
        return float.fromhex(body), at
    if kind == "complex":
        real, imaginary = body
        return complex(float.fromhex(real), float.fromhex(imaginary)), at
    if kind in ("tuple", "list"):
        items = []
        for item in body:
            value, at = _value(item, data, at, count, depth + 1)
            items.append(value)
        return (tuple(items) if kind == "tuple" else items), at
    if kind == "dict":
        pairs = {}
        for key, item in body:
            key, at = _value(key, data, at, count, depth + 1)
            pairs[key], at = _value(item, data, at, count, depth + 1)
        return pairs, at
    if kind == "other":
        words = printable(body, 60).split()
        return type(" ".join(words[1:]) or "thing", (Stranger,), {})(), at
    if kind not in ("tensor", "numpy"):
        raise WireError("not a message (kind)")
    return _tensor(kind, *body, data, at)


def _tensor(kind, name, shape, requires_grad, data, at):
    if type(shape) is not list or len(shape) > DIMENSIONS or any(
            type(n) is not int or not 0 <= n < 2**40 for n in shape) or type(requires_grad) is not bool:
        raise WireError("not a message (shape)")
    dtype = DTYPES[name]
    size = math.prod(shape) * dtype.itemsize
    if size > len(data) - at:
        raise WireError("the message is cut off")
    tensor = torch.frombuffer(bytearray(data[at:at + size]), dtype=dtype) if size else torch.empty(0, dtype=dtype)
    if dtype is torch.bool and size:
        tensor = tensor.view(torch.uint8) != 0  # a byte of 2 would be neither true nor false
    tensor = tensor.reshape(shape)
    if kind == "numpy":
        return tensor.numpy(), at + size
    return (tensor.requires_grad_() if requires_grad and tensor.is_floating_point() else tensor), at + size
