"""VAE, GAN and diffusion at equal compute, five seeds each: benchmarks/baselines.json and baselines.npy.xz

    python benchmarks/baselines.py [--seconds 30] [--seeds 5]        about 15 minutes on one core; needs MNIST

Every run gets as many steps as fit into `seconds` of CPU time of one thread. The numbers are of N pictures of 14x14
pixels, enlarged for the judge, as the real ones are. The second file holds twelve pictures of each run, uint8.
"""

import argparse
import io
import lzma
import time
from pathlib import Path

import numpy as np
import torch
from measuring import machine, rounded, write

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.evaluation.frechet import frechet
from minidiff.evaluation.memory import memorisation_ratio, nearer_to_train
from minidiff.evaluation.metrics import compare, impostor
from minidiff.recipes.accuracy_score import classification_accuracy_score
from minidiff.recipes.baselines import KINDS, build, draw, enlarged, small
from minidiff.training.checkpoint import write_whole
from minidiff.training.fit import fit

HERE, N = Path(__file__), 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="CPU seconds of each training")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    train = small(load("mnist", "train")[0])
    order = torch.randperm(10_000, generator=torch.Generator().manual_seed(0))
    test, labels = (x[order] for x in load("mnist", "test"))
    measured, runs, pictures = measure_of(train, small(test), labels), {}, []
    for kind in KINDS:
        steps = round(args.seconds / seconds_per_step(kind, train))
        runs[kind] = []
        for seed in range(args.seeds):
            row, drawn = one(kind, seed, steps, train)
            runs[kind].append(row | measured(drawn))
            pictures.append(drawn[:12, 0])
            print(kind, runs[kind][-1], flush=True)
    record = {"what": "MNIST at 14x14 pixels: three models, one thread, equal CPU time, measured on n pictures",
              "seconds": args.seconds, "n": N, **machine(),
              "weights": {kind: sum(p.numel() for p in build(kind, train).net.parameters()) for kind in KINDS},
              "real": measured(small(test[:N])),
              "impostor": measured(impostor(train, N, torch.Generator().manual_seed(0))), "runs": runs}
    write(HERE.with_suffix(".json"), record)
    content = io.BytesIO()
    np.save(content, ((torch.stack(pictures).clamp(-1, 1) + 1) * 127.5).round().byte().numpy())
    write_whole(HERE.with_suffix(".npy.xz"), lzma.compress(content.getvalue()))


def seconds_per_step(kind, images):
    """CPU seconds of one step of training, over about eight seconds, without the first steps."""
    run, steps = build(kind, images), 40
    for _ in range(3):  # to warm up, to guess, and to measure
        start = time.process_time()
        fit(run.net, run.loss_fn, run.batch_at, steps=steps)
        rate = (time.process_time() - start) / steps
        steps = round(8 / rate)
    return rate


def one(kind, seed, steps, images):
    """Train one model and draw N pictures: (what it cost, the pictures (N, 1, 14, 14))."""
    run = build(kind, images, seed)
    start = time.process_time()
    fitted = fit(run.net, run.loss_fn, run.batch_at, steps=steps, **run.fit)
    trained = time.process_time()
    drawn = draw(kind, fitted.ema, N, seed)
    return {"seed": seed, "steps": steps, "images": fitted.images, "CPU seconds": round(trained - start, 1),
            "CPU seconds to draw": round(time.process_time() - trained, 2),
            "loss": rounded(sum(fitted.losses[-50:]) / 50, 4)}, drawn


def measure_of(train, test, labels):
    """A function from N pictures to everything that is measured of them, beside real ones that it keeps."""
    judge = load_judge()
    f_train, f_real = judge.features(enlarged(train[:20_000])), judge.features(enlarged(test[N:2 * N]))
    readers = enlarged(test[2 * N:4 * N]), labels[2 * N:4 * N]

    def measured(x):
        features, read = judge.features(enlarged(x)), judge.labels(enlarged(x))
        share, innocent = nearer_to_train(x[:500], train[:10_000], test[4 * N:])
        found = {"distance": frechet(features, f_train), **compare(f_real, features),
                 "rarest digit": torch.bincount(read, minlength=10).min() / len(x),
                 "accuracy score": classification_accuracy_score(enlarged(x), read, *readers),
                 "memorisation ratio": memorisation_ratio(x[:500], train[:10_000], test[4 * N:]),
                 "share nearer to train": share, "share of innocent pictures": innocent}
        return {name: rounded(value, 4) for name, value in found.items()}
    return measured


if __name__ == "__main__":
    main()
