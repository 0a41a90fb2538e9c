"""The exercises of chapter 11 about nets that draw what one types: maps against masks, the loss of unCLIP's prior."""

import torch

from minidiff.evaluation.attention import map_iou
from minidiff.exercises.ch09 import randn, some_seed
from minidiff.exercises.core import Case, Exercise
from minidiff.recipes.clip_prior import prior_loss

# --- map_iou --------------------------------------------------------------------------------------------------------


def iou_inputs(N, side, h, w):
    """Maps (N, h, w), and masks (N, side, side) of one rectangle each."""
    def draw(generator):
        corner = torch.randint(0, side - 3, (N, 2), generator=generator)
        size = torch.randint(2, 5, (N, 2), generator=generator)
        rows, columns = ((torch.arange(side) >= c[:, None]) & (torch.arange(side) < (c + s)[:, None])
                         for c, s in zip(corner.T, size.T))
        return randn(generator, N, h, w), rows[:, :, None] & columns[:, None, :]
    return draw


MAP_IOU = Exercise(
    id="ch11.map_iou", title="attention maps against masks", reference=map_iou, points=3, minutes=20,
    difficulty="medium",
    cases=(
        Case("is 1 for a map that is largest on the object", iou_inputs(5, 12, 12, 12),
             lambda fn, maps, masks: fn(maps.tanh() + 5 * masks, masks), expect=lambda maps, masks: torch.ones(5),
             hint="as many pixels as the object has: masks.sum over its pixels"),
        Case("is 0 for a map that is largest elsewhere", iou_inputs(5, 12, 12, 12),
             lambda fn, maps, masks: fn(maps.tanh() - 5 * masks, masks), expect=lambda maps, masks: torch.zeros(5)),
        Case("counts the pixels that both have over those that one has", iou_inputs(20, 10, 10, 10), central=True,
             hint="(chosen & masks) over (chosen | masks), picture by picture"),
        Case("enlarges small maps to the size of the masks", iou_inputs(12, 16, 4, 4), central=True,
             hint="F.interpolate wants (N, 1, h, w), and mode='bilinear'"),
        Case("is the share of the object where a map is the same everywhere", iou_inputs(4, 8, 8, 8),
             lambda fn, maps, masks: fn(torch.zeros_like(maps), masks),
             expect=lambda maps, masks: masks.float().mean(dim=(1, 2)),
             hint="all pixels that equal the least of the chosen ones are chosen, too: large >= least"),
        Case("takes maps that are wider than high", iou_inputs(12, 12, 3, 6), central=True),
    ),
    hints=("first make the map as large as the mask, then find the value that the k-th largest pixel has, where k is "
           "the number of the object's pixels",
           "large.sort(dim=1, descending=True).values, and .gather(1, k - 1) takes one of each row",
           "(chosen & masks).sum(dim=1) / (chosen | masks).sum(dim=1)"))

# --- prior_loss -----------------------------------------------------------------------------------------------------
# A learner may draw times, noise and what is dropped in any order, so a check knows none of these numbers: nets that
# note what they are asked, and losses that do not depend on the noise.


def vector_inputs(B, dim, untold=0.0, size=1.0):
    """Vectors of pictures and of texts (B, dim) float32, a setting, and the seed of a generator."""
    def draw(generator):
        x, text = (size + randn(generator, B, dim, dtype=torch.float32) for _ in range(2))
        return x, text, untold, some_seed(generator)
    return draw


def loss_with(fn, net, x, text, untold, seed):
    return fn({"untold": untold})(net, {"x": x, "text": text}, torch.Generator().manual_seed(seed))[0]


def of_the_truth(fn, x, text, untold, seed):
    """The loss of a net that knows the vector of each picture, and answers 2 beside it."""
    return loss_with(fn, lambda x_t, t, text: x + 2, x, text, untold, seed)


def of_nothing(fn, x, text, untold, seed):
    return loss_with(fn, lambda x_t, t, text: torch.zeros_like(x), x, text, untold, seed)


def of_the_text(fn, x, text, untold, seed):
    """The gradient of the loss with respect to the one weight of a net that answers with the text."""
    w = torch.tensor(0.7, requires_grad=True)
    return torch.autograd.grad(loss_with(fn, lambda x_t, t, text: w * text, x, text, untold, seed), w)[0]


def slope_by_hand(x, text, untold, seed):
    return (2 * (0.7 * text - x) * text).mean()


def asked(fn, x, text, untold, seed):
    """What the net is asked: {"x": x_t, "t": times, "text": what it is told}."""
    seen = {}

    def net(x_t, t, text):
        seen.update(x=x_t.detach(), t=t.detach().double(), text=text.detach())
        return torch.zeros_like(x_t)
    loss_with(fn, net, x, text, untold, seed)
    return seen


def on_the_way(fn, x, text, untold, seed):
    """Whether the vectors lie on the straight path, at times of their own that cover 0..1000."""
    seen = asked(fn, x, text, untold, seed)
    t = seen["t"].reshape(-1, 1) / 1000
    far = t[:, 0] > 0.2
    eps = ((seen["x"].double() - (1 - t) * x.double()) / t.clamp(min=1e-6))[far]
    return {"a time each": tuple(seen["t"].shape) == (len(x),), "on the scale of nets": bool(seen["t"].max() > 900),
            "early ones too": bool(seen["t"].min() < 100), "in the mean half-way": bool(abs(t.mean() - 0.5) < 0.05),
            "noise of mean 0": bool(abs(eps.mean()) < 0.05), "noise of variance 1": bool(abs(eps.var() - 1) < 0.1)}


def told(fn, x, text, untold, seed):
    """How the texts are told: whole or as zeros, and whether the share of zeros is what was asked for."""
    heard = asked(fn, x, text, untold, seed)["text"]
    gone, kept = (heard == 0).all(dim=1), (heard == text).all(dim=1)
    wide = 4 * (untold * (1 - untold) / len(x)) ** 0.5
    return {"whole or none": bool((gone | kept).all()),
            "as many as asked for": bool(abs(gone.double().mean() - untold) <= wide + 1e-9)}


def right_about(names):
    return lambda *_: {name: True for name in names}


WAY = ("a time each", "on the scale of nets", "early ones too", "in the mean half-way", "noise of mean 0",
       "noise of variance 1")
TOLD = ("whole or none", "as many as asked for")

PRIOR_LOSS = Exercise(
    id="ch11.prior_loss", title="the prior of unCLIP", reference=prior_loss, points=4, minutes=20, difficulty="medium",
    cases=(
        Case("is 4 for a net that answers with the picture's vector plus 2", vector_inputs(40, 6), of_the_truth,
             expect=lambda *_: torch.tensor(4.0), central=True,
             hint="the target is X0, the vector of the picture itself; no weight"),
        Case("is the mean square of the vectors for a net that answers 0", vector_inputs(30, 5), of_nothing,
             expect=lambda x, *_: x.square().mean(), hint="a mean over vectors and their numbers"),
        Case("asks about noisy vectors on the straight path", vector_inputs(3000, 8, 0.1), on_the_way,
             expect=right_about(WAY), central=True,
             hint="weighted_loss draws a time for each, with flow_path(); the net has t times "
             "1000, which path.net_time gives"),
        Case("tells the net every text when none is to be dropped", vector_inputs(50, 6, 0.0), told,
             expect=right_about(TOLD)),
        Case("tells it zeros instead of a part of the texts", vector_inputs(4000, 3, 0.3), told,
             expect=right_about(TOLD), central=True,
             hint="`dropped` replaces whole vectors by zeros with the probability "
             'config["untold"]'),
        Case("can be trained: its gradient reaches what reads the text", vector_inputs(40, 6, 0.0), of_the_text,
             expect=slope_by_hand, hint="the net takes its text by name: net(x, t, text=...)"),
        Case("draws all from the generator", vector_inputs(20, 4, 0.5),
             lambda fn, *given: bool(torch.equal(loss_with(fn, half_sum, *given), loss_with(fn, half_sum, *given))),
             expect=lambda *_: True),
        Case("gives a loss of one number, and a dict", vector_inputs(8, 4), kind="shape",
             drive=lambda fn, x, text, untold, seed: form(fn({"untold": untold})(
                 half_sum, {"x": x, "text": text}, torch.Generator().manual_seed(seed)))),
    ),
    hints=("Two lines: the net that has been told some of the texts, and what weighted_loss makes of it.",
           'partial(net, text=dropped(batch["text"], config["untold"], generator)) is a function of (x, t).',
           'weighted_loss(told, batch["x"], flow_path(), X0, generator) gives the loss and its logs.'))


def half_sum(x, t, text):
    """A net that looks at the vector and at the text."""
    return (x + text) / 2


def form(value):
    loss, logs = value
    return str(loss.dtype), list(loss.shape), isinstance(logs, dict)


EXERCISES = (MAP_IOU, PRIOR_LOSS)
