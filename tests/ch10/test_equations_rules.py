"""Equations 10.10 to 10.17: what to make of two answers, a worse net, a net that reads w, and all targets alike."""

import pytest
import torch

from minidiff.models.mlp import MLP
from minidiff.process.flow import FLOW, flow_path
from minidiff.process.continuous import cosine_path, vp_path
from minidiff.process.guidance import autoguided, cfg
from minidiff.process.guidance_rules import (cfg_plus_plus, cfg_zero_star, guided, inner, linear, projected, rescaled,
                                             thresholded)
from minidiff.process.targets import EPS, V, X0, to_target
from minidiff.samplers.ddim import ddim
from minidiff.samplers.step import ddim_step
from minidiff.training.fit import fit

PATHS = {"flow": flow_path(), "cosine": cosine_path(), "vp": vp_path()}
STRAIGHT = PATHS["flow"]
every_path = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


COND, FREE, X = randn(4, 1, 3, 3), randn(4, 1, 3, 3, seed=1), randn(4, 1, 3, 3, seed=2)


def pair(x0, x, t, path):
    return x0, (x - path.alpha(t) * x0) / path.sigma(t)


def asked(path):
    """A denoiser that moves with x and t, different for label 1 and 0."""
    return lambda x, t, label: pair(torch.tanh(x + float(t) * (COND if label else FREE)), x, t, path)


def none(cond):
    return {"label": 0}


@pytest.mark.equation("10.10")
def test_pressed_into_the_range():
    wild = 3 * COND
    for got, x in zip(thresholded(wild, quantile=0.8), wild):
        r = max(1.0, float(torch.quantile(x.abs().flatten(), 0.8)))
        torch.testing.assert_close(got, x.clamp(-r, r) / r)
    assert thresholded(wild, quantile=0.8).abs().max() <= 1


@pytest.mark.equation("10.11")
@pytest.mark.parametrize("w", [0.0, 1.0, 2.5])
def test_away_from_a_worse_net(w):
    t = torch.tensor(0.4, dtype=torch.float64)
    good, worse = (lambda x, t: pair(COND, x, t, STRAIGHT)), (lambda x, t: pair(FREE, x, t, STRAIGHT))
    x0, eps = autoguided(good, worse, w)(X, t)
    torch.testing.assert_close(x0, FREE + w * (COND - FREE))
    torch.testing.assert_close(STRAIGHT.mix(x0, eps, t), X)


@pytest.mark.equation("10.12")
@pytest.mark.parametrize("along", [0.0, 0.3, 1.0])
def test_the_push_taken_apart(along):
    for i in range(4):
        push, c = (COND - FREE)[i].flatten(), COND[i].flatten()
        parallel = (push @ c) / (c @ c) * c
        expected = c + 2 * (push - parallel + along * parallel)
        torch.testing.assert_close(projected(COND, FREE, 3.0, along)[i].flatten(), expected)
    torch.testing.assert_close(projected(COND, FREE, 3.0, 1.0), linear(COND, FREE, 3.0))


@pytest.mark.equation("10.13")
def test_the_free_velocity_scaled_to_fit():
    t = torch.tensor(0.6, dtype=torch.float64)
    u_c, u = ((X - picture) / t for picture in (COND, FREE))
    a = inner(u_c, u) / inner(u, u)
    x0, eps = cfg_zero_star(lambda x, t, label: pair(COND if label else FREE, x, t, STRAIGHT), STRAIGHT, none, 4.0)(
        X, t, label=1)
    torch.testing.assert_close(eps - x0, a * u + 4 * (u_c - a * u))
    assert inner(u_c - a * u, u).abs().max() < 1e-10 and (a - 1).abs().max() > 0.1


@pytest.mark.equation("10.14")
@every_path
def test_a_step_of_cfg_plus_plus(path):
    t, s = 0.7 * torch.tensor(path.T).double(), 0.5 * torch.tensor(path.T).double()
    (x_c, _), (x, eps) = (asked(path)(X, t, label) for label in (1, 0))
    ours = ddim_step(*cfg_plus_plus(asked(path), none, 0.6)(X, t, label=1), t, s, path, eta=0.0)
    torch.testing.assert_close(ours, path.alpha(s) * (x + 0.6 * (x_c - x)) + path.sigma(s) * eps)


@pytest.mark.equation("10.15")
@every_path
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_cfg_plus_plus_is_guidance_with_a_weight_of_the_grid(path, share):
    """Walked side by side over a whole grid, by DDIM."""
    times = path.T * torch.tensor([0.95, 0.7, 0.5, 0.2, 0.05, 0.0], dtype=torch.float64)
    k = path.sigma(times) / path.alpha(times)
    weights = {float(t): float(share / (1 - b / a)) for t, a, b in zip(times, k, k[1:])}
    plus, plain = cfg_plus_plus(asked(path), none, share), cfg(asked(path), lambda t: weights[float(t)], none)
    walks = [ddim(lambda x, t: ask(x, t, label=1), X, times, path) for ask in (plus, plain)]
    for (_, ours, _), (_, theirs, _) in zip(*walks, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.equation("10.16")
def test_a_net_that_reads_the_weight_learns_the_guided_answer():
    """One net for all w, taught in a world where the answer is linear: its error falls far below that of w = 1."""
    def at(step):
        generator = torch.Generator().manual_seed(step)
        return {"x": torch.randn(256, 1, generator=generator), "w": 4 * torch.rand(256, 1, generator=generator)}

    def target(x, w):
        return -x + w * (0.5 - x / 2 + x)

    def loss(net, batch, generator):
        x, w = batch["x"], batch["w"]
        out = net(torch.cat([x, w / 4], dim=1), torch.full((len(x),), 500.0))[:, :1]
        return (out - target(x, w)).square().mean(), {}

    torch.manual_seed(0)
    net = fit(MLP(dim=2), loss, at, steps=500, lr=5e-3, progress=False, ema_decay=0.98).ema
    probe = at(10**6)
    with torch.no_grad():
        error = float(loss(net, probe, None)[0])
    unguided = float((target(probe["x"], 1) - target(**probe)).square().mean())
    assert error < 0.02 * unguided


@pytest.mark.equation("10.17")
@every_path
@pytest.mark.parametrize("target", [EPS, X0, V, FLOW], ids=lambda target: target.name)
def test_guided_targets_are_targets_of_the_guided_pair(path, target):
    t, w = 0.6 * torch.tensor(path.T).double(), 3.0
    alpha, sigma = path.alpha(t), path.sigma(t)
    y_c, y = (to_target(target, *asked(path)(X, t, label), alpha, sigma) for label in (1, 0))
    guided_pair = cfg(asked(path), w, none)(X, t, label=1)
    torch.testing.assert_close(y + w * (y_c - y), to_target(target, *guided_pair, alpha, sigma))


@pytest.mark.equation("10.17")
@pytest.mark.parametrize("rule", [rescaled, projected])
def test_rules_that_are_not_linear_do_not_commute_with_the_target(rule):
    t = torch.tensor(0.6, dtype=torch.float64)
    pairs = [asked(STRAIGHT)(X, t, label) for label in (1, 0)]
    on_pictures = guided(asked(STRAIGHT), STRAIGHT, none, lambda c, f: rule(c, f, 3.0))(X, t, label=1)[1]
    assert (rule(pairs[0][1], pairs[1][1], 3.0) - on_pictures).abs().mean() > 0.05
