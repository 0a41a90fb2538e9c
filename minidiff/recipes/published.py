"""Published files of weights: which of them are needed, whether they are whole, and whether all in them is known.

Only safetensors are read. A pickle (.ckpt, .bin, .pt) can run any code when it is opened; none is opened here.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from minidiff.process.schedules import alpha_bar_of, scaled_linear_betas
from minidiff.recipes.sd15 import NETS
from minidiff.recipes.sd_names import is_unused, own_name
from minidiff.training.errors import CheckpointError

FOLDERS = ("unet", "vae", "text_encoder")  # of a diffusers folder
PICKLES = {".ckpt", ".bin", ".pt", ".pth", ".pkl"}
FLOATS = {"F16", "BF16", "F32", "F64"}
ONE_BY_ONE = re.compile(r"(?:en|de)coder\.middle\.1\.[qkvo]\.weight")  # a linear map here, a 1x1 convolution in LDM's


@dataclass(frozen=True)
class Tensor:
    """A tensor of an open file: where it is, and what it is called there."""

    path: Path
    file: safe_open
    name: str

    def shape(self):
        """Its shape, without reading it. Raises CheckpointError when it holds no real numbers."""
        part = self.file.get_slice(self.name)
        if part.get_dtype() not in FLOATS:
            raise CheckpointError(f"{self.path}: {self.name} holds {part.get_dtype()}, and a weight is a float")
        return tuple(part.get_shape())

    def read(self, shape, dtype):
        """The tensor in this shape and type. Raises CheckpointError where its numbers are not finite, or too large."""
        source = self.file.get_tensor(self.name)
        value = source.to(dtype)
        if not value.isfinite().all():
            why = "is too large for float16: take --dtype float32" if source.isfinite().all() else \
                "holds values that are not finite numbers"
            raise CheckpointError(f"{self.path}: {self.name} {why}")
        return value.reshape(shape).contiguous()


def files_of(given):
    """The files of weights, and that of the merges, that were given: ([Path, ...], Path).

    given: a folder as diffusers lays it out, or files: .safetensors, and merges.txt or OpenAI's .txt.gz. Raises
    ValueError for what is missing or unknown, and CheckpointError for a pickle.
    """
    weights, merges = [], []
    for path in map(Path, given):
        if path.is_dir():
            weights += [weights_in(path / name) for name in FOLDERS]
            merges += [path / "tokenizer" / "merges.txt"]
        elif not path.is_file():
            raise ValueError(f"there is no file {path}")
        elif path.suffix in (".txt", ".gz"):
            merges.append(path)
        else:
            weights.append(path)
    for path in weights:
        refuse_pickle(path)
        if path.suffix != ".safetensors":
            raise ValueError(f"weights come as .safetensors, got {path}")
    if not weights:
        raise ValueError("no file of weights was given: name a .safetensors, or a folder with unet, vae and "
                         "text_encoder in it")
    if len(merges) != 1 or not merges[0].is_file():
        what = "got none" if not merges else f"there is no {merges[0]}" if len(merges) == 1 else f"got {len(merges)}"
        raise ValueError(f"the prompt is read with CLIP's merges: name its merges.txt beside the weights, {what}")
    return weights, merges[0]


def weights_in(folder):
    """The one file of weights in a subfolder of diffusers; of several, the one in full precision.

    Raises ValueError when there is none, and CheckpointError when there are pickles alone.
    """
    usual = [folder / f"{stem}{half}.safetensors" for half in ("", ".fp16") for stem in ("diffusion_pytorch_model",
                                                                                        "model")]
    there = [path for path in usual if path.is_file()]
    if there:
        return there[0]
    for path in sorted(folder.glob("*")):
        refuse_pickle(path)
    raise ValueError(f"there is no file of weights in {folder}: it should hold {usual[0].name} or {usual[1].name}")


def refuse_pickle(path):
    """Raise CheckpointError for a file that is a pickle, by its name or by its first bytes."""
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(2)
    if path.suffix in PICKLES or head == b"PK" or head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        raise CheckpointError(f"{path} is a pickle, which can run any code when it is opened, so it is not: take the "
                              ".safetensors of the same weights")


def sorted_by_net(paths, opened):
    """All tensors of the files by the net and the name that they have here: {part: {name: Tensor}}.

    opened: an ExitStack that keeps the files open. Raises CheckpointError for a file that is no whole safetensors
    file, for a name that Stable Diffusion 1.5 does not have, and for one that comes twice.
    """
    found = {part: {} for part in NETS}
    for path in paths:
        try:
            file = opened.enter_context(safe_open(path, framework="pt"))
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a whole safetensors file ({error})") from None
        for name in file.keys():
            if place := own_name(name):
                part, own = place
                if own in found[part]:
                    raise CheckpointError(f"{path}: {name} is a second {own} of the {part}: give each net once")
                found[part][own] = Tensor(path, file, name)
            elif not is_unused(name):
                raise CheckpointError(f"{path} is not of Stable Diffusion 1.5, which has no {name!r}")
            elif name == "alphas_cumprod":
                check_table(path, file.get_tensor(name))
    return found


def check_table(path, table):
    """Raise CheckpointError unless a file's own table of alpha_bar_t is the one that the course computes."""
    ours = alpha_bar_of(scaled_linear_betas())[1:]
    if table.shape != ours.shape or (table.double() - ours).abs().max() > 1e-4:
        raise CheckpointError(f"{path} is not of Stable Diffusion 1.5: its alphas_cumprod are other ones")


def check(part, net, tensors):
    """Raise CheckpointError unless the names of the tensors are those of the net, and their shapes too."""
    own = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    if not tensors:
        raise CheckpointError(f"no file holds the {part} of Stable Diffusion 1.5: name one for each net")
    any_path = next(iter(tensors.values())).path
    if missing := sorted(own.keys() - tensors.keys()):
        raise CheckpointError(f"{any_path} lacks {len(missing)} of the {len(own)} tensors of the {part}, such as "
                              f"{missing[0]}")
    if unused := sorted(tensors.keys() - own.keys()):
        raise CheckpointError(f"{any_path} is not of Stable Diffusion 1.5, whose {part} has no "
                              f"{tensors[unused[0]].name!r}")
    for name, wanted in own.items():
        got = tensors[name].shape()
        if got != wanted and not (ONE_BY_ONE.fullmatch(name) and got == (*wanted, 1, 1)):
            raise CheckpointError(f"{tensors[name].path} does not fit: {tensors[name].name} is {got}, and in Stable "
                                  f"Diffusion 1.5 {wanted}")
