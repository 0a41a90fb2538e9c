"""All that a training run needs to go on as if it had never stopped, as flat tensors."""

import torch

from minidiff.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from minidiff.training.errors import CheckpointError


def save_state(path, nets, optimizers, losses, config):
    """Write weights, optimisers, the global random state and the losses as one file.

    nets: {"net": module, "ema": module, ...} and optimizers: {"optimizer": ..., ...}, any number of them under names
    without a dot, no name twice; losses: a list of numbers; config: what JSON can hold, {"step": ..., "seconds": ...}.
    Raises CheckpointError when the file cannot be written, and then the old one is still there.
    """
    tensors = {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}
    for name, optimizer in optimizers.items():
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{i}.{key}": torch.as_tensor(value) for key, value in state.items()
                        if value is not None}
    tensors |= {"losses": torch.tensor(losses, dtype=torch.float64), **random_state()}
    save_checkpoint(path, tensors, config)


def load_state(path, nets, optimizers):
    """Restore what `save_state` wrote, in place: (losses, config). The names must be those that were saved.

    Raises CheckpointError when the file does not fit.
    """
    tensors, config = load_checkpoint(path)
    if "losses" not in tensors or "random" not in tensors:
        raise CheckpointError(f"{path} holds weights but no training state, so training cannot go on from it")
    parts = {name: {} for name in (*nets, *optimizers)}
    for name, value in tensors.items():
        part, dot, rest = name.partition(".")
        if dot and part not in parts:
            raise CheckpointError(f"{path} is the state of another training: it holds {part!r}, asked for were "
                                  f"{', '.join(parts)}")
        if dot:
            parts[part][rest] = value
    for name, net in nets.items():
        load_weights(net, parts[name], path)
    for name, optimizer in optimizers.items():
        state, weights = {}, [p for group in optimizer.param_groups for p in group["params"]]
        for key, value in parts[name].items():
            i, key = key.split(".", 1)
            state.setdefault(int(i), {})[key] = _laid_out_like(weights[int(i)], value)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    set_random_state(tensors)
    return tensors["losses"].tolist(), config


def random_state():
    """The state of torch's global random numbers, {"random": ...} and, once CUDA is in use, "random_cuda" too."""
    cuda = {"random_cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {}
    return {"random": torch.get_rng_state(), **cuda}


def set_random_state(state):
    """Go back to a `random_state`; other entries of `state` are not looked at."""
    torch.set_rng_state(state["random"])
    if "random_cuda" in state and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(state["random_cuda"])


def _laid_out_like(weight, value):
    """A file keeps no layout, and one call updates many weights only where weight and state are laid out alike."""
    return torch.empty_like(weight, dtype=value.dtype).copy_(value) if value.shape == weight.shape else value
