"""How good are generated digits? The Fréchet distance in the features of one frozen classifier."""

from dataclasses import dataclass

import torch

from minidiff.evaluation.frechet import frechet_of_moments, moments
from minidiff.models.classifier import Classifier
from minidiff.places import CHECKPOINTS
from minidiff.training.checkpoint import load_checkpoint, load_weights

JUDGE = CHECKPOINTS / "mnist-classifier.safetensors"


@dataclass(frozen=True)
class Judge:
    """The frozen classifier, and the moments of the features of the real training set."""

    net: Classifier
    mean: torch.Tensor
    cov: torch.Tensor

    @torch.no_grad()
    def features(self, images):
        """(N, 64) features of images (N, 1, 28, 28) in [-1, 1]."""
        return torch.cat([self.net.features(x) for x in images.split(500)])

    @torch.no_grad()
    def labels(self, images):
        """(N,) the digit that the classifier reads."""
        return torch.cat([self.net(x).argmax(dim=1) for x in images.split(500)])

    def distance(self, images):
        """The Fréchet distance of images to the training set: compare at equal N.

        It holds a bias that falls about like 1/N; for test images what stays is the small true distance of the sets.
        """
        return frechet_of_moments(*moments(self.features(images)), self.mean, self.cov)

    def against(self, images):
        """The same classifier, measuring the distance to these images instead."""
        return Judge(self.net, *moments(self.features(images)))


def load_judge(path=JUDGE):
    """The judge of the course, from its checkpoint. Raises CheckpointError."""
    tensors, _ = load_checkpoint(path)
    mean, cov = tensors.pop("features.mean"), tensors.pop("features.cov")
    net = load_weights(Classifier(), tensors, path)
    return Judge(net.eval().requires_grad_(False), mean, cov)
