"""What several benchmarks share: train a recipe and keep it, draw and measure digits, fill a table cell by cell."""

import json
import os
import shutil
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from minidiff.data.batches import each, rows_of
from minidiff.data.load import load as load_data
from minidiff.recipes.recipe import build, sample
from minidiff.recipes.run import CHECKPOINTS, hardware, train
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit, step_generator


def write(file, record):
    """Keep a record as JSON, whole or not at all."""
    write_whole(file, json.dumps(record, indent=1) + "\n")


def rounded(value, n=3):
    """A number with n digits that count."""
    return float(f"{float(value):.{n}g}")


def some(split, n=None, seed=0):
    """n MNIST images of a split (all by default) in the random order of the seed: MNIST's own order is not random."""
    images = load_data("mnist", split)[0]
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n]]


def trained(recipe, preset, folder, device, unit, length):
    """Train a recipe in a folder, which it goes on from if it holds a state; returns the record.

    unit: "steps", "minutes" of the clock, or "core_minutes", as many steps as take so much time of one processor core,
    for a machine that is shared. The record also says how busy the machine was, and the processor time.
    """
    limit = {unit: length}
    if unit == "core_minutes":
        limit = {"steps": round(60 * length / seconds_of_a_step(build(recipe, preset)))}
    before, start = os.getloadavg()[0], time.process_time()
    _, record = train(build(recipe, preset), folder, device=device, resume=(folder / "state.safetensors").exists(),
                      **limit)
    return record | {unit: length, "cpu_seconds": round(time.process_time() - start), "cores": os.cpu_count(),
                     "load_average_before_and_after": [round(before, 1), round(os.getloadavg()[0], 1)]}


def seconds_of_a_step(run, steps=30):
    """The processor time of one training step of a run, which is thrown away."""
    fit(run.net, run.loss_fn, run.batch_at, steps=3, **run.fit)
    start = time.process_time()
    fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit)
    return (time.process_time() - start) / steps


def flops_of_an_image(run, device="cpu", n=32):
    """Floating-point operations of one image in training, forward and backward, as torch counts them."""
    net, batch = run.net.to(device), each(lambda x: x[:n].to(device), run.batch_at(0))
    with FlopCounterMode(display=False) as counter:
        run.loss_fn(net, batch, step_generator(0, 0))[0].backward()
    return counter.get_total_flops() / rows_of(batch)


def keep(folder, record):
    """Put the model of a folder and its record into checkpoints/, under the name of its recipe (and its preset)."""
    name = record["recipe"] if record["preset"] == "cpu" else f"{record['recipe']}-{record['preset']}"
    shutil.copyfile(folder / "model.safetensors", CHECKPOINTS / f"{name}.safetensors")
    write(CHECKPOINTS / f"{name}.json", record)


def of_the_preset(file, preset):
    """The file of the records of a preset: name.json, or name-cuda.json."""
    return file.with_suffix(".json") if preset == "cpu" else file.with_name(f"{file.stem}-{preset}.json")


def cost(sampler, evaluations):
    """What at most so many evaluations of the net buy: {"steps": of the sampler, "evaluations": that these take}."""
    steps = sampler.steps(evaluations)
    return {"steps": steps, "evaluations": sampler.each * steps + sampler.more}


def quality(judge, recipe, net, n, evaluations, sampler, device="cpu", **asked):
    """The distance of n digits, and where labels are asked for the share that is read as such: a row of a table."""
    start, busy = time.monotonic(), time.process_time()
    images = sample(recipe, net, n, steps=evaluations, sampler=sampler, device=device, **asked)
    row = {"n": n} | cost(sampler, evaluations) | {"distance": round(judge.distance(images), 1)}
    if "label" in asked:
        row["accuracy"] = round((judge.labels(images) == asked["label"]).float().mean().item(), 3)
    return row | {"seconds": round(time.monotonic() - start, 1), "cpu_seconds": round(time.process_time() - busy, 1)}


def distances(judge, images, sizes):
    """{size: distance of the first `size` images}, for each of the sizes that there are."""
    return {str(size): round(judge.distance(images[:size]), 1) for size in sizes if size <= len(images)}


def floor(judge, sizes):
    """The distance of real test images: {size: [mean, standard deviation]} over disjoint random sets."""
    images = some("test")
    found = {size: torch.tensor([judge.distance(part) for part in images.split(size)]) for size in sizes}
    return {str(size): [round(d.mean().item(), 1), round(d.std().item(), 1)] for size, d in found.items()}


def machine():
    """What figures depend on beside the code."""
    return {"hardware": hardware(), "torch": torch.__version__}


def fill(file, head, wanted, measure, rows="cells", done=lambda row: True):
    """Measure what a table lacks, and write the file after each row, so that a run can be stopped and gone on with.

    head: a function without arguments, what stands above the rows of a new file; wanted: a list of {name: value}, what
    tells one row from another; measure(**key) -> the rest of the row; done: whether a row that is there is whole.
    """
    record = json.loads(file.read_text()) if file.exists() else head() | machine() | {rows: []}
    for key in wanted:
        known = [row for row in record[rows] if key.items() <= row.items()]
        if not any(done(row) for row in known):
            record[rows] = [row for row in record[rows] if row not in known] + [key | measure(**key)]
            print(record[rows][-1], flush=True)
            write(file, record)
    return record
