"""The exercise of chapter 06 on the learned variance: the hybrid loss."""

import torch

from minidiff.exercises.ch06 import T, a_table, normal, uniform
from minidiff.exercises.core import Case, Exercise
from minidiff.process.forward import expand_like, q_sample
from minidiff.process.path import discrete_path
from minidiff.process.variance import hybrid_loss


def grey(generator, *shape):
    return torch.randint(0, 256, shape, generator=generator).double() * 2 / 255 - 1


def hybrid_inputs(*shape, t=None):
    def draw(g):
        times = torch.randint(1, T + 1, (shape[0],), generator=g) if t is None else torch.full((shape[0],), t)
        times[-1] = T if t is None else t
        return grey(g, *shape), times, normal(g, *shape), a_table(g), uniform(g, 0.2, 0.8, 4)
    return draw


def two_answers(w):
    """A network with four weights: its noise depends on the first two, its mix on the last two."""
    def net(x, t):
        clock = expand_like(t.double() / T, x)
        return torch.cat([w[0] * x + w[1] * clock, w[2] * x.sin() + w[3] * clock], dim=1)
    return net


def value(fn, x0, t, eps, alpha_bar, w, **kwargs):
    return fn(two_answers(w), x0, t, eps, discrete_path(alpha_bar), **kwargs)


def pull(fn, x0, t, eps, alpha_bar, w, **kwargs):
    """The gradient of the loss in the four weights."""
    w = w.clone().requires_grad_()
    value(fn, x0, t, eps, alpha_bar, w, **kwargs).backward()
    return w.grad


def simple_pull(x0, t, eps, alpha_bar, w):
    w, x_t = w.clone().requires_grad_(), q_sample(x0, t, eps, alpha_bar)
    (two_answers(w)(x_t, t)[:, :x0.shape[1]] - eps).square().mean().backward()
    return w.grad[:2]


HYBRID_LOSS = Exercise(
    id="ch06.hybrid_loss", title="noise from L_simple, variance from the bound", reference=hybrid_loss, points=4,
    minutes=20, difficulty="medium",
    cases=(
        Case("adds a thousandth of the bound to L_simple", hybrid_inputs(6, 1, 6, 6), value,
             hint="the mean square of (eps - FIRST half of the channels), plus vlb_weight times vlb_estimate's mean"),
        Case("takes another weight of the bound", hybrid_inputs(4, 1, 5, 5),
             lambda fn, *given: value(fn, *given, vlb_weight=0.3), hint="vlb_weight is an argument"),
        Case("takes pictures with several channels", hybrid_inputs(3, 3, 4, 4), value,
             hint="the first half of the channels is the noise, the second is the mix: chunk(2, dim=1)"),
        Case("the noise learns from L_simple alone", hybrid_inputs(5, 1, 4, 4), expect=simple_pull,
             drive=lambda fn, *given: pull(fn, *given, vlb_weight=1.0)[:2],
             hint="hand eps_hat.detach() to the bound, so that no gradient passes through it", central=True),
        Case("the variance learns from the bound", hybrid_inputs(5, 1, 4, 4),
             lambda fn, *given: pull(fn, *given, vlb_weight=1.0)[2:], hint="detach the noise, not the mix",
             central=True),
        Case("step 1 has its decoder", hybrid_inputs(3, 1, 4, 4, t=1),
             lambda fn, *given: pull(fn, *given, vlb_weight=1.0)),
        Case("gives one number, like x0", hybrid_inputs(2, 1, 3, 3), value, kind="shape", rtol=1e-4),
    ),
    hints=("x_t by path.mix(x0, eps, t), then eps_hat, mix = net(x_t, t).chunk(2, dim=1).",
           "simple is the plain mean squared error of eps_hat; the bound is vlb_estimate(...).mean().",
           "vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, path).mean()"),
)


EXERCISES = (HYBRID_LOSS,)
