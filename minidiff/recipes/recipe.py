"""A recipe says which data, net, path and loss make a named result; here is the one route from it to pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path as File

import torch

from minidiff.data.batches import Batches
from minidiff.process.denoiser import clipped
from minidiff.process.noise import Streams, normal_like
from minidiff.process.path import Path
from minidiff.recipes.catalogue import find, names
from minidiff.recipes.run import Run
from minidiff.samplers.grids import even_times
from minidiff.samplers.sampler import Sampler
from minidiff.samplers.step import final_sample
from minidiff.training.checkpoint import load_checkpoint, load_weights
from minidiff.training.device import autocast
from minidiff.training.errors import CheckpointError


def no_condition(n, **asked):
    """The conditions of a net that takes none: {}. Raises ValueError when one is asked for."""
    if asked:
        raise ValueError(f"this model takes no condition, asked for was {', '.join(asked)}")
    return {}


def from_noise(shape, times, path, generator):
    """Where a walk begins that has nothing to begin with: (noise of `shape` at times[0], times)."""
    return float(path.sigma(times[0])) * normal_like(torch.empty(shape), generator), times


def as_it_is(net, x):
    """What a walk ends with is a picture already."""
    return x


@dataclass(frozen=True)
class Draw:
    """How a trained net draws: all that `sample` does not ask for.

    path; denoiser: (net, path) -> denoiser; shape: of one picture or latent, as the net sees it; sampler, steps: the
    recipe's choice, and its evaluations of the net; grid: (path, n) -> times, for samplers without one of their own;
    cond: (n, **what was asked for) -> the net's conditions for n pictures, {name: (n, ...)}; null: from conditions to
    those that say "none", for guidance, or None where the net did not learn without; clip: whether x0 is kept in
    [-1, 1] on the way; decode: (net, the ends of the walks (n, *shape)) -> pictures.
    """

    path: Path
    denoiser: Callable
    shape: tuple
    sampler: Sampler
    steps: int
    grid: Callable = even_times
    cond: Callable = no_condition
    null: Callable | None = None
    clip: bool = True
    decode: Callable = as_it_is


@dataclass(frozen=True)
class Recipe:
    """Data, net, loss and settings of a named result. Each function takes the whole description `config`.

    data: config -> (tensors, facts): one tensor or {name: tensor}, all of N rows, and what they add to the description,
    such as the shape of a picture; net: config -> module; loss: config -> loss_fn(net, batch, generator); presets:
    {"cpu": {"net": ..., "batch": ..., "fit": ...}, "cuda": ...}; draw: config -> `Draw`; measure: (config, pictures,
    cond) -> {name: figure}; config: the recipe's constants, and in a loaded recipe everything that the file says;
    batches: tensors in random order, as `Batches`.
    """

    name: str
    data: Callable
    net: Callable
    loss: Callable
    presets: dict
    config: dict = field(default_factory=dict)
    draw: Callable | None = None
    measure: Callable | None = None
    batches: Callable = Batches


def build(recipe, preset="cpu", data="mnist", seed=0, rank=0, world=1, device="cpu", **changes):
    """The run of a recipe: a new net, its loss and its batches, ready for `train`.

    data: the name of a data set, or a folder of pictures; device: where its batches lie, if they all fit there;
    changes: other values for constants of the recipe. Raises DataError, and ValueError for a preset, a constant or a
    value that does not exist.
    """
    if preset not in recipe.presets:
        raise ValueError(f"preset must be one of {', '.join(recipe.presets)}, got {preset!r}")
    if unknown := changes.keys() - recipe.config.keys():
        known = ", ".join(recipe.config)
        raise ValueError(f"{recipe.name} has no setting {', '.join(sorted(unknown))}; it has {known}")
    chosen = recipe.presets[preset]
    config = recipe.config | changes | {"recipe": recipe.name, "preset": preset, "data": str(data), "seed": seed,
                                        "net": chosen["net"], "batch": chosen["batch"]}
    tensors, facts = recipe.data(config)
    config |= facts
    torch.manual_seed(seed)
    batches = recipe.batches(tensors, chosen["batch"], seed, rank, world).to(device)
    return Run(recipe.net(config), recipe.loss(config), batches.at, chosen["fit"] | {"seed": seed}, config)


def load(checkpoint, device="cpu"):
    """Read a trained model: (recipe, net), the recipe with the description of the file in its `config`.

    checkpoint: a .safetensors file or the folder of a training run. Raises CheckpointError.
    """
    recipe, tensors, file = recipe_in(checkpoint)
    config = recipe.config
    broken = [name for name, x in tensors.items() if x.is_floating_point() and not x.isfinite().all()]
    if broken:
        raise CheckpointError(f"{file} holds weights that are not finite numbers, in {broken[0]}")
    try:
        net, _ = recipe.net(config), config["data"]  # which a measure asks for
        recipe.draw and recipe.draw(config)
    except KeyError as error:
        raise CheckpointError(f"{file} lacks {error} in its description, so the model cannot be built") from None
    except Exception as error:  # whatever a wrong value breaks in a net, a path or a draw
        what, *_ = str(error).splitlines() or [type(error).__name__]
        raise CheckpointError(f"the description in {file} does not make a model of {recipe.name}: {what}") from None
    return recipe, load_weights(net, tensors, file).eval().requires_grad_(False).to(device)


def recipe_in(checkpoint):
    """What a trained model was made by: (recipe, tensors, file), the recipe with the file's description as `config`.

    checkpoint: as for `load`. Raises CheckpointError when there is none, or of a recipe that is not known.
    """
    file = File(checkpoint) / "model.safetensors" if File(checkpoint).is_dir() else File(checkpoint)
    tensors, config = load_checkpoint(file)
    if config.get("recipe") not in names():
        raise CheckpointError(f"{file} is of the recipe {config.get('recipe')!r}, which this course does not have")
    return replace(find(config["recipe"]), config=config), tensors, file


@torch.no_grad()
def sample(recipe, net, n, *, steps=None, sampler=None, grid=None, seed=0, device="cpu", batch=250, wrap=None,
           start=from_noise, progress=None, **cond):
    """n pictures of a trained net on the CPU: picture i of a seed is the same for every n, batch and order of calls.

    steps: evaluations of the net a picture; sampler: a `Sampler`; grid: (path, n) -> times; each by default what the
    recipe or the sampler says. wrap: takes the denoiser and returns one (guidance); start: (shape (B, ...), times,
    path, generator) -> (x, the times that are left), where the walks of a batch begin; cond: what the recipe can be
    asked for, such as label=7. progress: a callable around the batches (tqdm). Raises ValueError on a bad argument.
    """
    if recipe.draw is None:
        raise ValueError(f"{recipe.name} draws no pictures")
    if n < 1 or batch < 1:
        raise ValueError(f"n and batch must be at least 1, got {n} and {batch}")
    how = recipe.draw(recipe.config)
    sampler = sampler or how.sampler
    path, given = sampler.ready(how.path), how.cond(n, **cond)
    times = (grid or sampler.grid or how.grid)(path, sampler.steps(steps or how.steps))
    denoiser = how.denoiser(net, path)
    denoiser = wrap(denoiser) if wrap else denoiser
    denoiser = clipped(denoiser, path) if how.clip else denoiser
    pictures = []
    for first in (progress or iter)(range(0, n, batch)):
        rows = slice(first, min(first + batch, n))
        streams = Streams(seed, first, rows.stop - first)
        x, left = start((rows.stop - first, *how.shape), times, path, streams)
        ask = partial(denoiser, **{name: value[rows].to(device) for name, value in given.items()})
        more = {"generator": streams} if sampler.draws else {}
        with autocast(device, "bfloat16" if torch.device(device).type == "cuda" else "float32"):
            pictures.append(how.decode(net, final_sample(sampler.run(ask, x.to(device), left, path, **more))).cpu())
    pictures = torch.cat(pictures)
    if not pictures.isfinite().all():
        raise ValueError(f"{recipe.name} drew values that are not finite numbers: its net or the sampler is broken")
    return pictures
