"""What chapter 05 says of MNIST: floors, an impostor, and the samples of checkpoints/mnist-ddpm: benchmarks/audit.json

    python benchmarks/audit.py        about five minutes on one core; needs MNIST and benchmarks/digits.npy.xz
"""

import lzma
from pathlib import Path

import numpy as np
import torch
from measuring import machine, write
from measuring import rounded as rounded_to

from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge
from minidiff.evaluation.frechet import frechet
from minidiff.evaluation.memory import nearer_to_train, nearest
from minidiff.evaluation.metrics import compare, distance_at, fd_infinity, impostor
from minidiff.recipes.accuracy_score import classification_accuracy_score

HERE = Path(__file__)
SIZES, N, SEED = (500, 1000, 2000, 5000, 10_000), 1000, 0


def main():
    (train, train_labels), (test, test_labels) = load("mnist", "train"), load("mnist", "test")
    judge, generator = load_judge(), torch.Generator().manual_seed(SEED)
    drawn = torch.from_numpy(np.load(lzma.open(HERE.with_name("digits.npy.xz")))).float()[:, None] / 127.5 - 1
    f_train, f_test, f_drawn = (judge.features(x) for x in (train, test, drawn))
    first, later, other = (distance_at(f, f_train, N) for f in (f_test[:N], f_test[-N:], f_train[:N]))
    near_in_file = in_file_order(test)
    order = torch.randperm(len(test), generator=generator)
    test, test_labels, f_test = test[order], test_labels[order], f_test[order]
    some = torch.randperm(len(train), generator=generator)[:N]
    gaussian = impostor(train, N, generator)
    pca = torch.linalg.eigh(torch.cov(train.flatten(1).double().T))[1][:, -64:].float()
    names = {"test pictures": (test[:N], f_test[:N]), "impostor": (gaussian, judge.features(gaussian)),
             "mnist-ddpm": (drawn, f_drawn)}
    labels = {"train pictures": (train[some], train_labels[some]), "mnist-ddpm": (drawn, judge.labels(drawn))}
    record = {
        "what": "MNIST and mnist-ddpm in the features of the judge, real test pictures in a random order",
        "n": N, "seed": SEED, **machine(),
        "floor": {str(n): rounded(distance_at(f_test, f_train, n)) for n in SIZES},
        "first test pictures": rounded(first), "last test pictures": rounded(later),
        "training pictures": rounded(other),
        "limit": {"real": rounded(fd_infinity(f_test, f_train, SIZES)[0]),
                  "mnist-ddpm": rounded(fd_infinity(f_drawn, f_train, (200, 250, 500, 1000))[0]),
                  "real, with as many": rounded(fd_infinity(f_test[:N], f_train, (200, 250, 500, 1000))[0])},
        "linear": {name: rounded(frechet(x.flatten(1) @ pca, train.flatten(1) @ pca))
                   for name, (x, _) in names.items()},
        "sets": {name: metrics(f, f_train, f_test[-N:]) for name, (_, f) in names.items()},
        "accuracy score": {name: rounded(classification_accuracy_score(*pair, test, test_labels))
                           for name, pair in labels.items()},
        "memory": memory(drawn, test, train),
        "in file order": near_in_file,
    }
    write(HERE.with_suffix(".json"), record)
    print(record)


def rounded(value):
    return rounded_to(value, 4)


def metrics(features, f_train, f_real):
    """The distance to the training set, and all that is measured beside N other test pictures."""
    found = {"distance": distance_at(features, f_train, len(features))} | compare(f_real, features)
    return {name: rounded(value) for name, value in found.items()}


def memory(samples, test, train):
    """Distances of samples and of N test pictures to their nearest training picture, and the samples most like a copy.

    The share that is nearer to `train` than to `test` is also that of test pictures, held against the other ones.
    """
    near, index = nearest(samples, train)
    unseen, _ = nearest(test[:N], train)
    share, innocent = nearer_to_train(samples, train, test)
    control, of_control = nearer_to_train(test[:N], train, test[N:])
    order = near.argsort()[:10]
    edges = torch.linspace(0, 20, 41)
    return {"ratio": rounded(near.median() / unseen.median()),
            "share nearer to train": rounded(share), "share of innocent samples": rounded(innocent),
            "test pictures nearer to train": rounded(control), "share of innocent test pictures": rounded(of_control),
            "edges": edges.tolist(), "samples": torch.histogram(near.float(), edges)[0].int().tolist(),
            "test": torch.histogram(unseen.float(), edges)[0].int().tolist(),
            "nearest": [{"sample": int(i), "train": int(index[i]), "distance": rounded(near[i])} for i in order],
            "nearest test picture": rounded(unseen.min())}


def in_file_order(test, places=50):
    """How often the nearest relative of a test picture stands near it in the file: N of every second, in the rest."""
    asked, others = torch.arange(1, len(test), 2), torch.arange(0, len(test), 2)
    asked = asked[torch.randperm(len(asked), generator=torch.Generator().manual_seed(SEED))[:N]]
    _, index = nearest(test[asked], test[others])
    return {"places": places, "share": rounded(((others[index] - asked).abs() <= places).double().mean()),
            "share by chance": rounded(((others - asked[:, None]).abs() <= places).double().mean())}


if __name__ == "__main__":
    main()
