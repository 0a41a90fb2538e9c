"""Reader of the binary version of CIFAR-10: records of one label and 3 x 32 x 32 bytes. Nothing is unpickled."""

import io
import tarfile

import numpy as np
import torch

from minidiff.data.errors import DataError
from minidiff.data.registry import gunzip

RECORD = 1 + 3 * 32 * 32
BATCHES = {"train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)), "test": ("test_batch.bin",)}


def read_records(data, name):
    """Read records: bytes -> images (N, 3, 32, 32) uint8 and labels (N,) int64 (Krizhevsky 2009, binary version).

    Raises DataError, which names `name`, when the length is not a whole number of records or a label is not 0..9.
    """
    if not data or len(data) % RECORD:
        raise DataError(f"{name} is damaged: {len(data)} bytes are not a whole number of records of {RECORD} bytes")
    records = torch.from_numpy(np.frombuffer(data, np.uint8).reshape(-1, RECORD).copy())
    labels = records[:, 0].long()
    if labels.max() > 9:
        raise DataError(f"{name} is damaged: it has the label {labels.max()}; expected 0..9")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def read_archive(data, split, name):
    """Read one split, "train" or "test", from the bytes of cifar-10-binary.tar.gz: images and labels as `read_records`.

    Raises DataError when the archive is damaged or a file is missing.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(gunzip(data, name)), mode="r:") as archive:
            parts = [read_records(archive.extractfile(f"cifar-10-batches-bin/{part}").read(), f"{name}: {part}")
                     for part in BATCHES[split]]
    except (tarfile.TarError, KeyError, AttributeError) as error:
        raise DataError(f"{name} is damaged: it is not a whole archive of CIFAR-10 ({error})") from error
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)
