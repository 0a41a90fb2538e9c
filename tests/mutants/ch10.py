"""Wrong and right answers to the first exercises of chapter 10: labels that are left out, cfg, interval, autoguided."""

import torch

from minidiff.process.guidance import autoguided, cfg, interval
from tests.mutants import alternative, mutant

# --- drop_labels ----------------------------------------------------------------------------------------------------


@mutant("ch10.drop_labels")
def keeps_the_share_that_should_go(labels, rate, null, generator):
    return torch.where(torch.rand(len(labels), generator=generator) < rate, labels, null)


@mutant("ch10.drop_labels")
def one_draw_for_the_batch(labels, rate, null, generator):
    gone = torch.rand(1, generator=generator) < rate
    return torch.where(gone, torch.full_like(labels, null), labels)


@mutant("ch10.drop_labels")
def the_first_ones(labels, rate, null, generator):
    torch.rand(len(labels), generator=generator)
    labels = labels.clone()
    labels[:int(rate * len(labels))] = null
    return labels


@mutant("ch10.drop_labels")
def class_0_for_none(labels, rate, null, generator):
    return torch.where(torch.rand(len(labels), generator=generator) < rate, 0, labels)


@mutant("ch10.drop_labels")
def the_last_class_for_none(labels, rate, null, generator):
    return torch.where(torch.rand(len(labels), generator=generator) < rate, null - 1, labels)


@mutant("ch10.drop_labels")
def normal_draws(labels, rate, null, generator):
    return torch.where(torch.randn(len(labels), generator=generator) < rate, null, labels)


@mutant("ch10.drop_labels")
def from_nowhere(labels, rate, null, generator):
    return torch.where(torch.rand(len(labels)) < rate, null, labels)


@mutant("ch10.drop_labels")
def changes_the_batch(labels, rate, null, generator):
    labels[torch.rand(len(labels), generator=generator) < rate] = null
    return labels


@mutant("ch10.drop_labels")
def always_ten_classes(labels, rate, null, generator):
    return torch.where(torch.rand(len(labels), generator=generator) < rate, 10, labels)


@alternative("ch10.drop_labels")
def by_a_mask_on_a_copy(labels, rate, null, generator):
    kept = labels.clone()
    kept[torch.rand(labels.shape, generator=generator) < rate] = null
    return kept


@alternative("ch10.drop_labels")
def filled_where_masked(labels, rate, null, generator):
    return labels.masked_fill(torch.rand(len(labels), generator=generator).lt(rate), null)


# --- cfg ------------------------------------------------------------------------------------------------------------

def two(denoiser, null, x, t, cond):
    """The answer with the condition, and the one without."""
    return denoiser(x, t, **cond), denoiser(x, t, **null(cond))


def weight_at(w, t):
    return w(t) if callable(w) else w


def combined(rule, early=True):
    """A wrapper of the form of `cfg` with another rule (c, u, w) for each part of the pair."""
    def wrapper(denoiser, w, null):
        def denoise(x, t, **cond):
            weight = weight_at(w, t)
            if early and weight in (0, 1):
                return denoiser(x, t, **(cond if weight else null(cond)))
            cond_pair, free = two(denoiser, null, x, t, cond)
            return tuple(rule(c, u, weight) for c, u in zip(cond_pair, free))
        return denoise
    return wrapper


@mutant("ch10.cfg")
def weight_of_the_paper(denoiser, w, null):
    return combined(lambda c, u, w: (1 + w) * c - w * u)(denoiser, w, null)


@mutant("ch10.cfg")
def starts_from_the_condition(denoiser, w, null):
    return combined(lambda c, u, w: c + w * (c - u), early=False)(denoiser, w, null)


@mutant("ch10.cfg")
def the_other_way_round(denoiser, w, null):
    return combined(lambda c, u, w: c + w * (u - c))(denoiser, w, null)


@mutant("ch10.cfg")
def always_asks_twice(denoiser, w, null):
    return combined(lambda c, u, w: u + w * (c - u), early=False)(denoiser, w, null)


@mutant("ch10.cfg")
def guides_the_noise_alone(denoiser, w, null):
    def denoise(x, t, **cond):
        x0, eps = cfg(denoiser, w, null)(x, t, **cond)
        return denoiser(x, t, **cond)[0], eps
    return denoise


@mutant("ch10.cfg")
def guides_the_picture_alone(denoiser, w, null):
    def denoise(x, t, **cond):
        return cfg(denoiser, w, null)(x, t, **cond)[0], denoiser(x, t, **cond)[1]
    return denoise


@mutant("ch10.cfg")
def guides_the_first_channel_alone(denoiser, w, null):
    def denoise(x, t, **cond):
        guided, plain = cfg(denoiser, w, null)(x, t, **cond), denoiser(x, t, **cond)
        return tuple(torch.cat([g[:, :1], p[:, 1:]], dim=1) for g, p in zip(guided, plain))
    return denoise


@mutant("ch10.cfg")
def forgets_the_other_conditions(denoiser, w, null):
    return cfg(denoiser, w, lambda cond: {"label": null(cond)["label"]})


@mutant("ch10.cfg")
def in_half_the_precision(denoiser, w, null):
    return combined(lambda c, u, w: (u.float() + w * (c.float() - u.float())).to(u.dtype))(denoiser, w, null)


@mutant("ch10.cfg")
def clamps_the_weight(denoiser, w, null):
    return combined(lambda c, u, w: u + max(w, 0) * (c - u))(denoiser, w, null)


@mutant("ch10.cfg")
def the_weight_of_the_start(denoiser, w, null):
    return cfg(denoiser, weight_at(w, 1.0), null)


@mutant("ch10.cfg")
def no_weight_is_no_guidance(denoiser, w, null):
    def denoise(x, t, **cond):
        return cfg(denoiser, weight_at(w, t) or 1, null)(x, t, **cond)
    return denoise


@alternative("ch10.cfg")
def as_a_weighted_sum(denoiser, w, null):
    return combined(lambda c, u, w: (1 - w) * u + w * c)(denoiser, w, null)


@alternative("ch10.cfg")
def by_lerp(denoiser, w, null):
    def denoise(x, t, **cond):
        weight = weight_at(w, t)
        if weight == 0:
            return denoiser(x, t, **null(cond))
        x0, eps = denoiser(x, t, **cond)
        if weight == 1:
            return x0, eps
        free_x0, free_eps = denoiser(x, t, **null(cond))
        return torch.lerp(free_x0, x0, float(weight)), torch.lerp(free_eps, eps, float(weight))
    return denoise


@alternative("ch10.cfg")
def from_the_condition_back(denoiser, w, null):
    return combined(lambda c, u, w: c + (w - 1) * (c - u))(denoiser, w, null)


# --- interval -------------------------------------------------------------------------------------------------------

def checked(low, high):
    if not low < high:
        raise ValueError("upside down")


@mutant("ch10.interval")
def without_its_ends(w, low, high):
    checked(low, high)
    return lambda t: w if low < float(t) < high else 1.0


@mutant("ch10.interval")
def without_a_label_outside(w, low, high):
    checked(low, high)
    return lambda t: w if low <= float(t) <= high else 0.0


@mutant("ch10.interval")
def outside_for_inside(w, low, high):
    checked(low, high)
    return lambda t: 1.0 if low <= float(t) <= high else w


@mutant("ch10.interval")
def upside_down_is_empty(w, low, high):
    return lambda t: w if low <= float(t) <= high else 1.0


@mutant("ch10.interval")
def zero_is_not_given(w, low, high):
    checked(low, high)
    return lambda t: (w or 1.0) if low <= float(t) <= high else 1.0


@mutant("ch10.interval")
def below_the_upper_end(w, low, high):
    checked(low, high)
    return lambda t: w if float(t) <= high else 1.0


@mutant("ch10.interval")
def above_the_lower_end(w, low, high):
    checked(low, high)
    return lambda t: w if float(t) >= low else 1.0


@mutant("ch10.interval")
def times_in_half_the_precision(w, low, high):
    checked(low, high)
    return lambda t: w if torch.tensor(low) <= torch.tensor(float(t)) <= torch.tensor(high) else 1.0


@alternative("ch10.interval")
def by_a_function(w, low, high):
    if low >= high:
        raise ValueError("low must be below high")

    def weight(t):
        if t < low or t > high:
            return 1.0
        return w
    return weight


@alternative("ch10.interval")
def by_the_difference(w, low, high):
    interval(w, low, high)
    return lambda t: 1 + (w - 1) * bool(low <= t <= high)


# --- autoguided -----------------------------------------------------------------------------------------------------

def away(rule):
    def wrapper(denoiser, worse, w):
        def denoise(x, t, **cond):
            good = denoiser(x, t, **cond)
            if w == 1:
                return good
            return tuple(rule(g, b, w) for g, b in zip(good, worse(x, t, **cond)))
        return denoise
    return wrapper


@mutant("ch10.autoguided")
def starts_from_the_better(denoiser, worse, w):
    return away(lambda g, b, w: g + w * (g - b))(denoiser, worse, w)


@mutant("ch10.autoguided")
def towards_the_worse(denoiser, worse, w):
    return away(lambda g, b, w: g + w * (b - g))(denoiser, worse, w)


@mutant("ch10.autoguided")
def the_two_exchanged(denoiser, worse, w):
    return autoguided(worse, denoiser, w)


@mutant("ch10.autoguided")
def worse_is_asked_at_w_1(denoiser, worse, w):
    def denoise(x, t, **cond):
        bad = worse(x, t, **cond)
        return tuple(b + w * (g - b) for g, b in zip(denoiser(x, t, **cond), bad))
    return denoise


@mutant("ch10.autoguided")
def the_worse_without_a_label(denoiser, worse, w):
    return autoguided(denoiser, lambda x, t, **cond: worse(x, t), w)


@mutant("ch10.autoguided")
def leads_the_picture_alone(denoiser, worse, w):
    def denoise(x, t, **cond):
        return autoguided(denoiser, worse, w)(x, t, **cond)[0], denoiser(x, t, **cond)[1]
    return denoise


@mutant("ch10.autoguided")
def away_in_half_the_precision(denoiser, worse, w):
    return away(lambda g, b, w: (b.float() + w * (g.float() - b.float())).to(g.dtype))(denoiser, worse, w)


@mutant("ch10.autoguided")
def w_0_for_no_guidance(denoiser, worse, w):
    return autoguided(denoiser, worse, w or 1)


@alternative("ch10.autoguided")
def as_guidance_of_a_pair(denoiser, worse, w):
    def either(x, t, which, **cond):
        return (denoiser if which else worse)(x, t, **cond)

    def denoise(x, t, **cond):
        if w == 1:
            return denoiser(x, t, **cond)
        pairs = [either(x, t, which, **cond) for which in (False, True)]
        return tuple((1 - w) * b + w * g for b, g in zip(*pairs))
    return denoise


@alternative("ch10.autoguided")
def from_the_better_on(denoiser, worse, w):
    return away(lambda g, b, w: g + (w - 1) * (g - b))(denoiser, worse, w)
