"""Readers of IDX and CIFAR-10: what they read, and that no damaged file is ever used."""

import io
import struct
import tarfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minidiff.data.cifar import BATCHES, RECORD, read_archive, read_records
from minidiff.data.errors import DataError
from minidiff.data.idx import read_idx


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


SHAPES = st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple)


@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape)))
def test_idx_reads_back_what_was_written(array):
    assert np.array_equal(read_idx(idx(array), "x").numpy(), array)


@given(arrays(np.uint8, (3, 4, 2)), st.integers(0, 39))
def test_idx_of_any_other_length_is_an_error(array, cut):
    with pytest.raises(DataError, match="^x is "):
        read_idx(idx(array)[:cut], "x")
    with pytest.raises(DataError, match="needs 24 bytes, the file has 25"):
        read_idx(idx(array) + b"!", "x")


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data):
    try:
        assert read_idx(data, "x").numel() == len(data) - 4 - 4 * data[3]
    except DataError as error:
        assert str(error).startswith("x is ")


@pytest.mark.parametrize("data, reason", [(b"", "nothing"), (b"PK\3\4..", "504b0304"), (b"\0\0\x0d\1....", "0x0d")])
def test_idx_of_another_kind_says_what_it_found(data, reason):
    with pytest.raises(DataError, match=reason):
        read_idx(data, "x")


def records(n, seed=0):
    rng = np.random.default_rng(seed)
    return b"".join(bytes([i % 10]) + rng.bytes(RECORD - 1) for i in range(n))


def archive(leave_out=None, folder="cifar-10-batches-bin"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for seed, name in enumerate(BATCHES["train"] + BATCHES["test"]):
            if name != leave_out:
                data = records(3, seed)
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def test_cifar_records_are_a_label_and_three_planes():
    data = records(12)
    images, labels = read_records(data, "x")
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert images.shape == (12, 3, 32, 32) and images.dtype == torch.uint8
    assert images[2, 1, 5, 7] == data[2 * RECORD + 1 + 1024 + 5 * 32 + 7]  # image 2: green, row 5, column 7


def test_cifar_splits_are_their_files_in_order():
    images, labels = read_archive(archive(), "train", "x")
    assert images.shape == (15, 3, 32, 32) and labels.dtype == torch.int64
    assert torch.equal(images[3:6], read_records(records(3, 1), "x")[0])
    assert torch.equal(read_archive(archive(), "test", "x")[0], read_records(records(3, 5), "x")[0])


@pytest.mark.parametrize("data", [b"", records(2)[:-1], records(2) + b"!", b"\x0a" + records(1)[1:]])
def test_damaged_cifar_records_are_an_error(data):
    with pytest.raises(DataError, match="^x is damaged"):
        read_records(data, "x")


@pytest.mark.parametrize("data", [b"", b"no archive", archive()[:-3000], archive("data_batch_3.bin"),
                                  archive(folder="elsewhere"), archive()[:200] + b"!" * 50 + archive()[250:]])
def test_damaged_cifar_archive_is_an_error(data):
    with pytest.raises(DataError, match="^x is damaged: it is not a whole (gzip|archive of CIFAR-10)"):
        read_archive(data, "train", "x")
