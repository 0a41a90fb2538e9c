"""The training loop of the whole course. It sees a loss, never what the loss is about."""

import copy
import math
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from minidiff.data.batches import each, rows_of
from minidiff.training.device import autocast
from minidiff.training.ema import ema_update
from minidiff.training.errors import TrainingError
from minidiff.training.state import load_state, save_state


@dataclass
class Fitted:
    """A trained net, its average, the loss of every step, and what it cost."""

    net: torch.nn.Module
    ema: torch.nn.Module
    losses: list
    steps: int
    seconds: float
    images: int


def learning_rate(progress, step, lr, warmup=100, flat=0.5):
    """Linear warm-up over `warmup` steps, flat until the fraction `flat` of the run, then a straight line to zero.

    progress: the fraction of the run that is done, 0..1; step: 0, 1, 2, ...
    """
    return lr * min(1.0, (step + 1) / max(warmup, 1), max(0.0, 1 - progress) / (1 - flat))


def step_generator(seed, step, rank=0):
    """The random numbers of one step, a function of (seed, step, rank) alone: a resumed run draws the same."""
    return torch.Generator().manual_seed(((seed * 1_000_003 + step) * 1009 + rank) % 2**63)


def fit(net, loss_fn, batch_at, *, steps=None, minutes=None, lr=1e-3, warmup=100, flat=0.5, ema_decay=0.999,
        clip=1.0, seed=0, device="cpu", precision="float32", compile=False, accumulate=1, weight_decay=0.0,
        state_path=None, save_every=30.0, resume=False, config=None, progress=False, callback=None):
    """Train `net` with AdamW (Loshchilov and Hutter 2019) for a number of steps or of minutes.

    loss_fn(net, batch, generator) -> (scalar, logs); batch_at(step) -> this rank's batch, a pure function of step.
    steps or minutes: exactly one; under `minutes` the learning rate follows the clock. lr, warmup, flat: see
    `learning_rate`. clip: largest gradient norm. accumulate: batches a step. state_path: where the state is saved every
    `save_every` seconds and at the end; resume goes on from it. config: a description kept in that state, which must be
    the same on resume. progress: a bar with loss and images/s. callback(step, loss, ema) after each step.
    With torch.distributed initialised, gradients are averaged over the ranks, and rank 0 saves. Returns `Fitted`.
    Raises TrainingError when the loss is not finite (the saved state stays as it was), ValueError on bad arguments.
    """
    if (steps is None) == (minutes is None):
        raise ValueError(f"give steps or minutes, one of the two: got steps = {steps}, minutes = {minutes}")
    if (steps if minutes is None else minutes) <= 0:
        raise ValueError(f"steps and minutes must be positive, got steps = {steps}, minutes = {minutes}")
    device = torch.device(device)
    world, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
    net = net.to(device, memory_format=torch.channels_last).train()
    ema = copy.deepcopy(net).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(net.parameters(), lr, weight_decay=weight_decay, fused=device.type == "cuda")
    losses, spent, images, config = [], 0.0, 0, config or {}
    if resume:
        losses, saved = load_state(state_path, net, ema, optimizer)
        if saved["config"] != config:
            raise TrainingError(f"{state_path} is from another run: it says {saved['about']}, asked for is {config}")
        spent, images = saved["seconds"], saved["images"]
    model = torch.compile(net) if compile else net
    if world > 1:
        model = DistributedDataParallel(model)

    def save(step):
        if state_path is not None and rank == 0:
            save_state(state_path, net, ema, optimizer, losses,
                       {"config": config, "step": step, "seconds": spent + clock(), "images": images})

    start, clock, saved_at = time.monotonic(), lambda: time.monotonic() - start, 0.0
    step, pending = len(losses), []
    total = steps if steps is not None else 60 * minutes
    bar = tqdm(total=total, initial=round(step if steps else spent), disable=not progress or rank > 0,
               unit="steps" if steps else "s", mininterval=0.5,
               bar_format="{l_bar}{bar}| {n:.0f}/{total:.0f} {unit}, {remaining} left{postfix}")
    while (done := (step if steps is not None else _same_everywhere(spent + clock(), world))) < total:
        optimizer.param_groups[0]["lr"] = learning_rate(done / total, step, lr, warmup, flat)
        optimizer.zero_grad(set_to_none=True)
        parts = range(step * accumulate, (step + 1) * accumulate)
        loss, seen = _add_gradients(model, loss_fn, batch_at, parts, seed, rank, device, precision)
        images += seen * world
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        pending.append(loss)
        optimizer.step()
        ema_update(ema, net, step, ema_decay)
        step += 1
        if device.type == "cpu" or step % 20 == 0:  # reading a loss waits for the device
            _read(pending, losses, step, state_path)
            recent = losses[-50:]
            rate = images / (spent + clock())
            bar.set_postfix_str(f"loss {sum(recent) / len(recent):.4f}, {rate:.0f} images/s", refresh=False)
        bar.update(1 if steps is not None else max(0, min(total, spent + clock()) - bar.n))
        if callback is not None:
            callback(step, float(loss), ema)
        if clock() - saved_at > save_every and not pending:
            save(step)
            saved_at = clock()
    _read(pending, losses, step, state_path)
    bar.close()
    save(step)
    return Fitted(net.eval(), ema, losses, step, spent + clock(), images)


def _add_gradients(model, loss_fn, batch_at, parts, seed, rank, device, precision):
    """Leave the mean gradient over some batches in the parameters. Returns (mean loss, how many images)."""
    loss, images = 0.0, 0
    for index in parts:
        batch = batch_at(index)
        with autocast(device, precision):
            part_loss, _ = loss_fn(model, each(lambda x: x.to(device), batch), step_generator(seed, index, rank))
        (part_loss / len(parts)).backward()
        loss = loss + part_loss.detach() / len(parts)
        images += rows_of(batch)
    return loss, images


def _read(pending, losses, step, state_path):
    """Move the losses of the last steps to the CPU; a loss that is not finite ends the run."""
    values = [float(value) for value in pending]
    pending.clear()
    if not all(math.isfinite(value) for value in values):
        kept = f"; the state before it is kept in {state_path}" if state_path else ""
        raise TrainingError(f"the loss became {next(v for v in values if not math.isfinite(v))} within the last "
                            f"{len(values)} steps before step {step}{kept}; try a lower learning rate")
    losses.extend(values)


def _same_everywhere(seconds, world):
    """The clock of rank 0, so that all ranks stop at the same step."""
    if world == 1:
        return seconds
    clock = torch.tensor([seconds], dtype=torch.float64)
    clock = clock.cuda() if dist.get_backend() == "nccl" else clock
    dist.broadcast(clock, src=0)
    return clock.item()
