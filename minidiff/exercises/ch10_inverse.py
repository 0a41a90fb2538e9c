"""The exercises of chapter 10 about one picture and two demands: a measurement of it, and a second view."""

import torch

from minidiff.evaluation.gaussian import Gaussian
from minidiff.exercises.ch09 import PATHS, randn, some_times
from minidiff.exercises.ch10 import number, refused
from minidiff.exercises.core import Case, Exercise
from minidiff.process.forward import expand_like
from minidiff.process.likelihood_guidance import linear_log_likelihood, reconstruction_guided
from minidiff.process.views import averaged

# --- reconstruction_guided ------------------------------------------------------------------------------------------


def curved(path, told):
    """A denoiser that is no straight line of x, told a label; its pair makes x_t. Notes what it is told."""
    def denoise(x, t, **cond):
        told.append({name: value.tolist() for name, value in cond.items()})
        push = expand_like(0.1 * cond["label"].to(x), x) if cond else 0
        x0 = torch.tanh(x * x / 3 + x + push)
        alpha, sigma = path.at(t, x)
        return x0, (x - alpha * x0) / sigma
    return denoise


def seen_well(x0, t):
    """A log-likelihood that looks at every number of a picture: (B, ...) -> (B,); it depends on time."""
    flat = x0.flatten(1)
    ramp = torch.arange(1, flat.shape[1] + 1).to(x0) / flat.shape[1]
    return -(flat * ramp - 0.7).square().sum(dim=1) / (0.5 + expand_like(t, flat[:, 0]))


def measured_inputs(path, *shape, scale=1.0, one_time=True, dtype=torch.float64):
    def draw(generator):
        t = some_times(generator, 1 if one_time else shape[0])
        return path, randn(generator, *shape, dtype=dtype), t[0] if one_time else t, scale
    return draw


def reconstructed(fn, path, x, t, scale):
    """The guided pair, asked as samplers ask: without gradients."""
    with torch.no_grad():
        x0, eps = fn(curved(PATHS[path], []), seen_well, PATHS[path], scale)(x, t)
    return {"x0": x0, "eps": eps}


def with_a_label(fn, path, x, t, scale):
    """The pair of a denoiser that is told labels, and what it was told: one question a step."""
    told = []
    with torch.no_grad():
        x0, eps = fn(curved(PATHS[path], told), seen_well, PATHS[path])(x, t, label=torch.arange(len(x)))
    return {"x0": x0, "eps": eps, "told": told}


WORLD, NOISE = Gaussian([0.3, -0.2, 0.5], [0.8, 0.4, 1.3]), 0.05


def gaussian_pair(world, path):
    def denoise(x, t):
        alpha, sigma = path.at(t, x)
        x0 = world.denoise(x, path.alpha(t), path.sigma(t))
        return x0, (x - alpha * x0) / sigma
    return denoise


def given_y(fn, path, x, t, scale):
    """The denoiser of Gaussian numbers, guided by a measurement y of them all, with the spread that x_t leaves open."""
    path = PATHS[path]
    spread = lambda t: NOISE + WORLD.error(path.alpha(t) ** 2 / (path.alpha(t) ** 2 + path.sigma(t) ** 2))  # noqa: E731
    y = torch.tensor([1.1, 0.2, -0.4], dtype=torch.float64)
    return list(fn(gaussian_pair(WORLD, path), linear_log_likelihood(y, lambda x0: x0, spread), path)(x, t))


def posterior_pair(path, x, t, scale):
    """The denoiser of p(x0 | y), by completing the square."""
    y = torch.tensor([1.1, 0.2, -0.4], dtype=torch.float64)
    variance = 1 / (1 / WORLD.variance + 1 / NOISE)
    return list(gaussian_pair(Gaussian(variance * (WORLD.mean / WORLD.variance + y / NOISE), variance),
                              PATHS[path])(x, t))


def form(fn, path, x, *given):
    """The kind of numbers of the pair, and whether they or the x that was given ask for gradients afterwards."""
    return [(str(side.dtype), side.requires_grad) for side in (*reconstructed(fn, path, x, *given).values(), x)]


RECONSTRUCTION_GUIDED = Exercise(
    id="ch10.reconstruction_guided", title="a measurement's pull (DPS)", reference=reconstruction_guided, points=4,
    minutes=20, difficulty="medium",
    cases=(
        Case("makes of Gaussian numbers those that fit a measurement", measured_inputs("flow", 6, 3), given_y,
             posterior_pair, rtol=1e-7, atol=1e-7,
             hint="the gradient of log_likelihood(x0, t) with respect to x_t; `moved` makes the new pair of it"),
        Case("lets the gradient run through the denoiser", measured_inputs("vp", 7, 1, 2, 3), reconstructed,
             central=True, hint="ask the denoiser at `seen`, which requires a gradient, inside torch.enable_grad()"),
        Case("pulls as far as the scale says", measured_inputs("cosine", 4, 3, scale=6.5), reconstructed,
             hint="moved(x, eps, gradient, t, path, scale)"),
        Case("leaves the pair alone at scale 0", measured_inputs("flow", 5, 2, scale=0.0), reconstructed),
        Case("hands on the conditions, asks once, and pulls by 1 if no scale is given",
             measured_inputs("flow", 4, 2), with_a_label, hint="denoiser(seen, t, **cond), once"),
        Case("takes a time for each picture", measured_inputs("flow", 5, 1, 2, 2, one_time=False), reconstructed),
        Case("gives numbers without gradients, in float32, and leaves x without",
             measured_inputs("flow", 3, 2, dtype=torch.float32), form, kind="shape",
             hint="ask at x.detach().requires_grad_(), not at x itself; eps.detach(): the graph has served by then"),
    ),
    hints=("As `classifier_guided`, but what is read is the denoiser's own x0, so the denoiser is inside the gradient.",
           "with torch.enable_grad(): seen = x.detach().requires_grad_(); x0, eps = denoiser(seen, t, **cond)",
           "gradient, = torch.autograd.grad(log_likelihood(x0, t).sum(), seen); then moved(x, eps.detach(), ...)"))


# --- averaged -------------------------------------------------------------------------------------------------------

def leaning(tilt, asked):
    """A denoiser whose answer depends on where a number stands, so that a view that is not undone shows."""
    def denoise(x, t, label=None):
        asked.append("no label" if label is None else label.tolist())
        place = torch.linspace(-1, 1, x[0].numel()).to(x).reshape(x.shape[1:])
        push = 0 if label is None else expand_like(label.to(x), x)
        return torch.tanh(x + tilt * place + push), torch.cos(x * (1 + float(t)) - tilt * place)
    return denoise


def turned(x):
    return x.rot90(1, (-2, -1))


def turned_back(x):
    return x.rot90(-1, (-2, -1))


def flipped(x):
    return x.flip(-1)


def plain(x):
    return x


PAIRS = {"plain": (plain, plain), "flip": (flipped, flipped), "turn": (turned, turned_back),
         "roll": (lambda x: x.roll(1, -1), lambda x: x.roll(-1, -1))}


def seen_inputs(names, *shape, dtype=torch.float64):
    return lambda g: (names, randn(g, *shape, dtype=dtype), some_times(g, 1)[0])


def agreed(fn, names, x, t, told=None):
    """The mean of as many denoisers as views, and what each of them was asked."""
    asked = []
    denoisers = [leaning(0.4 + k, asked) for k in range(len(names))]
    x0, eps = fn(denoisers, [PAIRS[name] for name in names])(x, t, **({} if told is None else {"label": told}))
    return {"x0": x0, "eps": eps, "asked": asked}


def in_turn(fn, names, x, t):
    return agreed(fn, names, x, t, told=torch.arange(len(x)))


def exact_turn(fn, x, t):
    """A Gaussian seen in a mirror: its denoiser through the view."""
    path, world = PATHS["flow"], Gaussian([0.3, -1.0], [0.4, 1.3])
    return list(fn([gaussian_pair(world, path)], [PAIRS["flip"]])(x, t))


def mirrored(x, t):
    return list(gaussian_pair(Gaussian([-1.0, 0.3], [1.3, 0.4]), PATHS["flow"])(x, t))


def asked_again(fn, names, x, t):
    """One wrapper, asked twice, as a walk asks."""
    ask = fn([leaning(0.4 + k, []) for k in range(len(names))], [PAIRS[name] for name in names])
    return [list(ask(each, t)) for each in (x, x / 2)]


def complaints(fn, seed):
    """What is said of two denoisers with one view, and of one with two."""
    return [refused(fn, [leaning(k, []) for k in range(n)], [PAIRS["plain"]] * (3 - n)) for n in (2, 1)]


AVERAGED = Exercise(
    id="ch10.averaged", title="a picture with two views", reference=averaged, points=3, minutes=15, difficulty="medium",
    cases=(
        Case("gives the mean of two denoisers, each through its view", seen_inputs(["plain", "flip"], 5, 1, 4, 4),
             agreed, central=True, hint="back(denoiser(there(x), t)) for the picture and for the noise, then the mean"),
        Case("undoes a quarter turn by the turn back", seen_inputs(["plain", "turn"], 3, 1, 4, 4), agreed,
             hint="a view is (there, back): the picture goes there, the answer comes back"),
        Case("sees a Gaussian in a mirror", lambda g: (randn(g, 6, 2), some_times(g, 1)[0]), exact_turn, mirrored,
             rtol=1e-9, atol=1e-9),
        Case("is the denoiser itself for one view that changes nothing", seen_inputs(["plain"], 4, 1, 3, 3), agreed),
        Case("takes three views", seen_inputs(["plain", "turn", "roll"], 2, 1, 3, 3), agreed,
             hint="a mean over all of them, not over two"),
        Case("hands on the conditions", seen_inputs(["plain", "flip"], 4, 3, 2, 2), in_turn,
             hint="ask(there(x), t, **cond)"),
        Case("refuses too few views, and too many, when it is made", lambda g: (number(g, 0, 1),), complaints,
             hint="zip stops at the shorter list without a word: compare the lengths first, outside of `denoise`"),
        Case("answers afresh when it is asked again", seen_inputs(["turn", "plain"], 2, 1, 3, 3), asked_again,
             hint="what is added up must begin at nothing each time: inside of `denoise`"),
        Case("keeps float32", seen_inputs(["plain", "flip"], 2, 1, 2, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: [str(agreed(fn, *given)[name].dtype) for name in ("x0", "eps")]),
    ),
    hints=("For each denoiser: ask it at there(x), and bring both numbers of its pair back.",
           "pairs = [tuple(map(back, ask(there(x), t, **cond))) for ask, (there, back) in zip(denoisers, views)]",
           "tuple(torch.stack(side).mean(dim=0) for side in zip(*pairs))"))

EXERCISES = (RECONSTRUCTION_GUIDED, AVERAGED)
