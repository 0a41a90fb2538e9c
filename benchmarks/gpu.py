"""The `cuda` preset, measured: trains mnist-ddpm, keeps checkpoints/mnist-ddpm-cuda.*, and adds speeds to its record.

    python benchmarks/gpu.py [--minutes 4]      called by `make gpu`; needs a CUDA device and MNIST
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from measuring import flops_of_an_image, write

from minidiff.recipes.mnist_ddpm import RECIPE
from minidiff.recipes.recipe import build
from minidiff.recipes.run import CHECKPOINTS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu: this machine has no usable CUDA device")
    subprocess.run([sys.executable, Path(__file__).with_name("ddpm.py"), "--preset", "cuda", "--minutes",
                    str(args.minutes), "--keep"], check=True)
    file = CHECKPOINTS / "mnist-ddpm-cuda.json"
    record = json.loads(file.read_text())
    flops, ceiling = flops_of_an_image(build(RECIPE, "cuda", "strokes"), "cuda"), matrix_product_ceiling()
    reached = flops * record["images_per_second"]
    record["speed"] = {"gflop_per_image": round(flops / 1e9, 3), "tflops": round(reached / 1e12, 2),
                       "bf16_matrix_product_tflops": round(ceiling / 1e12, 1), "fraction": round(reached / ceiling, 4)}
    write(file, record)
    rate = {"images_per_second": record["images_per_second"]}
    print(json.dumps(record["speed"] | rate | record["metrics"], indent=1))


def matrix_product_ceiling(n=8192, repeats=20):
    """Measured floating-point operations a second of a bfloat16 matrix product."""
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    a @ b
    torch.cuda.synchronize()
    start = time.monotonic()
    for _ in range(repeats):
        a @ b
    torch.cuda.synchronize()
    return 2 * n**3 * repeats / (time.monotonic() - start)


if __name__ == "__main__":
    main()
