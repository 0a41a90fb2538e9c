"""The course on a card, most valuable first: its CUDA tests, then mnist-flow and mnist-ddpm, measured. `make gpu`

    python benchmarks/gpu.py [--minutes 1] [--parts tests mnist-flow mnist-ddpm] [--out out/gpu] [--dry-run]
    python benchmarks/gpu.py --parts shapes-text emoji-text --minutes 2      the nets that draw from captions

Under 8 minutes on an H100. It may be cut off at any moment: every record is written as soon as it is there, to
OUT/gpu.json and benchmarks/gpu.json; the models are OUT/RECIPE/model.safetensors, in place of those of an earlier run.
Ctrl-C or SIGTERM while a recipe is trained keeps the model so far. --dry-run runs every line on any machine, with a
tiny net, and writes to OUT alone.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from minidiff.data.batches import each, rows_of
from minidiff.data.load import available
from minidiff.recipes.recipe import build, find, load, sample
from minidiff.recipes.run import hardware, train
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import autocast, synchronize
from minidiff.training.fit import step_generator
from minidiff.training.interrupt import Interrupt

HERE, ROOT = Path(__file__), Path(__file__).resolve().parents[1]
EVALUATIONS = {"mnist-flow": 10, "mnist-ddpm": 100, "shapes-text": 19, "emoji-text": 19}
TESTS_LIMIT = 150  # seconds
ABOUT = {"tests": 90, "mnist-flow": 180, "mnist-ddpm": 190,  # seconds, to say beforehand what fits into --limit
         "shapes-text": 200, "emoji-text": 150}
ALWAYS = ("tests", "mnist-flow", "mnist-ddpm")  # the parts that are run unless others are asked for
TINY = {"net": {"channels": [8, 8], "patch": 4, "width": 16}, "batch": 16, "fit": {"precision": "bfloat16"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of training for each recipe, default 1")
    parser.add_argument("--parts", nargs="+", choices=list(ABOUT), default=list(ALWAYS))
    parser.add_argument("--n", type=int, default=10_000, help="pictures of each measurement, default 10,000")
    parser.add_argument("--limit", type=float, default=460, help="seconds after which no part is begun, default 460")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "gpu")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    if not torch.cuda.is_available() and not args.dry_run:
        sys.exit("gpu: this machine has no usable CUDA device")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    begun, record = time.monotonic(), {"hardware": hardware(device), "torch": torch.__version__}

    def keep():
        for file in [args.out / "gpu.json"] + [HERE.with_suffix(".json")] * (not args.dry_run):
            write_whole(file, json.dumps(record, indent=1) + "\n")

    record["ceilings"] = ceilings(device, small=args.dry_run)
    for part in args.parts:
        keep()
        if time.monotonic() - begun + ABOUT[part] > args.limit:
            print(f"{part} left out: it takes about {ABOUT[part]} s, and the limit is {args.limit:.0f} s", flush=True)
            continue
        print(f"{time.monotonic() - begun:.0f} s: {part}", flush=True)
        if part == "tests":
            record["tests"] = cuda_tests(args.out)
            continue
        try:
            for found in trained_and_measured(part, args, device, record["ceilings"]):
                record[part] = found
                keep()
        except Exception as error:  # the next part may go well
            record[part] = {**record.get(part, {}), "failed": f"{type(error).__name__}: {error}"}
        if record[part].get("stopped"):
            keep()
            sys.exit(128 + record[part]["stopped"])
    record["seconds"] = round(time.monotonic() - begun)
    keep()
    print(json.dumps({k: {a: b for a, b in v.items() if a != "loss_curve"} if isinstance(v, dict) else v
                      for k, v in record.items()}, indent=1))
    sys.exit(int(any(part.get("failed") for part in record.values() if isinstance(part, dict))))


def cuda_tests(out):
    """Run the CUDA tests of the course: how many passed, failed and were skipped, and a line for each that failed."""
    start = time.monotonic()
    try:
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
                               str(ROOT / "tests" / "cuda")],
                              cwd=ROOT, text=True, capture_output=True, timeout=TESTS_LIMIT)
        said = done.stdout + done.stderr
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode() + f"\nFAILED: not done after {TESTS_LIMIT} s; 1 failed"
    write_whole(out / "tests.txt", said)
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said.splitlines()[-1])}
    return counts | {"seconds": round(time.monotonic() - start, 1),
                     "lines": [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]}


def trained_and_measured(name, args, device, ceiling):
    """Train a recipe and yield its record; then measure its pictures, and yield the record with their figures."""
    recipe, out = find(name), args.out / name
    if args.dry_run:
        recipe = made_tiny(recipe)
    length = {"steps": 3} if args.dry_run else {"minutes": args.minutes}
    data = "mnist" if available("mnist") or not args.dry_run else "strokes"
    run = build(recipe, "cuda", data, device=device)
    shutil.rmtree(out, ignore_errors=True)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with Interrupt() as stop:
        fitted, record = train(run, out, device=device, stop=stop, progress=False, **length)
    if fitted.stopped:
        record["stopped"] = int(stop.number)  # the signal
    if device.type == "cuda":
        record["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    yield record
    if fitted.stopped:
        return
    record["speed"] = speed(run, fitted, record["images_per_second"], device, ceiling)
    yield record
    recipe, net = load(out, device)
    n, start = 20 if args.dry_run else args.n, time.monotonic()
    pictures = sample(recipe, net, n, steps=EVALUATIONS[name], device=device, batch=2000)
    record["drawing"] = {"n": n, "evaluations": EVALUATIONS[name], "seconds": round(time.monotonic() - start, 1)}
    found = recipe.measure(recipe.config, pictures, recipe.draw(recipe.config).cond(n)) if recipe.measure else {}
    if found.get("distance_of_real"):
        found["times_floor"] = round(found["distance"] / found["distance_of_real"], 2)
    yield record | {"metrics": found}


def made_tiny(recipe):
    """The recipe with a tiny net, which reads a text as its own does, and with few scenes where it draws its data."""
    reads = {key: value for key, value in recipe.presets["cuda"]["net"].items() if key in ("text", "reads")}
    few = {"scenes": 100} if "scenes" in recipe.config else {}
    return replace(recipe, presets={"cuda": TINY | {"net": TINY["net"] | reads}}, config=recipe.config | few)


# --- how fast is it, beside what the card can do? -------------------------------------------------------------------

def ceilings(device, small=False):
    """What the card reaches at best: bytes a second of a copy, and operations a second of a bfloat16 matrix product."""
    n, size = (64, 2**20) if small else (8192, 2**30)
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return {"copy_gb_per_s": three(2 * size / seconds_of(lambda: target.copy_(source), device) / 1e9),
            "bf16_matrix_product_tflops": three(2 * n**3 / seconds_of(lambda: a @ b, device) / 1e12)}


def seconds_of(action, device, repeats=20):
    """How long an action takes on average, after three calls that are not counted."""
    for _ in range(3):
        action()
    synchronize(device)
    start = time.monotonic()
    for _ in range(repeats):
        action()
    synchronize(device)
    return (time.monotonic() - start) / repeats


class Traffic(TorchDispatchMode):
    """Counts the bytes that operations read and write: `all` of them, and those of `products` and convolutions alone.

    The first is what a step moves where every operation is a kernel of its own; the second what is left when the
    compiler merges all others into them. Views move nothing.
    """

    PRODUCTS = ("convolution", "mm", "bmm", "addmm", "attention")

    def __init__(self):
        super().__init__()
        self.all = self.products = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        out = op(*args, **(kwargs or {}))
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in op._schema.returns)
        moved = 0 if views else sum(x.numel() * x.element_size() for x in tree_leaves((args, kwargs, out))
                                    if isinstance(x, torch.Tensor))
        self.all += moved
        self.products += moved * any(word in op.name() for word in self.PRODUCTS)
        return out


def speed(run, fitted, images_per_second, device, ceiling):
    """The share of the card that training reaches: operations and bytes an image, forward and backward, times images.

    Both are counted on one small batch, without the compiler.
    """
    batch = each(lambda x: x[:64].to(device), run.batch_at(0))
    n, traffic, flops = rows_of(batch), Traffic(), FlopCounterMode(display=False)
    net = fitted.net.train()
    for counter in (nullcontext(), traffic, flops):  # once without: the first pass also makes what later ones reuse
        net.zero_grad(set_to_none=True)
        with counter, autocast(device, fitted.precision):
            run.loss_fn(net, batch, step_generator(0, 0))[0].backward()
    gflop, mb, least_mb = flops.get_total_flops() / n / 1e9, traffic.all / n / 1e6, traffic.products / n / 1e6
    tflops, gb_a_mb = gflop * images_per_second / 1e3, images_per_second / 1e3
    figures = {"gflop_per_image": gflop, "tflops": tflops,
               "share_of_matrix_product": tflops / ceiling["bf16_matrix_product_tflops"],
               "mb_per_image": mb, "share_of_copy": mb * gb_a_mb / ceiling["copy_gb_per_s"],
               "mb_per_image_all_merged": least_mb,
               "share_of_copy_all_merged": least_mb * gb_a_mb / ceiling["copy_gb_per_s"]}
    return {name: three(value) for name, value in figures.items()}


def three(value):
    """A number with three digits that count."""
    return float(f"{value:.3g}")


if __name__ == "__main__":
    main()
