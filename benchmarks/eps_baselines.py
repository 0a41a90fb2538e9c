"""The noise error on MNIST of the best linear denoiser and of the memoriser: benchmarks/eps_baselines.json

    python benchmarks/eps_baselines.py        about four minutes on one core; needs MNIST
"""

import time
from pathlib import Path

import torch
from measuring import machine, rounded, some, write

from minidiff.data.load import load
from minidiff.evaluation.eps_baselines import memoriser_eps_mse, wiener_eps_mse
from minidiff.process.path import discrete_path
from minidiff.process.schedules import alpha_bar_of, linear_betas

BINS, T_OF_BIN, TEST, SEED = 10, 10, 250, 0


def main():
    start = time.monotonic()
    (real, _), (test, _) = load("mnist", "train"), load("mnist", "test")
    path = discrete_path(alpha_bar_of(linear_betas()))
    wiener = wiener_eps_mse(test, real, path)[1:]
    generator, few = torch.Generator().manual_seed(SEED), some("test", TEST, SEED)
    middles = (torch.arange(BINS * T_OF_BIN) + 0.5) * path.T / (BINS * T_OF_BIN)
    memoriser = torch.tensor([memoriser_eps_mse(few, real, int(t), path, generator) for t in middles])
    record = {
        "what": "mean squared error of the predicted noise on MNIST test images, over 10 equal bins of t = 1..1000",
        "schedule": "linear", "T": path.T, "bins": BINS,
        "wiener": {"train_images": len(real), "test_images": len(test), "t_of_bin": path.T // BINS,
                   "of_t": digits(wiener.reshape(BINS, -1).mean(dim=1)), "mean": digits(wiener.mean())},
        "memoriser": {"train_images": len(real), "test_images": TEST, "t_of_bin": T_OF_BIN,
                      "of_t": digits(memoriser.reshape(BINS, -1).mean(dim=1)), "mean": digits(memoriser.mean())},
        "seed": SEED, "seconds": round(time.monotonic() - start, 1)} | machine()
    write(Path(__file__).with_suffix(".json"), record)
    print(record)


def digits(values):
    """Numbers with three digits that count, for JSON: a tensor () or (N,) -> a float or a list of floats."""
    return [digits(v) for v in values] if values.ndim else rounded(values)


if __name__ == "__main__":
    main()
