"""The exercises of chapter 10 about the answer itself: a classifier's pull on it, and its contrast."""

import torch

from minidiff.evaluation.convergence import mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.exercises.ch09 import PATHS, randn, some_times
from minidiff.exercises.core import Case, Exercise
from minidiff.process.forward import expand_like
from minidiff.process.guidance_rules import rescaled
from minidiff.process.likelihood_guidance import classifier_guided


def plain(path, asked):
    """A denoiser that looks at x and a label; its pair makes x_t. Notes the labels."""
    def denoise(x, t, label):
        asked.append(label.tolist())
        x0 = torch.tanh(x + expand_like(0.1 * label.to(x), x))
        alpha, sigma = path.at(t, x)
        return x0, (x - alpha * x0) / sigma
    return denoise


def reads(x, t):
    """A log-probability that looks at every number of its picture: (B, ...) -> (B,)."""
    flat = x.flatten(1)
    ramp = torch.arange(1, flat.shape[1] + 1).to(x) / flat.shape[1]
    return torch.nn.functional.logsigmoid(4 * (flat * ramp).sum(dim=1) - flat.square().sum(dim=1))


def pull_inputs(path, *shape, scale=1.0, one_time=True, dtype=torch.float64):
    def draw(generator):
        t = some_times(generator, 1 if one_time else shape[0])
        return (path, randn(generator, *shape, dtype=dtype), t[0] if one_time else t,
                torch.randint(9, (shape[0],), generator=generator), scale)
    return draw


def pulled(fn, path, x, t, label, scale):
    """The guided pair, asked as samplers ask, without gradients; and the labels that the denoiser was told."""
    asked = []
    with torch.no_grad():
        x0, eps = fn(plain(PATHS[path], asked), reads, PATHS[path], scale)(x, t, label=label)
    return {"x0": x0, "eps": eps, "told": asked}


def as_its_class(fn, path, x, t, label, scale):
    """The denoiser of two islands, guided by the exact probability of the second."""
    path, world = PATHS[path], Mixture([0.4, 0.6], [[-1.0, 0.3], [0.8, 0.0]], [0.4, 0.6])

    def log_prob(x, t):
        return world.noised(path.alpha(t), path.sigma(t)).share(x)[:, 1].log()

    return list(fn(mixture_denoiser(world, path), log_prob, path)(x, t))


def of_its_class(path, x, t, label, scale):
    return list(mixture_denoiser(Mixture([1.0], [[0.8, 0.0]], [0.6]), PATHS[path])(x, t))


def form(fn, path, x, *given):
    """The kind of numbers of the pair, and whether they or the x that was given ask for gradients afterwards."""
    found = pulled(fn, path, x, *given)
    return [(str(a.dtype), a.requires_grad) for a in (found["x0"], found["eps"], x)]


def with_a_default(fn, path, x, t, label, scale):
    return list(fn(plain(PATHS[path], []), reads, PATHS[path])(x, t, label=label))


CLASSIFIER_GUIDED = Exercise(
    id="ch10.classifier_guided", title="a classifier's pull", reference=classifier_guided, points=4, minutes=20,
    difficulty="medium",
    cases=(
        Case("makes a denoiser of everything that of one class, if the classifier is exact",
             pull_inputs("flow", 6, 2), as_its_class, of_its_class, rtol=1e-7, atol=1e-7,
             hint="the gradient of log_prob at x_t; `moved` makes the new pair of it"),
        Case("pulls each picture by its own gradient", pull_inputs("vp", 7, 1, 2, 3), pulled, central=True,
             hint="log_prob(seen, t).sum(): a mean would divide every pull by the size of the batch"),
        Case("pulls as far as the scale says", pull_inputs("cosine", 4, 3, scale=6.5), pulled,
             hint="moved(x, eps, gradient, t, path, scale)"),
        Case("pulls with scale 1 if none is given", pull_inputs("flow", 4, 2), with_a_default),
        Case("leaves the pair alone at scale 0", pull_inputs("flow", 5, 2, scale=0.0), pulled),
        Case("takes a time for each picture", pull_inputs("flow", 5, 1, 2, 2, one_time=False), pulled),
        Case("gives numbers without gradients, in float32, and leaves x without",
             pull_inputs("flow", 3, 2, dtype=torch.float32), form, kind="shape",
             hint="x.detach().requires_grad_() is a tensor of its own for the classifier; x.requires_grad_() alters x"),
    ),
    hints=("Ask the denoiser first. Then the classifier, with gradients on: torch.enable_grad().",
           "seen = x.detach().requires_grad_(); gradient, = torch.autograd.grad(log_prob(seen, t).sum(), seen)",
           "return moved(x, eps, gradient, t, path, scale)"))


def answers(*shape, w=3.0, dtype=torch.float64):
    """Two pictures a row, one with and one without the condition, of very different contrast."""
    def draw(generator):
        stretch = expand_like(0.5 + torch.arange(shape[0]).double(), torch.empty(shape)).to(dtype)
        cond = 0.7 + stretch * randn(generator, *shape, dtype=dtype)
        return cond, 0.3 * randn(generator, *shape, dtype=dtype) - 0.2, w
    return draw


def shared(share):
    return lambda fn, cond, free, w: fn(cond, free, w, share)


RESCALED = Exercise(
    id="ch10.rescaled", title="guidance without more contrast", reference=rescaled, points=3, minutes=15,
    difficulty="medium",
    cases=(
        Case("brings the standard deviation back, at share 1", answers(4, 1, 3, 3), shared(1.0),
             hint="multiply the guided picture by spread(cond) / spread(moved)"),
        Case("is plain guidance at share 0", answers(4, 1, 3, 3), shared(0.0)),
        Case("goes seven tenths of the way if not told otherwise", answers(5, 1, 4, 4), central=True,
             hint="share * ratio * moved + (1 - share) * moved"),
        Case("measures each picture over all its numbers", answers(3, 3, 4, 3), shared(0.5),
             hint="spread(a) is one number a picture, over channels and pixels together"),
        Case("works for w below 1", answers(4, 1, 2, 4, w=0.5), shared(0.4)),
        Case("works for a single picture", answers(1, 2, 3, 3, w=5.0), shared(0.9)),
        Case("keeps float32", answers(3, 1, 3, 3, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: str(fn(*given).dtype)),
    ),
    hints=("moved = linear(cond, free, w) comes first.",
           "ratio = spread(cond) / spread(moved), a number above or below 1 for each picture",
           "A share of the rescaled picture, and the rest of `moved` as it is."))

EXERCISES = (CLASSIFIER_GUIDED, RESCALED)
