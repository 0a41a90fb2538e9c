"""Stable Diffusion 1.5 at full size with random weights: the memory and the seconds of port and draw: sd15.json

    python benchmarks/sd15.py [--keep FOLDER] [--evaluations 1] [--threads 2] [--dtypes float16]

It writes files in the layout of diffusers with weights of the right shapes (4.3 GB, removed afterwards unless they are
kept), ports them as a person does, and draws in a process of its own. What is kept is used again, and not timed anew.
An evaluation is one of the U-Net at 512 x 512 pixels; with guidance each step takes two. Seconds are of the clock, and
beside them of all processor cores together, which hang less on what else the machine does. Peak memory is the largest
resident set, in GB of 10^9 bytes.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measuring import machine, rounded, write
from safetensors.torch import save_file

from minidiff.data.clip_tokenizer import MERGES, VISIBLE
from minidiff.recipes.sd15 import NETS, SHAPES, empty, load_sd15, recipe_for

ROOT = Path(__file__).resolve().parents[1]
FILE = Path(__file__).with_suffix(".json")
sys.path.insert(0, str(ROOT))  # the published names are written out beside the tests


def publish(folder):
    """Random weights of the right shapes as a diffusers folder, and as many merges as CLIP has."""
    from tests.ch12.sd_files import NAMES
    from tests.ch12.small_sd import as_published
    noise = torch.randn(2**22, generator=torch.Generator().manual_seed(0))  # repeated: the time depends on no value
    for part in NETS:
        net = empty(part, SHAPES[part]).to_empty(device="cpu").requires_grad_(False)
        for name, p in net.state_dict().items():
            flat = p.view(-1)
            scale = p[0].numel() ** -0.5 if p.ndim > 1 else 0.05
            for i in range(0, flat.numel(), len(noise)):
                flat[i:i + len(noise)] = scale * noise[:flat.numel() - i]
            if "norm" in name and name.endswith("weight"):
                p += 1
        path = folder / NAMES[part]
        path.parent.mkdir(parents=True)
        save_file(as_published(part, net), path)
    letters = [chr(b) for b in VISIBLE]
    pairs = [(a, b) for a in letters for b in letters] + [(a, b + "</w>") for a in letters for b in letters]
    pairs = (pairs * 2)[:MERGES]  # no list of merges in use, but one of the right length
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs),
                                                     encoding="utf-8")


@contextlib.contextmanager
def timed(spent, what):
    """Within it, what is done counts as `what` in a dict {name: {"seconds": ..., "core_seconds": ...}}."""
    clock, cores = time.monotonic(), time.process_time()
    yield
    spent[what] = {"seconds": time.monotonic() - clock, "core_seconds": time.process_time() - cores}


def in_a_process(*arguments):
    """What the last line says that this file prints when it is run with these arguments."""
    done = subprocess.run([sys.executable, __file__, *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                          text=True)
    return json.loads(done.stdout.splitlines()[-1])


def port(source, dtype, out):
    """What a process of its own measures: the command, from its first import to the record that it writes."""
    from minidiff.cli.main import main as command
    spent = {}
    with timed(spent, "port"):
        assert command(["port", "sd15", str(source), "--dtype", dtype, "--out", str(out)]) == 0
    return spent


def draw(model, evaluations):
    """What a process of its own measures: loading, reading the text, the evaluations one by one, and decoding."""
    from minidiff.recipes.recipe import sample
    spent = {}
    with timed(spent, "load"):
        net = load_sd15(model)
    with timed(spent, "read"):
        recipe = recipe_for(net, "a photograph of a red fox", steps=evaluations)
    decode = net.decode

    def timed_decode(latents):
        with timed(spent, "decode"):
            return decode(latents)
    net.decode = timed_decode
    with timed(spent, "all"):
        assert sample(recipe, net, 1).shape == (1, 3, 512, 512)
    whole, last = spent.pop("all"), spent["decode"]
    return spent | {"evaluation": {kind: (value - last[kind]) / evaluations for kind, value in whole.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, help="a folder for the files, which are used again if they are there")
    parser.add_argument("--evaluations", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtypes", nargs="+", choices=["float16", "float32"], default=["float16"])
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.draw or args.port:
        spent = draw(args.draw, args.evaluations) if args.draw else port(*args.port)
        print(json.dumps(spent | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}))
        return
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        top = args.keep or Path(temporary)
        if not (top / "sd" / "tokenizer" / "merges.txt").exists():
            publish(top / "sd")
        record = machine() | {"threads": args.threads, "side": 512}
        for dtype in args.dtypes:
            out = top / dtype
            record[dtype] = {} if (out / "model.json").exists() else {
                "port": in_a_process("--port", top / "sd", dtype, out)}
            record[dtype] |= {"draw": in_a_process("--draw", out, "--evaluations", args.evaluations),
                              "gb_on_disk": sum(file.stat().st_size for file in out.iterdir()) / 1e9}
            weights = json.loads((out / "model.json").read_text())["weights"]
            record["weights"] = weights | {"all": sum(weights.values())}
            write(FILE, {key: rounded_all(value) for key, value in record.items()})
    print(FILE.read_text())


def rounded_all(value):
    """Figures to three digits, wherever they stand."""
    if isinstance(value, dict):
        return {key: rounded_all(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded_all(item) for item in value]
    return rounded(value) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
