"""The exercises of chapter 09: the loss of flow matching, Euler's walk, velocity to score, straightness."""

import math
import types

import torch

from minidiff.exercises.compare import kind_of
from minidiff.exercises.core import Case, Exercise
from minidiff.process.continuous import cosine_path, vp_path
from minidiff.process.couplings import straightness
from minidiff.process.flow import cfm_loss, flow_path, velocity_to_score
from minidiff.process.forward import expand_like
from minidiff.process.path import Path
from minidiff.samplers.flow import euler_flow


def slow_path(T=3.0):
    """A quarter of a circle whose last time is not 1: alpha = cos(pi t / 2T), sigma = sin(pi t / 2T)."""
    turn = math.pi / 2 / T

    def angle(t):
        return turn * torch.as_tensor(t, dtype=torch.float64)
    return Path(lambda t: torch.cos(angle(t)), lambda t: torch.sin(angle(t)), T)


PATHS = {"flow": flow_path(), "cosine": cosine_path(), "vp": vp_path(), "slow": slow_path()}


def randn(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def some_times(generator, n):
    """n times well inside of 0..1."""
    return 0.1 + 0.8 * torch.rand(n, generator=generator, dtype=torch.float64)


def some_seed(generator):
    return int(torch.randint(1, 10**6, (1,), generator=generator))


def loss_inputs(path, *shape, dtype=torch.float64):
    def draw(generator):
        x0, eps = randn(generator, *shape, dtype=dtype), randn(generator, *shape, dtype=dtype)
        return path, x0, some_times(generator, shape[0]), eps
    return draw


def bent(x, t):
    """A velocity that looks at the point and at the time."""
    return torch.tanh(1.3 * x.flip(-1)) - expand_like(t, x) * x


def loss_of(fn, path, x0, t, eps):
    return fn(bent, x0, t, eps, PATHS[path])


def loss_of_the_truth(fn, path, x0, t, eps):
    """The loss of a velocity that knows each pair, plus 2."""
    return fn(lambda x, t: eps - x0 + 2, x0, t, eps, PATHS[path])


def slope_of_loss(fn, path, x0, t, eps):
    """The gradient of the loss with respect to the one weight of a linear velocity."""
    w = torch.tensor(0.7, dtype=x0.dtype, requires_grad=True)
    return torch.autograd.grad(fn(lambda x, t: w * x, x0, t, eps, PATHS[path]), w)[0]


CFM_LOSS = Exercise(
    id="ch09.cfm_loss", title="conditional flow matching", reference=cfm_loss, points=3, minutes=15, difficulty="easy",
    cases=(
        Case("is 4 for eps - x0 + 2, on the straight path", loss_inputs("flow", 6, 2), loss_of_the_truth,
             expect=lambda *given: torch.tensor(4.0, dtype=torch.float64),
             hint="the mean, over pictures and pixels, of the SQUARED answer minus (eps - x0): time runs to noise"),
        Case("asks the velocity at x_t and t", loss_inputs("flow", 5, 3), loss_of,
             hint="x_t = alpha x0 + sigma eps, with path.alpha(t) and path.sigma(t) of each picture's own t"),
        Case("keeps pictures and pixels apart when B = width", loss_inputs("flow", 6, 1, 2, 6), loss_of,
             hint="expand_like gives one number per picture the shape (B, 1, 1, 1)"),
        Case("works on the cosine path", loss_inputs("cosine", 7, 2), loss_of,
             hint="there the velocity is alpha' x0 + sigma' eps, which velocity_of knows", central=True),
        Case("works on the path of chapter 06, with one picture", loss_inputs("vp", 1, 1, 3, 3), loss_of),
        Case("works on a path whose last time is not 1", loss_inputs("slow", 5, 2), loss_of,
             hint="the velocity is asked at t itself: t / T and 1000 t / T are times of nets"),
        Case("can be trained: its gradient reaches the velocity", loss_inputs("flow", 6, 2), slope_of_loss),
        Case("is one float32 number for float32 pictures", loss_inputs("flow", 4, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: (lambda loss: (str(loss.dtype), list(loss.shape)))(loss_of(fn, *given))),
    ),
    hints=("Three lines: where the pair is at t, how fast it moves there, the mean squared difference to the answer.",
           "expand_like(path.alpha(t), x0) * x0 + expand_like(path.sigma(t), x0) * eps is x_t.",
           "velocity_of(x0, eps, t, path) is the velocity of each pair."))


def island(path, mean, asked=None):
    """The denoiser of x0 ~ N(mean, 0.3^2) on a path, finite at both ends; notes every t in `asked`."""
    def denoise(x, t):
        if asked is not None:
            asked.append(float(t))
        alpha, sigma = float(path.alpha(t)), float(path.sigma(t))
        gain = (x - alpha * mean) / (0.09 * alpha**2 + sigma**2)
        return mean + 0.09 * alpha * gain, sigma * gain
    return denoise


def walk_inputs(times, *shape, path="flow", dtype=torch.float64):
    def draw(generator):
        moved = torch.tensor(times, dtype=torch.float64)
        moved[1:-1] += 0.04 * torch.rand(len(times) - 2, generator=generator, dtype=torch.float64)
        return path, randn(generator, *shape, dtype=dtype), moved, float(0.5 + torch.rand(1, generator=generator))
    return draw


def walk(fn, path, x, times, mean):
    """All that the walk yields, and the times at which it asks."""
    path, asked = PATHS[path], []
    steps = list(fn(island(path, mean, asked), x, times, path))
    return {"s": [float(s) for s, _, _ in steps], "x_s": [x for _, x, _ in steps], "x0": [x0 for _, _, x0 in steps],
            "asked": asked}


def first_step(fn, path, x, times, mean):
    """What kind of thing the walk is, x after its first step, and the times that it has asked for until then."""
    path, asked = PATHS[path], []
    steps = fn(island(path, mean, asked), x, times, path)
    is_one = type(steps) is types.GeneratorType
    return ["a generator", next(steps)[1], asked] if is_one else [kind_of(steps), None, None]


def form_of_walk(fn, path, x, times, mean):
    """What a walk yields, in types; the denoiser has a weight that asks for gradients."""
    path, weight = PATHS[path], torch.tensor(mean, dtype=x.dtype, requires_grad=True)
    return [(len(item), str(item[1].dtype), item[1].requires_grad) for item in fn(island(path, weight), x, times, path)]


EULER_FLOW = Exercise(
    id="ch09.euler_flow", title="Euler's walk down a flow", reference=euler_flow, points=4, minutes=15,
    difficulty="easy",
    cases=(
        Case("arrives at the denoiser's picture in one step", walk_inputs([1.0, 0.0], 1, 2), walk,
             hint="ask at x and t; x + (s - t) u, where u points to the noise and s - t is negative; then yield that"),
        Case("takes steps of different length", walk_inputs([1.0, 0.5, 0.4, 0.03, 0.0], 4, 1, 3, 4), walk,
             hint="zip(times[:-1], times[1:]) gives the pairs (t, s): each step has its own s - t, and begins where "
                  "the one before ended"),
        Case("walks from noise to a picture", walk_inputs([1.0, 0.8, 0.6, 0.4, 0.2, 0.0], 5, 2), walk),
        Case("can start in the middle and stop early", walk_inputs([0.7, 0.5, 0.2], 3, 2), walk),
        Case("follows the velocity of another path", walk_inputs([0.9, 0.6, 0.3, 0.1], 4, 4, path="cosine"), walk,
             hint="velocity_of(x0, eps, t, path), which is eps - x0 on the straight path only", central=True),
        Case("is a generator, which takes a step when it is asked for one",
             walk_inputs([1.0, 0.6, 0.2, 0.0], 3, 2), first_step,
             hint="`yield` in the loop, no list and no `return`: a function with a `yield` is a generator"),
        Case("keeps float32 and no gradients", walk_inputs([1.0, 0.4, 0.0], 2, 2, dtype=torch.float32), form_of_walk,
             kind="shape", hint="float(s - t) is a number without a dtype; @torch.no_grad() stands above the function"),
    ),
    hints=("The loop has three lines: the denoiser's answer, one step, one yield.",
           "u = velocity_of(x0, eps, t, path) is the mean velocity at x and t.",
           "yield float(s), x, x0 after each step; x is then the new x_s."))


def score_inputs(path, *shape, dtype=torch.float64):
    return lambda generator: (path, *randn(generator, 2, *shape, dtype=dtype), some_times(generator, shape[0]))


def score_of(fn, path, u, x_t, t):
    return fn(u, x_t, t, PATHS[path])


def slope_of_one_gaussian(path, x_t, m, t):
    """grad log q(x_t) for x0 ~ N(m, 0.5^2) on the straight path."""
    s = expand_like(t, x_t)
    return ((1 - s) * m - x_t) / (0.25 * (1 - s) ** 2 + s**2)


def score_of_one_gaussian(fn, path, x_t, m, t):
    """The mean velocity of the same in closed form, handed to the learner's function."""
    s, score = expand_like(t, x_t), slope_of_one_gaussian(path, x_t, m, t)
    return fn(0.25 * (1 - s) * score - s * score - m, x_t, t, PATHS[path])


VELOCITY_TO_SCORE = Exercise(
    id="ch09.velocity_to_score", title="the score that a velocity knows", reference=velocity_to_score, points=3,
    minutes=15, difficulty="medium",
    cases=(
        Case("gives the score of a Gaussian", score_inputs("flow", 6, 2), score_of_one_gaussian,
             expect=slope_of_one_gaussian,
             hint="first the noise, eps = x_t + (1 - t) u on the straight path; then the score, -eps / sigma"),
        Case("uses each picture's own time", score_inputs("flow", 5, 1, 2, 5), score_of,
             hint="expand_like(path.sigma(t), x_t) has the shape to divide pictures"),
        Case("works on the cosine path", score_inputs("cosine", 6, 2), score_of,
             hint="pair_of_velocity(u, x_t, t, path) solves the two equations on every path", central=True),
        Case("works on a variance-preserving path", score_inputs("vp", 7, 7), score_of),
        Case("takes one time for all", lambda g: ("flow", *randn(g, 2, 3, 2), some_times(g, 1)[0]), score_of),
        Case("keeps float32", score_inputs("flow", 3, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: (str(score_of(fn, *given).dtype), list(score_of(fn, *given).shape))),
    ),
    hints=("A velocity and x_t are two equations for x0 and eps, and the score needs only eps.",
           "_, eps = pair_of_velocity(u, x_t, t, path)"))


def even_inputs(n, *shape):
    """n + 1 states of some walks at even times from 0 up to 1."""
    return lambda generator: (randn(generator, n + 1, *shape), torch.linspace(0, 1, n + 1, dtype=torch.float64))


def walks_inputs(n, *shape):
    """n + 1 states of some walks at uneven times from 1 down to 0."""
    def draw(generator):
        steps = 0.2 + torch.rand(n, generator=generator, dtype=torch.float64)
        times = 1 - torch.cat([torch.zeros(1).double(), steps.cumsum(dim=0) / steps.sum()])
        return randn(generator, n + 1, *shape), times
    return draw


def lines_inputs(generator):
    """Walks along straight lines at constant speed, seen at uneven times."""
    (a, b, *_), times = walks_inputs(6, 4, 2)(generator)
    return a + times[:, None, None] * b, times


STRAIGHTNESS = Exercise(
    id="ch09.straightness", title="how straight are these walks?", reference=straightness, points=3, minutes=20,
    difficulty="medium",
    cases=(
        Case("is 0 for straight lines at constant speed", lines_inputs, expect=lambda states, times: 0.0,
             hint="the speed in a step is the way divided by the time it took, and the times are uneven"),
        Case("is the mean of the square of u_i - u, for points on a line at even times", even_inputs(5, 6, 1),
             hint="u_i is the speed in step i, u that of the whole walk; the square of their difference, and its mean"),
        Case("is the same for walks in the other direction", even_inputs(4, 3, 1),
             drive=lambda fn, states, times: [fn(states, times), fn(states.flip(0), times.flip(0))],
             hint="the differences of falling times are negative, in speeds and in weights alike"),
        Case("sums over all pixels of a picture", even_inputs(3, 4, 1, 2, 4),
             hint="states.flatten(2) is (n + 1, B, D): |.|^2 is a sum over D, then comes a mean over B"),
        Case("is a mean over time, also where the steps are uneven", walks_inputs(5, 6, 2),
             hint="a step that takes longer counts more, in the mean and in u, which is the whole way over its time",
             central=True),
        Case("does not ask from when to when: times may run from 5 to 3", walks_inputs(4, 5, 2),
             drive=lambda fn, states, times: fn(states, 3 + 2 * times),
             hint="the weights of the steps sum to 1: divide them by the time of the whole walk"),
        Case("takes one walk of one step, which is straight", walks_inputs(1, 1, 2)),
    ),
    hints=("moves = states.diff(dim=0) and steps = times.diff() give the speed of every step.",
           "The speed of the whole walk is the sum of the moves over the sum of the steps.",
           "|u_i - u|^2: sum over coordinates, mean over walks; then a mean over steps with weights steps / total."))


EXERCISES = (CFM_LOSS, EULER_FLOW, VELOCITY_TO_SCORE, STRAIGHTNESS)
