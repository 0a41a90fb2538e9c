"""Train the frozen classifier, the judge of the course, and measure its floor: checkpoints/mnist-classifier.*

    python benchmarks/classifier.py        about a minute on 2 cores; needs MNIST
"""

import json
import tempfile

import torch
from measuring import write

from minidiff.data.load import load
from minidiff.evaluation.digits import Judge, load_judge
from minidiff.evaluation.frechet import moments
from minidiff.recipes.mnist_classifier import RECIPE
from minidiff.recipes.recipe import build
from minidiff.recipes.run import CHECKPOINTS, train
from minidiff.training.checkpoint import save_checkpoint

STEPS, SIZES = 1900, (500, 1000, 2000, 5000, 10_000)  # four epochs; as many images as a distance is measured with


def main():
    (real, _), (test, labels) = load("mnist", "train"), load("mnist", "test")
    with tempfile.TemporaryDirectory() as folder:
        run = build(RECIPE)
        fitted, record = train(run, folder, steps=STEPS)
    judge = Judge(fitted.ema, *moments(Judge(fitted.ema, None, None).features(real)))
    tensors = fitted.ema.state_dict() | {"features.mean": judge.mean, "features.cov": judge.cov}
    save_checkpoint(CHECKPOINTS / "mnist-classifier.safetensors", tensors, run.config)
    judge, generator = load_judge(), torch.Generator().manual_seed(0)
    mean, cov = moments(real.flatten(1))
    values, vectors = torch.linalg.eigh(cov)
    noise = torch.randn(1000, 784, generator=generator, dtype=torch.float64)
    gaussian = mean + noise * values.clamp(min=0).sqrt() @ vectors.T
    null = {"noise": torch.randn(1000, 1, 28, 28, generator=generator).clamp(-1, 1),
            "gaussian with the data's covariance": gaussian.float().clamp(-1, 1).reshape(-1, 1, 28, 28),
            "mean picture": real.mean(dim=0).expand(1000, -1, -1, -1),
            "strokes": load("strokes", "test", n=1000)[0]}
    record["metrics"] = {
        "test_accuracy": round((judge.labels(test) == labels).double().mean().item(), 4),
        "floor": {str(n): round(floor(judge, test, n, generator), 2) for n in SIZES},
        "null": {name: round(judge.distance(images), 1) for name, images in null.items()},
    }
    write(CHECKPOINTS / "mnist-classifier.json", record)
    print(json.dumps(record["metrics"], indent=1))


def floor(judge, test, n, generator, draws=5):
    """The mean distance of n real test images to the training set."""
    orders = [torch.randperm(len(test), generator=generator)[:n] for _ in range(draws if n < len(test) else 1)]
    return sum(judge.distance(test[order]) for order in orders) / len(orders)


if __name__ == "__main__":
    main()
