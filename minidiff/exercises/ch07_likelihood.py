"""The exercise of chapter 07 on likelihoods: the trace of a Jacobian from random signs."""

import torch

from minidiff.evaluation.likelihood import hutchinson
from minidiff.exercises.ch07 import randn, whole
from minidiff.exercises.core import Case, Exercise


def field(matrix):
    """x (B, ...) -> (B, ...) with a Jacobian that is neither diagonal nor the same at all x."""
    def f(x):
        flat = x.flatten(1)
        return (torch.tanh(flat @ matrix.T) + flat.square() @ matrix).reshape(x.shape)
    return f


def trace_of(fn, matrix, x, seed):
    return fn(field(matrix), x, torch.Generator().manual_seed(seed))


def mean_trace(fn, matrix, x, seed):
    """The mean estimate at one x over 4,000 copies, within 0.05 of the right size."""
    _, trace = fn(field(matrix), x.expand(4000, -1), torch.Generator().manual_seed(seed))
    return trace.mean()


def true_trace(matrix, x, seed):
    J = torch.func.jacrev(lambda x: field(matrix)(x[None])[0])(x[0])
    return J.trace()


def trace_inputs(generator, *shape):
    numbers = torch.Size(shape[1:]).numel()
    return randn(generator, numbers, numbers), randn(generator, *shape), whole(generator, 1, 9999)


HUTCHINSON = Exercise(
    id="ch07.hutchinson", title="A trace from one backward pass", reference=hutchinson, points=4, minutes=20,
    difficulty="medium",
    cases=(
        Case("is z^T J z with signs from the generator", lambda g: trace_inputs(g, 5, 4), trace_of,
             hint="z is 2 times torch.randint(2, ...) of the generator, minus 1; then autograd.grad(y, x, z)"),
        Case("is right in the mean", lambda g: (torch.eye(3).double() * 3 + 0.1 * randn(g, 3, 3), 0.3 * randn(g, 1, 3),
                                                whole(g, 1, 9999)), mean_trace,
             expect=true_trace, rtol=0.0, atol=0.02, hint="z must have mean 0 and variance 1 in every entry"),
        Case("gives one number per picture", lambda g: trace_inputs(g, 3, 1, 2, 3), trace_of,
             hint="sum over everything but the batch: .flatten(1).sum(dim=1)", central=True),
        Case("keeps pictures apart when B is the width", lambda g: trace_inputs(g, 4, 1, 1, 4), trace_of),
        Case("works inside torch.no_grad()", lambda g: trace_inputs(g, 2, 3),
             lambda fn, *inputs: torch.no_grad()(trace_of)(fn, *inputs), hint="with torch.enable_grad(): ..."),
        Case("leaves no graph behind", lambda g: trace_inputs(g, 1, 3),
             lambda fn, *inputs: [(u.requires_grad, list(u.shape)) for u in trace_of(fn, *inputs)], kind="shape",
             hint="return y.detach()"),
    ),
    hints=("x = x.detach().requires_grad_() makes a copy that gradients can be taken at",
           "torch.autograd.grad(y, x, z)[0] is z^T J: a row of the shape of x; multiply by z and sum",
           "the answer is a pair: f(x) and the traces (B,)"))


EXERCISES = (HUTCHINSON,)
