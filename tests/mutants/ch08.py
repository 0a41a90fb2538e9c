"""Wrong and right answers of chapter 08 on steps and values; Heun's in ch08_heun, grids and EDM's in ch08_grids."""

import torch

import tests.mutants.ch08_grids  # noqa: F401  (the answers to lambda_grid, karras_sigmas and edm_precond)
from minidiff.process.continuous import lambda_of
from minidiff.samplers.exponential import exponential_step
from minidiff.samplers.multistep import ANSWER
from minidiff.samplers.step import ddim_step
from tests.mutants import alternative, mutant


def ends(path, t, s):
    """alpha and sigma at both ends, and h."""
    h = lambda_of(path, s) - lambda_of(path, t)
    return path.alpha(t), path.sigma(t), path.alpha(s), path.sigma(s), h


@mutant("ch08.exponential_step")
def forgets_the_form(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    return sigma_s / sigma_t * x - alpha_s * torch.expm1(-h) * value


@mutant("ch08.exponential_step")
def alpha_of_the_start(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    if form == "x0":
        return sigma_s / sigma_t * x - alpha_t * torch.expm1(-h) * value
    return alpha_s / alpha_t * x + alpha_s * sigma_t / alpha_t * torch.expm1(-h) * value


@mutant("ch08.exponential_step")
def sign_of_h(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    if form == "x0":
        return sigma_s / sigma_t * x - alpha_s * torch.expm1(h) * value
    return alpha_s / alpha_t * x + alpha_s * sigma_t / alpha_t * torch.expm1(h) * value


@mutant("ch08.exponential_step")
def first_order_in_h(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    if form == "x0":
        return sigma_s / sigma_t * x + alpha_s * h * value
    return alpha_s / alpha_t * x - sigma_s * h * value


@mutant("ch08.exponential_step")
def e_to_the_h_which_is_infinite_at_clean_data(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    if form == "x0":
        return sigma_s / sigma_t * x + alpha_s * (1 - torch.exp(-h)) * value
    return alpha_s / alpha_t * x - sigma_s * torch.expm1(h) * value


@mutant("ch08.exponential_step")
def divides_by_alpha_in_both_forms(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    eps = value if form == "eps" else (x - alpha_t * value) / sigma_t
    return alpha_s / alpha_t * x + alpha_s * sigma_t / alpha_t * torch.expm1(-h) * eps


@mutant("ch08.exponential_step")
def adds_the_noise(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, h = ends(path, t, s)
    if form == "x0":
        return sigma_s / sigma_t * x - alpha_s * torch.expm1(-h) * value
    return alpha_s / alpha_t * x - alpha_s * sigma_t / alpha_t * torch.expm1(-h) * value


@alternative("ch08.exponential_step")
def by_the_step_of_chapter_four(x, value, t, s, path, form="x0"):
    alpha, sigma = path.alpha(t), path.sigma(t)
    if form == "x0":
        return ddim_step(value, (x - alpha * value) / sigma, t, s, path, eta=0.0)
    return ddim_step((x - sigma * value) / alpha, value, t, s, path, eta=0.0)


@alternative("ch08.exponential_step")
def in_levels(x, value, t, s, path, form="x0"):
    alpha_t, sigma_t, alpha_s, sigma_s, _ = ends(path, t, s)
    if form == "x0":
        return sigma_s / sigma_t * x + (alpha_s - sigma_s * alpha_t / sigma_t) * value
    return alpha_s * (x / alpha_t + (sigma_s / alpha_s - sigma_t / alpha_t) * value)


@mutant("ch08.dpm2_step")
def goes_on_from_half_way(answer, denoiser, x, t, middle, s, path, form):
    half = exponential_step(x, answer, t, middle, path, form)
    return exponential_step(half, denoiser(half, middle)[ANSWER[form]], middle, s, path, form)


@mutant("ch08.dpm2_step")
def keeps_the_answer_of_the_start(answer, denoiser, x, t, middle, s, path, form):
    denoiser(exponential_step(x, answer, t, middle, path, form), middle)
    return exponential_step(x, answer, t, s, path, form)


@mutant("ch08.dpm2_step")
def asks_where_it_started(answer, denoiser, x, t, middle, s, path, form):
    return exponential_step(x, denoiser(x, middle)[ANSWER[form]], t, s, path, form)


@mutant("ch08.dpm2_step")
def middle_in_time(answer, denoiser, x, t, middle, s, path, form):
    middle = (t + s) / 2
    half = exponential_step(x, answer, t, middle, path, form)
    return exponential_step(x, denoiser(half, middle)[ANSWER[form]], t, s, path, form)


@mutant("ch08.dpm2_step")
def mean_of_start_and_middle(answer, denoiser, x, t, middle, s, path, form):
    half = exponential_step(x, answer, t, middle, path, form)
    value = (answer + denoiser(half, middle)[ANSWER[form]]) / 2
    return exponential_step(x, value, t, s, path, form)


@mutant("ch08.dpm2_step")
def always_the_picture(answer, denoiser, x, t, middle, s, path, form):
    half = exponential_step(x, answer, t, middle, path, form)
    return exponential_step(x, denoiser(half, middle)[0], t, s, path, form)


@mutant("ch08.dpm2_step")
def tells_the_time_of_the_start(answer, denoiser, x, t, middle, s, path, form):
    half = exponential_step(x, answer, t, middle, path, form)
    return exponential_step(x, denoiser(half, t)[ANSWER[form]], t, s, path, form)


@mutant("ch08.dpm2_step")
def forgets_to_hand_the_form_on(answer, denoiser, x, t, middle, s, path, form):
    half = exponential_step(x, answer, t, middle, path)
    return exponential_step(x, denoiser(half, middle)[ANSWER[form]], t, s, path)


@alternative("ch08.dpm2_step")
def by_the_general_step(answer, denoiser, x, t, middle, s, path, form):
    def to(u, value):
        alpha, sigma = path.alpha(t), path.sigma(t)
        if form == "x0":
            return ddim_step(value, (x - alpha * value) / sigma, t, u, path, eta=0.0)
        return ddim_step((x - sigma * value) / alpha, value, t, u, path, eta=0.0)
    return to(s, denoiser(to(middle, answer), middle)[("x0", "eps").index(form)])


@alternative("ch08.dpm2_step")
def as_published_with_a_difference(answer, denoiser, x, t, middle, s, path, form):
    r = 0.5
    out = denoiser(exponential_step(x, answer, t, middle, path, form), middle)[ANSWER[form]]
    return exponential_step(x, answer + (out - answer) / (2 * r), t, s, path, form)


@mutant("ch08.value_2m")
def steps_of_equal_width(past, lam_s):
    return 1.5 * past[0][1] - 0.5 * past[1][1]


@mutant("ch08.value_2m")
def at_the_end_of_the_step(past, lam_s):
    (lam, out), (lam_before, before) = past[:2]
    return out + float((lam_s - lam) / (lam - lam_before)) * (out - before)


@mutant("ch08.value_2m")
def ratio_upside_down(past, lam_s):
    (lam, out), (lam_before, before) = past[:2]
    return out + float((lam - lam_before) / (lam_s - lam) / 2) * (out - before)


@mutant("ch08.value_2m")
def half_a_step_back(past, lam_s):
    (lam, out), (lam_before, before) = past[:2]
    return out - float((lam_s - lam) / (lam - lam_before) / 2) * (out - before)


@mutant("ch08.value_2m")
def mean_of_the_two(past, lam_s):
    return (past[0][1] + past[1][1]) / 2


@mutant("ch08.value_2m")
def oldest_two(past, lam_s):
    (lam, out), (lam_before, before) = past[-2:]
    return out + float((lam_s - lam) / (lam - lam_before) / 2) * (out - before)


@mutant("ch08.value_2m")
def newest_last(past, lam_s):
    (lam_before, before), (lam, out) = past[:2]
    return out + float((lam_s - lam) / (lam - lam_before) / 2) * (out - before)


@mutant("ch08.value_2m")
def only_the_last_answer(past, lam_s):
    return past[0][1]


@alternative("ch08.value_2m")
def as_published_with_r(past, lam_s):
    (lam, out), (lam_before, before) = past[0], past[1]
    r = float((lam - lam_before) / (lam_s - lam))
    return (1 + 1 / (2 * r)) * out - 1 / (2 * r) * before


@alternative("ch08.value_2m")
def by_a_slope(past, lam_s):
    lam, out = past[0]
    slope = (out - past[1][1]) / float(lam - past[1][0])
    return out + slope * float((lam + lam_s) / 2 - lam)
