"""Muon: momentum whose steps on weight matrices are made orthogonal, so that all directions move alike."""

import torch

QUINTIC = (3.4445, -4.7750, 2.0315)  # p(s) = a s + b s^3 + c s^5, steep at 0: five rounds bring most s in 0..1 near 1


def orthogonalized(matrix, rounds=5):
    """About the matrix of the same singular vectors whose singular values are 1, by Newton-Schulz iteration.

    matrix: (m, n) float. Returns (m, n), whose singular values lie near 1, in about .7..1.2, where those of `matrix`
    were not tiny beside its norm. A round is X <- (a + b A + c A^2) X with A = X X'. All of its factors are
    polynomials in the first A, so they commute: they are multiplied as small squares, and X is met only twice.
    (Jordan et al. 2024, whose coefficients these are.)
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.mT, rounds).mT
    a, b, c = QUINTIC
    x = matrix / (matrix.norm() + 1e-7)
    gram = x @ x.mT
    for i in range(rounds):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor @ product if i else factor
        gram = factor @ gram @ factor
    return product @ x


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for weights of two axes or more; a convolution is the matrix (out, in * kernel).

    Each step moves a weight by -lr sqrt(max(1, rows / columns)) times `orthogonalized` of its Nesterov momentum.
    Biases, gains, embedding tables and the first and last layer are another optimiser's work: see `muon_split`.
    Raises ValueError for a weight of fewer than two axes.
    """

    def __init__(self, params, lr=0.02, momentum=0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim < 2:
                    raise ValueError(f"Muon is for weights with two axes or more, got the shape {tuple(p.shape)}")

    @torch.no_grad()
    def step(self, closure=None):
        """One step down the gradients in .grad; closure: None, or a function that computes them and returns a loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                average = self.state[p].setdefault("momentum", torch.zeros_like(p))
                average.lerp_(p.grad, 1 - group["momentum"])
                wanted = p.grad.lerp(average, group["momentum"]).flatten(1)
                size = group["lr"] * max(1.0, wanted.shape[0] / wanted.shape[1]) ** 0.5
                p.sub_(orthogonalized(wanted).reshape(p.shape), alpha=size)
        return loss


def muon_split(net, first_and_last=("conv_in", "conv_out")):
    """The parameters of a net in two lists: kernels of convolutions, for Muon, and all others, for AdamW.

    The layers named in `first_and_last` are with the others, as published.
    """
    kernels, others = [], []
    for name, p in net.named_parameters():
        inner = p.ndim > 2 and not set(first_and_last) & set(name.split("."))
        (kernels if inner else others).append(p)
    return kernels, others
