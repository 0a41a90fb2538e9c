"""The door to the data: where it looks, in which order, and that it believes nothing whose digest is wrong."""

import gzip
import hashlib
import os
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from minidiff.data import registry
from minidiff.data.download import fetch
from minidiff.data.errors import DataError
from minidiff.data.load import available, load, verify
from minidiff.data.registry import dataset, datasets, folders

NAMES = {"train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
         "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")}
PIXELS = {split: np.random.default_rng(n).integers(0, 256, (n, 28, 28), np.uint8)
          for split, n in (("train", 6), ("test", 4))}


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def contents():
    for split, (images, labels) in NAMES.items():
        yield images, idx(PIXELS[split])
        yield labels, idx(np.arange(len(PIXELS[split]), dtype=np.uint8))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,)).start()
        yield http
        http.shutdown()


@pytest.fixture
def home(tmp_path, monkeypatch, mirror):
    """A small MNIST in the registry of an empty home, and its only mirror."""
    monkeypatch.setattr(registry, "HERE", tmp_path / "datasets")
    monkeypatch.delenv("MINIDIFF_DATA", raising=False)
    (tmp_path / "datasets").mkdir()
    lines = ["[mnist]", *(f'{key} = "x"' for key in ("title", "licence", "source")), 'of = "content"',
             f'mirrors = ["http://127.0.0.1:{mirror.server_port}/"]', "[mnist.files]"]
    for name, data in contents():
        packed = gzip.compress(data)
        (tmp_path / name).write_bytes(packed)
        lines.append(f'"{name}" = {{ bytes = {len(packed)}, sha256 = "{hashlib.sha256(data).hexdigest()}" }}')
    (tmp_path / "datasets" / "registry.toml").write_text("\n".join(lines))
    return tmp_path


def put(folder, level=9):
    folder.mkdir(parents=True)
    for name, data in contents():
        (folder / name).write_bytes(gzip.compress(data, level))


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_scaled_to_one_and_labels_belong_to_them(home, split):
    put(home / "datasets" / "mnist")
    images, labels = load("mnist", split)
    assert images.dtype == torch.float32 and labels.dtype == torch.int64
    assert torch.equal(((images + 1) * 127.5).round().byte()[:, 0], torch.from_numpy(PIXELS[split]))
    assert labels.tolist() == list(range(len(images)))
    first, label = load("mnist", split, n=2)
    assert torch.equal(first, images[:2]) and label.tolist() == [0, 1]


def test_chosen_folder_comes_before_the_cache(home, monkeypatch):
    monkeypatch.setenv("MINIDIFF_DATA", str(home / "mine"))
    assert folders("mnist") == [home / "mine" / "mnist", home / "mine" / "MNIST" / "raw",
                                home / "datasets" / "MNIST" / "raw", home / "datasets" / "mnist"]
    put(home / "datasets" / "mnist")
    assert available("mnist")
    put(home / "mine" / "mnist", level=1)  # compressed anew: the content is what counts
    (home / "datasets" / "mnist" / NAMES["test"][0]).write_bytes(b"damaged, but nobody looks")
    assert len(load("mnist", "test")[0]) == 4
    assert verify("mnist") == [(name, None) for name, _ in contents()]


def test_what_is_nowhere_is_fetched_into_the_cache(home):
    assert not available("mnist")
    assert verify("mnist") == [(name, "not on this machine") for name, _ in contents()]
    assert len(load("mnist", "train")[0]) == 6
    assert available("mnist") and fetch("mnist") == [home / "datasets" / "mnist" / name for name, _ in contents()]


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:30] + b"!!" + data[32:],
                                    lambda data: gzip.compress(b"something else"), lambda data: b""])
def test_damaged_file_is_named_and_never_used(home, damage):
    put(home / "datasets" / "mnist")
    path = home / "datasets" / "mnist" / NAMES["train"][0]
    path.write_bytes(damage(path.read_bytes()))
    for attempt in (lambda: load("mnist", "train"), lambda: fetch("mnist")):
        with pytest.raises(DataError, match=f"{path.name} is damaged.*delete it"):
            attempt()
    (name, problem), *others = verify("mnist")
    assert name == path.name and "is damaged" in problem
    assert [problem for _, problem in others] == [None] * 3
    assert len(load("mnist", "test")[0]) == 4  # the other split is whole


def test_no_mirror_is_one_sentence_that_says_where_to_put_the_file(home):
    (home / NAMES["train"][0]).unlink()
    with pytest.raises(DataError, match="put it by hand into .*datasets.mnist, or let MINIDIFF_DATA name a folder "
                                        "that has mnist/train-images-idx3-ubyte.gz$"):
        load("mnist", "train")


@pytest.mark.parametrize("place", ["mine/MNIST/raw", "mine/mnist", "datasets/MNIST/raw", "datasets/mnist"])
def test_files_without_gzip_are_found_and_verified_where_torchvision_leaves_them_too(home, place, monkeypatch):
    monkeypatch.setenv("MINIDIFF_DATA", str(home / "mine"))
    (home / place).mkdir(parents=True)
    for name, data in contents():
        (home / place / name.removesuffix(".gz")).write_bytes(data)
    assert available("mnist") and verify("mnist") == [(name, None) for name, _ in contents()]
    assert len(load("mnist", "test")[0]) == 4
    altered = home / place / NAMES["train"][0].removesuffix(".gz")
    altered.write_bytes(altered.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match="train-images-idx3-ubyte is damaged: the sha256 of its content"):
        load("mnist", "train")


def test_a_file_without_gzip_is_not_believed_where_only_the_packed_one_has_a_digest(home):
    registry_file = home / "datasets" / "registry.toml"
    registry_file.write_text(registry_file.read_text().replace('"content"', '"file"'))
    (home / "datasets" / "mnist").mkdir()
    for name, data in contents():
        (home / "datasets" / "mnist" / name.removesuffix(".gz")).write_bytes(data)
    assert not available("mnist")


@pytest.mark.parametrize("call, reason", [
    (lambda: load("mnits", "train"), "no data set 'mnits'; there are strokes, mnist"),
    (lambda: load("strokes", "valid"), "split must be \"train\" or \"test\", got 'valid'"),
    (lambda: load("strokes", "train", n=0), "n must be at least 1, got 0"),
    (lambda: load("mnist", "test", n=5), "mnist has 4 test images, asked for were 5"),
    (lambda: load("mnist", "test", size=32), "'mnist' cannot be loaded with size = 32"),
    (lambda: available("mnits"), "no data set 'mnits'"),
    (lambda: verify("strokes"), "no data set 'strokes' in the registry")])
def test_bad_arguments_are_one_clear_sentence(home, call, reason):
    put(home / "datasets" / "mnist")
    with pytest.raises(DataError, match=reason):
        call()


def test_registry_names_two_mirrors_a_licence_and_a_digest_for_everything():
    assert set(datasets()) == {"mnist", "fashion-mnist", "cifar10"}
    for entry in datasets().values():
        assert len(set(entry.mirrors)) >= 2 and all(mirror.endswith("/") for mirror in entry.mirrors)
        assert entry.title and entry.licence and entry.source
        for file in entry.files:
            assert len(bytes.fromhex(file.digest)) == {"sha256": 32, "md5": 16}[file.algorithm]
            assert file.bytes > 1000 and file.of in ("file", "content")
    assert {file.algorithm for name in ("mnist", "cifar10") for file in dataset(name).files} == {"sha256"}


@pytest.mark.skipif(not os.environ.get("MINIDIFF_DATA"), reason="MINIDIFF_DATA names no folder with MNIST")
def test_the_real_mnist_of_the_chosen_folder():
    images, labels = load("mnist", "test")
    assert images.shape == (10_000, 1, 28, 28) and (images.min(), images.max()) == (-1, 1)
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert torch.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
