"""Reader of the IDX format of MNIST: a magic number, the shape, then the bytes."""

import math

import numpy as np
import torch

from minidiff.data.errors import DataError


def read_idx(data, name):
    """Read an IDX file of unsigned bytes (LeCun et al. 1998, file formats): bytes -> uint8 tensor of any shape.

    data: the whole file, decompressed; `name` is named in errors. Raises DataError when it is not what it should be.
    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{name} is not an IDX file: it starts with {data[:4].hex() or 'nothing'}, not with 0000")
    kind, ndim = data[2], data[3]
    if kind != 8:
        raise DataError(f"{name} is an IDX file of type 0x{kind:02x}; expected unsigned bytes, 0x08")
    start = 4 + 4 * ndim
    if ndim == 0 or len(data) < start:
        raise DataError(f"{name} is damaged: {len(data)} bytes cannot hold an IDX header of {ndim} dimensions")
    shape = np.frombuffer(data, ">u4", ndim, 4).tolist()
    if len(data) - start != math.prod(shape):
        raise DataError(f"{name} is damaged: shape {tuple(shape)} needs {math.prod(shape)} bytes, "
                        f"the file has {len(data) - start}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())
