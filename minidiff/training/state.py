"""All that a training run needs to go on as if it had never stopped, as flat tensors."""

import torch

from minidiff.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from minidiff.training.errors import CheckpointError


def save_state(path, net, ema, optimizer, losses, config):
    """Write weights, average, optimiser, global random state and losses. config: {"step", "seconds", ...} for JSON."""
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    tensors |= {f"ema.{name}": value for name, value in ema.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
    tensors["random"] = torch.get_rng_state()
    save_checkpoint(path, tensors, config)


def load_state(path, net, ema, optimizer):
    """Restore what `save_state` wrote, in place: (losses, config). Raises CheckpointError when it does not fit."""
    tensors, config = load_checkpoint(path)
    parts = {"net": {}, "ema": {}, "optimizer": {}}
    for name, value in tensors.items():
        room, _, rest = name.partition(".")
        if room in parts:
            parts[room][rest] = value
    if "losses" not in tensors or "random" not in tensors:
        raise CheckpointError(f"{path} holds weights but no training state, so training cannot go on from it")
    load_weights(net, parts["net"], path)
    load_weights(ema, parts["ema"], path)
    state = {}
    for name, value in parts["optimizer"].items():
        i, key = name.split(".", 1)
        state.setdefault(int(i), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    torch.set_rng_state(tensors["random"])
    return tensors["losses"].tolist(), config
