"""The exercises of chapter 10 about labels and weights: drop_labels, cfg, interval, autoguided."""

import torch

from minidiff.exercises.core import Case, Exercise
from minidiff.models.labels import drop_labels
from minidiff.process.forward import expand_like
from minidiff.process.guidance import autoguided, cfg, interval

NONE = 10  # the label that says "no label" in the cases below


def randn(generator, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=generator, dtype=dtype)


def some_labels(generator, n, classes=10):
    return torch.randint(classes, (n,), generator=generator)


def number(generator, low, high):
    return low + (high - low) * float(torch.rand(1, generator=generator, dtype=torch.float64))


def label_inputs(n, rate, null=NONE):
    return lambda g: (some_labels(g, n, null), rate, null, int(torch.randint(10**6, (1,), generator=g)))


def dropped(fn, labels, rate, null, seed):
    """What is left of the labels, and where the generator stands afterwards."""
    generator = torch.Generator().manual_seed(seed)
    return {"labels": fn(labels, rate, null, generator), "the generator's next": torch.rand(1, generator=generator)}


DROP_LABELS = Exercise(
    id="ch10.drop_labels", title="some labels are left out", reference=drop_labels, points=2, minutes=10,
    difficulty="easy",
    cases=(
        Case("drops each label by its own draw", label_inputs(40, 0.4), dropped, central=True,
             hint="torch.rand(len(labels), generator=generator) is one number in [0, 1) a label; below the rate: null"),
        Case("drops one in ten of many", label_inputs(5000, 0.1), dropped),
        Case("drops none at rate 0", label_inputs(30, 0.0), dropped, hint="a number in [0, 1) is never below 0"),
        Case("drops all at rate 1", label_inputs(30, 1.0), dropped),
        Case("takes the null that it is given", label_inputs(25, 0.5, 3), dropped,
             hint="`null` is the number of the row that says \"any\", whatever it is"),
        Case("works for a single label", label_inputs(1, 0.5), dropped),
        Case("keeps whole numbers, of the same kind", label_inputs(8, 0.5), kind="shape",
             drive=lambda fn, *given: (lambda y: (str(y.dtype), list(y.shape)))(dropped(fn, *given)["labels"])),
    ),
    hints=("First a mask, True for labels that go: torch.rand(...) < rate.",
           "torch.where(mask, null, labels) leaves the batch as it is, and writes a new one."))


def opinion(asked, tilt=0.0):
    """A denoiser that looks at all it is told: x, t, the label (B,) and perhaps a style (B,); notes what it is asked
    about each picture, so that two batches and one that is twice as large are noted alike.

    Its pair makes no x_t, so that picture and noise can be told apart.
    """
    def denoise(x, t, label=None, style=None):
        asked.extend(["no label"] * len(x) if label is None else map(str, label.tolist()))
        told = torch.zeros(len(x)) if label is None else label
        push = expand_like(0.3 + 0.1 * told.to(x) + (0 if style is None else style.to(x)), x)
        return torch.tanh(x * push + tilt), torch.cos(x + push) * (1 + float(t)) - tilt
    return denoise


def no_label(cond):
    return cond | {"label": torch.full_like(cond["label"], NONE)}


def guided_by(fn, w, x, t, label):
    """The guided pair, and what the denoiser was asked about each picture, in any order."""
    asked = []
    x0, eps = fn(opinion(asked), w, no_label)(x, t, label=label)
    return {"x0": x0, "eps": eps, "asked": sorted(asked)}


def guided_by_each(fn, weights, x, t, label):
    return [guided_by(fn, w, x, t, label) for w in weights]


def exactly(fn, w, x, t, label):
    """Is the pair that of the denoiser to the bit, asked with the label for w = 1 and without for w = 0?"""
    told = {"label": label} if w == 1 else no_label({"label": label})
    found, right = guided_by(fn, w, x, t, label), opinion([])(x, torch.tensor(t), **told)
    return {"the same bits": [torch.equal(a, b) for a, b in zip((found["x0"], found["eps"]), right)],
            "asked": found["asked"]}


def exactly_in_time(fn, x, t, label):
    """`exactly` for a weight that is a function of time, and is 1 or 0 at this one."""
    return [exactly(lambda denoiser, _, null: fn(denoiser, lambda t: w, null), w, x, t, label) for w in (1.0, 0.0)]


def guided_in_time(fn, a, b, x, times, label):
    """Guided by the weight a + b t: one wrapper, asked at several times."""
    ask = fn(opinion([]), lambda t: a + b * float(t), no_label)
    return [list(ask(x, t, label=label)) for t in times]


def guided_with_style(fn, w, x, t, label, style):
    return list(fn(opinion([]), w, no_label)(x, t, label=label, style=style))


def near_and_far(*ranges):
    """Several weights, one from each (low, high)."""
    def draw(generator):
        return [number(generator, *each) for each in ranges], *pair_inputs(1, 3, 2)(generator)[1:]
    return draw


def pair_inputs(w, *shape, dtype=torch.float64):
    """w: (low, high) to draw from, or a number."""
    def draw(generator):
        weight = number(generator, *w) if isinstance(w, tuple) else w
        return weight, randn(generator, *shape, dtype=dtype), 0.4, some_labels(generator, shape[0])
    return draw


CFG = Exercise(
    id="ch10.cfg", title="classifier-free guidance", reference=cfg, points=4, minutes=15, difficulty="easy",
    cases=(
        Case("goes past the answer with the label for w above 1", pair_inputs((2.0, 4.0), 5, 2), guided_by,
             central=True, hint="uncond + w (cond - uncond), for the picture and the noise alike; ask twice"),
        Case("is the answer with the label at w = 1, bit for bit, and asks once", pair_inputs(1, 6, 2), exactly,
             hint="w = 1: ask once, with the conditions, and hand on the answer"),
        Case("is the answer without at w = 0, bit for bit, and asks once", pair_inputs(0, 6, 2), exactly,
             hint="w = 0: return denoiser(x, t, **null(cond))"),
        Case("takes a weight that depends on time",
             lambda g: (number(g, 0.5, 1.0), number(g, 2.0, 3.0), randn(g, 4, 3), [0.1, 0.5, 0.9], some_labels(g, 4)),
             guided_in_time, hint="w(t) if callable(w) else w, inside of `denoise`, where t is known"),
        Case("hands on what `null` says nothing of", lambda g: (
            2.5, randn(g, 5, 2), 0.3, some_labels(g, 5), randn(g, 5)), guided_with_style,
             hint="null(cond) is all conditions of the free answer: denoiser(x, t, **null(cond))"),
        Case("works between 0 and 1, a little beside them, and below 0",
             near_and_far((-1.0, -0.5), (0.01, 0.04), (0.3, 0.7), (0.96, 0.99), (1.01, 1.04)), guided_by_each,
             hint="only w = 0 and w = 1 themselves are asked once; every other number extrapolates, or interpolates"),
        Case("asks once where a weight in time is 1 or 0", lambda g: pair_inputs(1, 4, 2)(g)[1:], exactly_in_time,
             hint="first the weight at t, then the question whether it is 1 or 0"),
        Case("guides pictures in colour", pair_inputs((1.5, 3.0), 3, 3, 4, 3), guided_by),
        Case("keeps float32", pair_inputs(2.0, 4, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: [str(guided_by(fn, *given)[name].dtype) for name in ("x0", "eps")]),
    ),
    hints=("Three cases: w = 1 and w = 0 return one answer as it is; all others ask for both.",
           "free = denoiser(x, t, **null(cond)) is a pair; so is the other. zip them.",
           "tuple(u + weight * (c - u) for u, c in zip(free, with_the_label))"))


def weights_at(fn, w, low, high, times):
    weight = fn(w, low, high)
    return [float(weight(t)) for t in times]


def refused(fn, *given):
    """Is it refused with a ValueError as soon as it is made?"""
    try:
        fn(*given)
    except ValueError:
        return "ValueError"
    return "no error"


def refused_intervals(fn, w, low, high):
    return [refused(fn, w, high, low), refused(fn, w, low, low)]


def band_inputs(w, low=0.2, high=0.7):
    """An interval near low..high, and times below, at the ends, inside and above: as tensors."""
    def draw(generator):
        a, b = low + number(generator, 0, 0.1), high + number(generator, 0, 0.1)
        times = [0.5 * a, a, a + 0.01, (a + b) / 2, b, b * (1 + 1e-12), 1.2 * b]
        weight = number(generator, *w) if isinstance(w, tuple) else w
        return weight, a, b, list(torch.tensor(times, dtype=torch.float64))
    return draw


INTERVAL = Exercise(
    id="ch10.interval", title="guidance for a while", reference=interval, points=2, minutes=5, difficulty="easy",
    cases=(
        Case("is w inside and 1 outside, ends included", band_inputs((2.0, 4.0)), weights_at, central=True,
             hint="low <= t <= high; outside there is no guidance, and that is w = 1, not 0"),
        Case("takes w = 0 as a weight like others", band_inputs(0), weights_at,
             hint="0 is a number: `w or 1` loses it"),
        Case("takes an interval in the times of a table", band_inputs((2.0, 4.0), 200.0, 700.0), weights_at),
        Case("takes plain numbers", lambda g: (number(g, 2, 4), 0.3, 0.6, [0.1, 0.3, 0.45, 0.6, 0.61]), weights_at),
        Case("refuses an interval upside down, or without length, when it is made",
             lambda g: (number(g, 2, 4), 0.2, 0.8), refused_intervals,
             hint="compare low and high before you return the function of t; low = high is refused, too"),
        Case("gives numbers, one a time", band_inputs((2.0, 3.0)), kind="shape",
             drive=lambda fn, *given: len(weights_at(fn, *given))),
    ),
    hints=("Return a function of t.", "lambda t: w if low <= float(t) <= high else 1.0"))


def led_away(fn, w, x, t, label):
    """The pair, and how often either model was asked with which label."""
    good, bad = [], []
    x0, eps = fn(opinion(good), opinion(bad, tilt=0.4), w)(x, t, label=label)
    return {"x0": x0, "eps": eps, "the better was asked": good, "the worse was asked": bad}


def led_by_each(fn, weights, x, t, label):
    return [led_away(fn, w, x, t, label) for w in weights]


def pair_alone(fn, *given):
    """The pair, whoever was asked for it."""
    found = led_away(fn, *given)
    return [found["x0"], found["eps"]]


def bits_at_1(fn, x, t, label):
    found = led_away(fn, 1, x, t, label)
    right = opinion([])(x, torch.tensor(t), label=label)
    return [[torch.equal(a, b) for a, b in zip((found["x0"], found["eps"]), right)], found["the worse was asked"]]


AUTOGUIDED = Exercise(
    id="ch10.autoguided", title="away from a worse model", reference=autoguided, points=3, minutes=10,
    difficulty="easy",
    cases=(
        Case("goes from the worse answer past the better one", pair_inputs((1.5, 3.0), 5, 2), led_away, central=True,
             hint="worse + w (better - worse), for the picture and the noise"),
        Case("is the better one at w = 1, bit for bit, without asking the worse",
             lambda g: pair_inputs(1, 6, 2)(g)[1:], bits_at_1, hint="if w == 1, its answer as it is"),
        Case("is the worse one at w = 0", pair_inputs(0, 4, 2), pair_alone,
             hint="0 is a number: worse + 0 (better - worse) is the worse answer"),
        Case("works a little beside 1, between 0 and 1, and below 0",
             near_and_far((-1.0, -0.5), (0.3, 0.7), (0.96, 0.99), (1.01, 1.04)), led_by_each,
             hint="only w = 1 itself spares the worse model"),
        Case("tells both the same label", pair_inputs((2.0, 2.5), 7, 1, 2, 2), led_away,
             hint="worse(x, t, **cond): the same condition, unlike in classifier-free guidance"),
        Case("works for one picture in colour", pair_inputs((1.5, 3.0), 1, 3, 4, 2), led_away),
        Case("keeps float32", pair_inputs(2.0, 3, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: [str(led_away(fn, *given)[name].dtype) for name in ("x0", "eps")]),
    ),
    hints=("It is `cfg` with another model in the place of the one without a label.",
           "tuple(bad + w * (g - bad) for g, bad in zip(good, worse(x, t, **cond)))"))

EXERCISES = (DROP_LABELS, CFG, INTERVAL, AUTOGUIDED)
