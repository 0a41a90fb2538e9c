"""The training loop of the whole course. It sees a loss, never what the loss is about."""

import copy
import math
import time
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn.parallel import DistributedDataParallel

from minidiff.data.batches import each, moved, rows_of
from minidiff.training.compile import prepare_model
from minidiff.training.device import autocast, channels_last, fast_kernels
from minidiff.training.ema import ema_update_at_once
from minidiff.training.errors import TrainingError
from minidiff.training.parallel import agree, ranks
from minidiff.training.progress import Progress
from minidiff.training.state import load_state, save_state

READ_EVERY = {"cpu": 1}  # on a card 20: reading a loss waits until the device has come to it


@dataclass
class Fitted:
    """A trained net, its average, the loss of every step, and what it cost.

    seconds: on the clock of training, with those before a resume; compile_seconds: before that clock started.
    begun: the step that this run went on from; stopped: whether it ended before its length because it was asked to.
    """

    net: torch.nn.Module
    ema: torch.nn.Module
    losses: list
    steps: int
    seconds: float
    images: int
    compile_seconds: float = 0.0
    compiled: bool = False
    precision: str = "float32"
    begun: int = 0
    stopped: bool = False


def learning_rate(progress, step, lr, warmup=100, flat=0.5):
    """Linear warm-up over `warmup` steps, flat until the fraction `flat` of the run, then a straight line to zero.

    progress: the fraction of the run that is done, 0..1; step: 0, 1, 2, ...
    """
    return lr * min(1.0, (step + 1) / max(warmup, 1), max(0.0, 1 - progress) / (1 - flat))


def step_generator(seed, step, rank=0):
    """The random numbers of one step, a function of (seed, step, rank) alone: a resumed run draws the same."""
    return torch.Generator().manual_seed(((seed * 1_000_003 + step) * 1009 + rank) % 2**63)


def adamw(net, lr=1e-3, weight_decay=0.0):
    """AdamW (Loshchilov and Hutter 2019) over all weights that are to be trained; in one kernel on CUDA."""
    weights = [p for p in net.parameters() if p.requires_grad]
    return torch.optim.AdamW(weights, lr, weight_decay=weight_decay, fused=any(p.is_cuda for p in weights))


def fit(net, loss_fn, batch_at, *, steps=None, minutes=None, optimizer=adamw, lr=1e-3, warmup=100, flat=0.5,
        ema_decay=0.999, clip=1.0, seed=0, device="cpu", precision="float32", compile=False, accumulate=1,
        weight_decay=0.0, state_path=None, save_every=30.0, resume=False, config=None, progress=False, callback=None,
        stop=None):
    """Train `net` for a number of steps or of minutes. Returns `Fitted`.

    loss_fn(net, batch, generator) -> (scalar, logs); batch_at(step) -> this rank's batch, a tensor or a dict of tensors
    (put the step in where the loss has to know it), a pure function of step. steps or minutes: exactly one, the length
    of the whole run; under `minutes` the learning rate follows the clock. optimizer(net, lr, weight_decay) -> one
    torch.optim.Optimizer or several; each of their groups keeps its lr as the peak of `learning_rate` (warmup, flat).
    clip: largest gradient norm. precision, compile: as in `prepare_model`, before the clock starts. accumulate: batches
    a step. state_path: where the state is saved every `save_every` seconds and at the end; resume goes on from it.
    config: a description kept in that state, which must be the same on resume. progress: a bar, or a line a minute.
    callback(step, loss, ema) after each step, the loss a tensor: reading it waits for the device. stop(): asked before
    each step; once true, the run ends there as at its length. With torch.distributed initialised, gradients are
    averaged over the ranks, and rank 0 saves. Raises TrainingError when the loss is not finite (the saved state stays
    as it was), CheckpointError when the state cannot be read or written, ValueError on bad arguments.
    """
    _check_length(steps, minutes)
    device, config, (world, rank) = torch.device(device), config or {}, ranks()
    net = channels_last(net.to(device)).train()
    ema = copy.deepcopy(net).eval().requires_grad_(False)
    made = optimizer(net, lr, weight_decay)
    optimizers = made if isinstance(made, (list, tuple)) else [made]
    losses, pending, parts = [], [], {"nets": {"net": net, "ema": ema}, "optimizers": {
        f"optimizer{i or ''}": one for i, one in enumerate(optimizers)}}
    past = {"seconds": 0.0, "images": 0, "compile_seconds": 0.0, "compiled": compile, "precision": precision}
    if resume:
        losses, saved = load_state(state_path, **parts)
        if saved["config"] != config:
            raise TrainingError(f"{state_path} is from another run: it says {saved['config']}, asked for is {config}")
        past |= saved
    peaks = [(group, group["lr"]) for one in optimizers for group in one.param_groups]
    total, every = steps or 60 * minutes, READ_EVERY.get(device.type, 20)
    one_pass = partial(_add_gradients, loss_fn=loss_fn, batch_at=batch_at, accumulate=accumulate, seed=seed, rank=rank,
                       device=device)
    with fast_kernels(device):
        ready = prepare_model(net, partial(one_pass, step=len(losses)), device, compile=past["compiled"], steps=steps,
                              precision=past["precision"], seconds=minutes and 60 * minutes)
        model = DistributedDataParallel(ready.model) if world > 1 else ready.model
        run = Fitted(net, ema, losses, len(losses), past["seconds"], past["images"],
                     past["compile_seconds"] + ready.seconds, ready.compiled, ready.precision, begun=len(losses))
        bar = Progress(total, *(("steps", run.steps) if steps else ("s", run.seconds)), progress and rank == 0)
        start, saved_at = time.monotonic() - run.seconds, time.monotonic()
        while True:
            if world == 1 or run.steps % every == 0:  # agreeing waits for the device
                run.seconds, run.stopped = agree(time.monotonic() - start, stop is not None and stop())
            done = run.steps if steps else run.seconds
            if done >= total or run.stopped:
                break
            for group, peak in peaks:
                group["lr"] = learning_rate(done / total, run.steps, peak, warmup, flat)
            net.zero_grad(set_to_none=True)
            loss, seen = one_pass(model, ready.precision, step=run.steps)
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
            for one in optimizers:
                one.step()
            ema_update_at_once(ema, net, run.steps, ema_decay)
            run.steps, run.images = run.steps + 1, run.images + world * seen
            pending.append(loss)
            if run.steps % every == 0:
                _read(pending, run, state_path)
            bar.update(run.steps if steps else time.monotonic() - start, partial(_words, run, start))
            if callback is not None:
                callback(run.steps, loss, ema)
            if time.monotonic() - saved_at > save_every and not pending:
                _save(state_path, parts, run, config, time.monotonic() - start, rank)
                saved_at = time.monotonic()
        _read(pending, run, state_path)
        run.seconds, run.stopped = time.monotonic() - start, bool(run.stopped)
        bar.close()
        _save(state_path, parts, run, config, run.seconds, rank)
    net.eval()
    return run


def _check_length(steps, minutes):
    if (steps is None) == (minutes is None):
        raise ValueError(f"give steps or minutes, one of the two: got steps = {steps}, minutes = {minutes}")
    if (steps if minutes is None else minutes) <= 0:
        raise ValueError(f"steps and minutes must be positive, got steps = {steps}, minutes = {minutes}")


def _add_gradients(model, precision, step, *, loss_fn, batch_at, accumulate, seed, rank, device):
    """Leave the mean gradient over the batches of a step in the weights. Returns (mean loss, how many images)."""
    loss, images = 0.0, 0
    for index in range(step * accumulate, (step + 1) * accumulate):
        batch = each(partial(moved, device=device), batch_at(index))
        with autocast(device, precision):
            part_loss, _ = loss_fn(model, batch, step_generator(seed, index, rank))
        (part_loss / accumulate).backward()
        loss = loss + part_loss.detach() / accumulate
        images += rows_of(batch)
    return loss, images


def _read(pending, run, state_path):
    """Move the losses of the last steps to the CPU, all at once; a loss that is not finite ends the run."""
    values = torch.stack(pending).tolist() if pending else []
    pending.clear()
    if not all(math.isfinite(value) for value in values):
        kept = f"; the state before it is kept in {state_path}" if state_path else ""
        raise TrainingError(f"the loss became {next(v for v in values if not math.isfinite(v))} within the last "
                            f"{len(values)} steps before step {run.steps}{kept}; try a lower learning rate")
    run.losses.extend(values)


def _words(run, start):
    recent = run.losses[-50:] or [math.nan]
    rate = run.images / max(time.monotonic() - start, 1e-9)
    return f"loss {sum(recent) / len(recent):.4f}, {rate:.0f} images/s"


def _save(state_path, parts, run, config, seconds, rank):
    if state_path is not None and rank == 0:
        save_state(state_path, **parts, losses=run.losses, config={
            "config": config, "step": run.steps, "seconds": seconds, "images": run.images,
            "compile_seconds": run.compile_seconds, "compiled": run.compiled, "precision": run.precision})
