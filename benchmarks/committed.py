"""Measure the committed nets anew, by the one route to pictures: the metrics in checkpoints/*.json

    python benchmarks/committed.py [--n 1000] [NAME ...]        five minutes on two cores; needs MNIST

For when sampling changes and weights do not. Figures of other sizes than n, which stand in a record, are left out.
"""

import argparse
import json

import ddpm
import edm
import flow
from measuring import write

from minidiff.recipes.recipe import load
from minidiff.recipes.run import CHECKPOINTS

MEASURES = {
    "mnist-flow": lambda file, n: flow.measured(file, "cpu", n, flow.ALL),
    "mnist-ddpm": lambda file, n: ddpm.measured(file, "cpu", [n]),
    "mnist-edm": lambda file, n: edm.measured(*load(file), n, "cpu"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(MEASURES))
    parser.add_argument("--n", type=int, default=1000)
    args = parser.parse_args()
    for name in args.names:
        weights, file = (CHECKPOINTS / f"{name}.{kind}" for kind in ("safetensors", "json"))
        record = json.loads(file.read_text())
        record["metrics"] = MEASURES[name](weights, args.n)
        write(file, record)
        print(name, json.dumps(record["metrics"]), flush=True)


if __name__ == "__main__":
    main()
