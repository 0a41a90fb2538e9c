# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 08 Faster II: high-order solvers and EDM
#
# After this chapter you can derive the solvers that made diffusion models fast, prove the order of each with a slope, say what EDM does to a network's inputs and targets and why, and draw digits in ten evaluations.
#
# | | |
# |---|---|
# | Before this | [06 Schedules, targets, weights](06_schedules_targets_weights.ipynb), [07 DDIM, SDE and ODE](07_ddim_sde_ode.ipynb) |
# | Adds to `minidiff` | `samplers/exponential`, `lambda_grids`, `multistep`, `singlestep`, `unipc`, `heun`, `lms`, `stochastic`; `process/edm`; `recipes/mnist_edm` |
# | Time to run | about a minute on 2 CPU cores |
# | Training for real | `python -m minidiff train mnist-edm --minutes 10`; what the weights of the course took is printed below from their record |

# %% tags=["setup"]
import torch
import matplotlib.pyplot as plt
from minidiff.exercises.core import answer, check, hint, progress
from minidiff.plotting import show, use_house_style
use_house_style()

# %% [markdown]
# This is where we are going. One net, that of chapter 04, and one starting noise; only the way down differs. Every point is a set of digits, its distance to real ones (lower is better) against how often the net was asked for each digit. `benchmarks/evaluations.py` drew them.

# %%
import json
from minidiff.recipes.run import CHECKPOINTS

BENCHMARKS = CHECKPOINTS.parent / "benchmarks"
measured = json.loads((BENCHMARKS / "evaluations.json").read_text())
by_name = {}
for cell in measured["cells"]:
    if cell["evaluations"] <= 50:
        row = by_name.setdefault(cell["sampler"], {})
        row[cell["evaluations"]] = cell["distance"]["500"]

# %%
for name in ("ancestral", "ddim", "heun", "dpmpp_2m", "unipc"):
    plt.semilogx(*zip(*sorted(by_name[name].items())), "o-", label=name)
plt.axhline(measured["real"]["500"][0], color="grey", ls=":", label="real")
plt.title("Better solvers need fewer evaluations")
plt.xlabel("evaluations of the net for one digit")
plt.xticks([5, 10, 20, 50], [5, 10, 20, 50])
plt.minorticks_off()
plt.ylabel("Fréchet distance, N = 500")
plt.legend()
plt.show()

# %% [markdown]
# The numbers of the left end:

# %%
for name in ("ancestral", "ddim", "heun", "dpmpp_2m", "unipc"):
    at = by_name[name]
    print(f"{name:10s} 5 evaluations {at[5]:5.1f}, 10 {at[10]:5.1f}")

# %% [markdown]
# ## What does one step of DDIM assume?
#
# Chapter 07 ended with an ordinary differential equation. With the noise level $k = \sigma/\alpha$, the walk without noise obeys $\mathrm d(x/\alpha) = \hat\varepsilon\,\mathrm dk$. Write it in the clock that all paths share, $\lambda = \log\alpha - \log\sigma$, so $k = e^{-\lambda}$ and $\mathrm dk = -e^{-\lambda}\mathrm d\lambda$:
#
# $$\frac{\mathrm d}{\mathrm d\lambda}\,\frac{x}{\alpha} = -e^{-\lambda}\,{\color{#D55E00}{\hat\varepsilon}}. \tag{8.1}$$

# %% [markdown]
# The same in pictures. Since $x/\sigma = e^{\lambda}\,x/\alpha$, the product rule gives $e^{\lambda}(x/\alpha) - \hat\varepsilon$, and $x = \alpha\hat x_0 + \sigma\hat\varepsilon$ makes the noise cancel:
#
# $$\frac{\mathrm d}{\mathrm d\lambda}\,\frac{x}{\sigma} = e^{\lambda}\,{\color{#D55E00}{\hat x_0}}. \tag{8.2}$$
#
# No $x$ is left on the right, except inside the net. So integrate from $t$ down to $s$:
#
# $$x_s = \frac{\sigma_s}{\sigma_t}\,x_t + \sigma_s \int_{\lambda_t}^{\lambda_s} e^{\lambda}\,{\color{#D55E00}{\hat x_0}}\,\mathrm d\lambda. \tag{8.3}$$

# %% [markdown]
# **Guess first:** what in (8.3) can a computer not know exactly? Not the factor before $x_t$; not the weight $e^\lambda$. Only $\hat x_0$ on the way. And how much does that move? Take the mixture of chapter 07, whose flow is known, and walk one unit of $\lambda$.

# %%
import math
from minidiff.evaluation.convergence import exact_flow, mixture_denoiser
from minidiff.evaluation.mixture import Mixture
from minidiff.process.continuous import lambda_of, time_of, vp_path

mixture = Mixture([0.5, 0.3, 0.2], [[1.0, 0.5], [-1.0, 0.2], [0.1, -1.0]],
                  [0.3, 0.2, 0.25])
path, generator = vp_path(), torch.Generator().manual_seed(0)
denoiser = mixture_denoiser(mixture, path)
noisy, clean = (time_of(path, -math.log(k)) for k in (10.0, 0.02))

# %% [markdown]
# `noisy` and `clean` are the times at which there is ten times more noise than picture, and fifty times less. Two hundred points start at the noisy end, and walk one unit of $\lambda$ from three places:

# %%
x = mixture.noised(path.alpha(noisy), path.sigma(noisy)).sample(
    200, generator)
for lam in (0.0, 1.0, 2.0):
    t, s = time_of(path, torch.tensor([lam, lam + 1]))
    x_t, x_s = (exact_flow(mixture, x, path, noisy, u, 100) for u in (t, s))
    left, unknown = x_s / path.sigma(s) - x_t / path.sigma(t), (
        denoiser(x_s, s)[0] - denoiser(x_t, t)[0])
    print(f"lambda {lam:.0f} to {lam + 1:.0f}: x / sigma moves by"
          f" {left.norm() * path.sigma(t) / x_t.norm():.2f} of its size,"
          f" x0 by {unknown.norm() / denoiser(x_t, t)[0].norm():.2f}")


# %% [markdown]
# What is integrated moves a lot, and ever more; what is unknown moves less and less. A solver that works on $x$ itself has to follow all of the first. The *exponential integrator* computes that part exactly, and approximates $\hat x_0$ alone.
#
# The crudest way: take one value $D$ for the whole step. The integral of $e^\lambda$ is $e^{\lambda_s} - e^{\lambda_t}$, and with $h = \lambda_s - \lambda_t$,
#
# $$x_s = \frac{\sigma_s}{\sigma_t}\,x_t + \alpha_s\,(1 - e^{-h})\,D. \tag{8.4}$$

# %% [markdown]
# From (8.1) comes its twin, in which a noise $E$ is held fixed:
#
# $$x_s = \frac{\alpha_s}{\alpha_t}\,x_t - \sigma_s\,(e^{h} - 1)\,E, \qquad \sigma_s e^h = \alpha_s\,\sigma_t/\alpha_t. \tag{8.5}$$
#
# The solvers in the form (8.4) are called DPM-Solver++, those in (8.5) DPM-Solver (Lu et al. 2022, two papers). The second formula of (8.5) is for the last step, where $h$ is infinite and $\sigma_s$ is 0.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.1 `exponential_step`** (code, medium, 15 minutes). Both forms. Write $1 - e^{-h}$ with `torch.expm1`, and so that a step to clean data needs no special case. If you are stuck: `hint("ch08.exponential_step")`.

# %% minidiff={"exercise": "ch08.exponential_step", "points": 4} nbgrader={"grade": false, "grade_id": "ch08-exponential_step", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def exponential_step(x, value, t, s, path, form="x0"):
    """(8.4) for form "x0", (8.5) for "eps": x, value (B, ...) -> x_s."""
    alpha_t, sigma_t, alpha_s, sigma_s = path.alpha(t), path.sigma(
        t), path.alpha(s), path.sigma(s)
    if form == "eps" and alpha_t == 0:
        raise ValueError("the form eps cannot start where alpha = 0, at "
                         f"t = {float(t):.4g}: take the form x0 there")
    # BEGIN SOLUTION
    new = -torch.expm1(lambda_of(path, t) - lambda_of(path, s))
    if form == "x0":
        return float(sigma_s / sigma_t) * x + float(alpha_s * new) * value
    return float(alpha_s / alpha_t) * x - float(
        alpha_s * sigma_t / alpha_t * new) * value
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-exponential_step-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["check"]
exponential_step = answer("ch08.exponential_step", exponential_step)

# %% [markdown]
# Which value? The simplest is the denoiser's answer at the start of the step. Compare that with the step of chapter 04 without noise, $\eta = 0$:

# %%
from minidiff.samplers.step import step

x0, eps = denoiser(x_t, t)  # from lambda = 2 to 3
for form, value in (("x0", x0), ("eps", eps)):
    ours = exponential_step(x_t, value, t, s, path, form)
    gap = (ours - step(x0, eps, t, s, path, eta=0.0)).abs().max()
    print(f"{form:3s}  differs from DDIM by less than 1e-12: {gap < 1e-12}")


# %% [markdown]
# Both are DDIM. So DDIM is not Euler's method that happens to work well: it is the exponential integrator with a constant answer, and exact if the answer does not change. (It is *also* Euler's, in $x/\alpha$ and $k$, as chapter 07 had it: there (8.5) is a straight line.)
#
# This is the plan of the chapter. **Every solver below is a step of DDIM with a better value.**

# %% [markdown]
# ## What does "of order two" buy?
#
# A method is of order $p$ if its error falls like $h^p$: half the step, an error $2^p$ times smaller. Measure it. First the grid: since (8.3) lives in $\lambda$, cut $\lambda$ in equal steps. The last entry is 0, clean data, infinitely far away in $\lambda$:
#
# $$\lambda_i = \lambda_{\text{first}} + \frac{i}{n-1}\,(\lambda_{\text{last}} - \lambda_{\text{first}}), \quad i < n; \qquad t_n = 0. \tag{8.6}$$

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.2 `lambda_grid`** (code, easy, 10 minutes). Times of a path: $n$ of them from `first` to `last`, and then 0. `lambda_of` and `time_of` (chapter 06) translate, whole tensors at once.

# %% minidiff={"exercise": "ch08.lambda_grid", "points": 3} nbgrader={"grade": false, "grade_id": "ch08-lambda_grid", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def lambda_grid(path, n, first, last):
    """n times even in lambda, then 0: (n + 1,) float64 (eq. 8.6)."""
    if n < 1 or not 0 < last < first:
        raise ValueError("a grid has n >= 1 steps from `first` down to "
                         f"`last` > 0, got {n}, {first} and {last}")
    # BEGIN SOLUTION
    start, end = lambda_of(path, first), lambda_of(path, last)
    times = time_of(path, start + (end - start) * torch.linspace(
        0, 1, n, dtype=torch.float64))
    return torch.cat([times, torch.zeros(1, dtype=torch.float64)])
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-lambda_grid-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
lambda_grid = answer("ch08.lambda_grid", lambda_grid)

# %% [markdown]
# Now the ruler. A solver walks from `noisy` to `clean` in $N$ steps; the exact flow says where each point should be. We take the *median* distance: a mean would be ruled by the few points that stand between two parts of the mixture.

# %%
from minidiff.evaluation.convergence import order_of_convergence
from minidiff.samplers.step import last

STEPS = (16, 32, 64, 128)
goal = exact_flow(mixture, x, path, noisy, clean, steps=400)


def errors_of(solver):
    """The median error of a solver for each of STEPS."""
    grids = [lambda_grid(path, n + 1, noisy, clean)[:-1] for n in STEPS]
    ends = [last(solver(denoiser, x, times, path)) for times in grids]
    return [float((end - goal).norm(dim=1).median()) for end in ends]


# %% [markdown]
# (`[:-1]` leaves out the step to clean data, which has a section of its own.)

# %%
from minidiff.samplers.ddim import ddim

errors = {"DDIM": errors_of(ddim)}
print("errors:", *(f"{e:.4f}" for e in errors["DDIM"]))
print(f"order:  {order_of_convergence(STEPS, errors['DDIM']):.2f}")

# %% [markdown]
# Twice the steps, half the error: order one. **Guess:** DDIM with 128 steps has the error that you see at the end of the line. How many steps would a method need that starts with DDIM's error at $N = 16$, but has order two?

# %%
ratio = errors["DDIM"][0] / errors["DDIM"][-1]
print(f"{ratio:.1f} times less error: {16 * ratio:.0f} steps of order 1,"
      f" {16 * ratio ** 0.5:.0f} of order 2")

# %% [markdown]
# ## A better value
#
# Let the answer change at a constant rate over the step, $\hat x_0(\lambda_t + r h) \approx \hat x_0 + r h\,\hat x_0'$. Then (8.3) still has an exact solution, and it has the form (8.4), with the weighted mean of the answer as its value:
#
# $$D = \hat x_0 + h\,\frac{\varphi_2(-h)}{\varphi_1(-h)}\,\hat x_0' + h^2\,\frac{\varphi_3(-h)}{\varphi_1(-h)}\,\hat x_0'' + \dots \tag{8.7}$$
#
# (the next term of Taylor's series is there too). The $\varphi_k$ are the integrals of the weight against powers.

# %% [markdown]
# $$\varphi_k(z) = \int_0^1 e^{(1-u)z}\,\frac{u^{k-1}}{(k-1)!}\,\mathrm du, \qquad \varphi_1 = \frac{e^z - 1}{z}, \qquad \varphi_{k+1} = \frac{\varphi_k - 1/k!}{z}. \tag{8.8}$$
#
# In the form (8.5) the weight is $e^{-\lambda}$, and all is the same with $+h$ for $-h$. A formula with a minus sign and a small divisor deserves a look. Compute $\varphi_3$ by (8.8) as it stands, and by the package, which uses `expm1` and, for $|z| < 1$, a series:

# %%
from minidiff.samplers.exponential import phi


def as_it_stands(z):
    return ((math.exp(z) - 1) / z - 1) / z / z - 1 / (2 * z)


for z in (1.0, 1e-3, 1e-6, 1e-9):
    right = abs(as_it_stands(z) - phi(3, z)) < 1e-4
    print(f"z = {z:5.0e}   package {phi(3, z):.4f}"
          f"   as it stands right to 4 digits: {right}")

# %% [markdown]
# Each division by $z$ throws away digits, until nothing is right (the true value at 0 is 1/6). Small steps are just what a test of order uses, so a solver written in the plain way would seem to have no order at all.
#
# For small $h$ the factor of the slope, $\varphi_2/\varphi_1$, tends to 1/2:

# %%
for h in (1.0, 0.3, 0.1):
    print(f"h = {h}   {phi(2, -h) / phi(1, -h):.3f}")

# %% [markdown]
# A slope times half a step: to second order, **$D$ is the answer in the middle of the step**. How do we get it? There are two ways, and they are two famous solvers.
#
# ### Ask there
#
# Walk half the step with the answer that you have, ask again, and take the *new* answer for the whole step:
#
# $$D = \hat x_0\big(x_m,\, t_m\big), \qquad \lambda_m = \tfrac12(\lambda_t + \lambda_s), \qquad x_m = (8.4)\ \text{from}\ t\ \text{to}\ t_m. \tag{8.9}$$
#
# It is DPM-Solver-2 with noises, DPM-Solver++2S with pictures.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.3 `dpm2_step`** (code, medium, 10 minutes). `answer` is what the denoiser said at $(x, t)$; `ANSWER[form]` picks the picture (0) or the noise (1) from what it says in the middle.

# %% minidiff={"exercise": "ch08.dpm2_step", "points": 3} nbgrader={"grade": false, "grade_id": "ch08-dpm2_step", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
from minidiff.samplers.multistep import ANSWER


def dpm2_step(answer, denoiser, x, t, middle, s, path, form):
    """x_s by (8.9); asks the denoiser once, at `middle`."""
    # BEGIN SOLUTION
    half_way = exponential_step(x, answer, t, middle, path, form)
    value = denoiser(half_way, middle)[ANSWER[form]]
    return exponential_step(x, value, t, s, path, form)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-dpm2_step-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
dpm2_step = answer("ch08.dpm2_step", dpm2_step)


# %% [markdown]
# ### Or remember
#
# That costs two evaluations a step. But the walk has already asked at the step before. Draw a line through the last two answers, and read it in the middle of the step *ahead*:
#
# $$D = \hat x_0(t) + \frac{h}{2}\,\frac{\hat x_0(t) - \hat x_0(t_{-1})}{\lambda_t - \lambda_{-1}}, \tag{8.10}$$
#
# where $t_{-1}$ is the time of the step before. This is DPM-Solver++2M ("M" for multistep), for years the default of many an image generator, and the whole of it.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.4 `value_2m`** (code, medium, 10 minutes). `past` holds pairs of lambda and answer, the newest first; `lam_s` is lambda at the end of the step ahead. The steps need not be equal.

# %% minidiff={"exercise": "ch08.value_2m", "points": 3} nbgrader={"grade": false, "grade_id": "ch08-value_2m", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def value_2m(past, lam_s):
    """The value (8.10) from past = [(lambda, answer), ...]."""
    # BEGIN SOLUTION
    (lam, out), (lam_before, before) = past[:2]
    return out + float((lam_s - lam) / (lam - lam_before) / 2) * (
        out - before)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-value_2m-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
value_2m = answer("ch08.value_2m", value_2m)


# %% [markdown]
# The sampler around it. The first step has no past, so it is DDIM's. (The package's `multistep` does this for three orders and both forms.)

# %% tags=["draft"]
def dpmpp_2m(denoiser, x, times, path):
    past = []
    for t, s in zip(times[:-1], times[1:]):
        x0, _ = denoiser(x, t)
        past = [(lambda_of(path, t), x0), *past]
        value = x0
        if len(past) > 1 and path.sigma(s) > 0:
            value = value_2m(past, lambda_of(path, s))
        x = exponential_step(x, value, t, s, path)
        yield float(s), x, x0


# %% [markdown]
# All three on the ruler:

# %%
from minidiff.plotting import show_slope
from minidiff.samplers.singlestep import singlestep

errors |= {"2S, ask there": errors_of(singlestep),
           "2M, remember": errors_of(dpmpp_2m)}
fig, ax = plt.subplots()
for name, order in zip(errors, (1, 2, 2)):
    show_slope(ax, STEPS, errors[name], order, name)
ax.set(title="The middle of the step is worth an order",
       xlabel="steps", ylabel="median error")
ax.legend()
plt.show()

# %%
for name, values in errors.items():
    print(f"{name:14s} order {order_of_convergence(STEPS, values):.2f},"
          f" error at 128 steps {values[-1]:.1e}")

# %% [markdown]
# The dotted lines are the slopes of the theory, and the points lie on them. Read the figure again with the price in mind: for the same number of *steps* 2S is a little better, but it asks twice as often. At equal evaluations 2M wins. An answer that you have already paid for is the best one.

# %% [markdown]
# ## Three answers, and a missing 2
#
# With three answers in memory, (8.7) can use the curvature too. Put a parabola through them. Its divided differences are slopes of slopes:
#
# $$f[0,1] = \frac{f_0 - f_1}{\lambda_0 - \lambda_1}, \qquad f[0,1,2] = \frac{f[0,1] - f[1,2]}{\lambda_0 - \lambda_2}. \tag{8.11}$$
#
# **Guess first:** for $f = \lambda^2$, what is $f[0,1,2]$, and what is $f''$?

# %%
a, b, c = 0.9, 0.4, -0.3
first = (a**2 - b**2) / (a - b)
second = (first - (b**2 - c**2) / (b - c)) / (a - c)
print(f"f[0,1,2] = {second:.1f}, and the second derivative is 2")

# %% [markdown]
# The derivative is *twice* the divided difference. So the value is
#
# $$\hat x_0' \approx f[0,1] + (\lambda_0 - \lambda_1)\,f[0,1,2], \qquad \hat x_0'' \approx 2\,f[0,1,2] \tag{8.12}$$
#
# put into (8.7). The published code of DPM-Solver++(3M), and every library that copied it, has $f[0,1,2]$ in the last place, without the 2. Does one factor in a small term matter?
#
# To see the order of the formula alone, the first two steps must not spoil it: take them with a solver of third order, and hand the past over.

# %%
from minidiff.samplers.multistep import multistep


def with_good_start(denoiser, x, times, path, published):
    past = []
    for i in range(2):
        past = [(lambda_of(path, times[i]), denoiser(x, times[i])[0]), *past]
        x = last(singlestep(denoiser, x, times[i:i + 2], path, order=3))
    return multistep(denoiser, x, times[2:], path, 3, "x0", published, past)


# %%
third = {
    name: errors_of(lambda *a: with_good_start(*a, published))
    for name, published in (("published", True), ("with its 2", False))}
for name, values in third.items():
    print(f"3M {name:11s} order {order_of_convergence(STEPS, values):.2f}"
          f"   last halving {math.log2(values[-2] / values[-1]):.2f}")

# %% [markdown]
# It matters by an order. **Myth check: "DPM-Solver++(3M) is a third-order solver."** *False as published, true with its 2.* All the same, do not expect better pictures from the repair: with few steps other errors rule, and at 16 steps the published one is even ahead:

# %%
for name, values in third.items():
    print(f"3M {name:11s} error at 16 steps {values[0]:.1e},"
          f" at 128 steps {values[-1]:.1e}")

# %% [markdown]
# ## The answer at the end is free
#
# A step ends in $x_s$, and there the net is asked anyway, for the *next* step. UniPC (Zhao et al. 2023) uses that answer twice: once it is known, take the last step again, now with a polynomial through the past *and* the point at its end. The value is a weighted sum of answers. With $r_j = (\lambda_j - \lambda_t)/h$, so 0 at the start and 1 at the end, it is right for all powers up to the number of points if
#
# $$D = \sum_j w_j\,\hat x_0^{(j)}, \qquad \sum_j w_j\,r_j^m = m!\,\frac{\varphi_{m+1}(-h)}{\varphi_1(-h)}, \qquad m = 0, 1, \dots \tag{8.13}$$

# %% [markdown]
# The right side is the weighted mean of $r^m$ over the step, so this is a quadrature formula. The net is not asked at the corrected point; its old answer stays. No evaluation more, one order more:

# %%
from functools import partial
from minidiff.samplers.unipc import unipc

for order in (1, 2, 3):
    values = errors_of(partial(unipc, order=order, ramp_down=False))
    print(f"UniPC-{order}: order {order_of_convergence(STEPS, values):.2f},"
          f" error at 128 steps {values[-1]:.1e}")


# %% [markdown]
# UniPC-1 is DDIM with a correction, and already of order two. UniPC-3's predictor, by the way, *is* the 3M formula with its 2: solving (8.13) with three past points gives (8.12). A test of the course says so.
#
# (`ramp_down` is the published habit of ending with steps of order 3, 2, 1. It is good for few steps, and off here to see the order.)

# %% [markdown]
# ## Heun, and EDM's point of view
#
# Karras et al. (2022) come from the other side. In $x/\alpha$ and $k$ the ODE is $\mathrm dy/\mathrm dk = \hat\varepsilon$, DDIM is Euler's method, and textbooks have better ones. Heun's tries Euler's step, asks at its end, and takes the step again with the mean:
#
# $$E = \tfrac12\big(\hat\varepsilon(x_t, t) + \hat\varepsilon(\tilde x_s, s)\big), \qquad \tilde x_s = (8.5)\ \text{with}\ \hat\varepsilon(x_t, t). \tag{8.14}$$
#
# Our plan covers it: (8.5) with a better value.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.5 `heun`** (code, medium, 20 minutes). The whole walk. Where $\sigma_s = 0$ there is no noise to ask for: the last step is Euler's. After each step yield $s$ as a number, $x_s$, and the $\hat x_0$ of the start.

# %% minidiff={"exercise": "ch08.heun", "points": 5} nbgrader={"grade": false, "grade_id": "ch08-heun", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
@torch.no_grad()
def heun(denoiser, x, times, path):
    """Steps (8.5) with the value (8.14); yields (s, x_s, x0)."""
    # BEGIN SOLUTION
    for t, s in zip(times[:-1], times[1:], strict=True):
        x0, eps = denoiser(x, t)
        x_s = exponential_step(x, eps, t, s, path, "eps")
        if path.sigma(s) > 0:
            _, eps_s = denoiser(x_s, s)
            x_s = exponential_step(x, (eps + eps_s) / 2, t, s, path, "eps")
        x = x_s
        yield s.item(), x, x0
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-heun-check", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false} tags=["check"]
heun = answer("ch08.heun", heun)

# %% [markdown]
# And with a memory instead of a second question: a polynomial in $k$ through the last noises, averaged over the step. Its weights are means of Lagrange's polynomials,
#
# $$E = \sum_j w_j\,\hat\varepsilon_j, \qquad w_j = \frac{1}{k_s - k_t}\int_{k_t}^{k_s} \prod_{m \neq j} \frac{k - k_m}{k_j - k_m}\,\mathrm dk. \tag{8.15}$$
#
# That is LMS. With equal gaps the weights are the famous ones of Adams and Bashforth; PLMS (Liu et al. 2022) uses those on any grid:

# %%
from minidiff.samplers.lms import ADAMS_BASHFORTH, adams_weights, lms, plms

print("equal gaps: ", [round(24 * w) for w in adams_weights([4, 5, 6, 7], 3)],
      "/ 24")
print("even in lambda:", [round(24 * w, 1)
                          for w in adams_weights([4, 8, 16, 32], 2)], "/ 24")

# %%
for name, solver in (("Heun", heun), ("LMS-4", lms), ("PLMS", plms)):
    values = errors_of(solver)
    print(f"{name:6s} order {order_of_convergence(STEPS, values):.2f},"
          f" error at 128 steps {values[-1]:.1e}")

# %% [markdown]
# PLMS has four answers in memory and weights of order four, for gaps that it does not have: order two is left. Weights belong to a grid.

# %% [markdown]
# ## All of them
#
# One table: each solver is a step of DDIM with another value.
#
# | solver | value | in | evaluations |
# |---|---|---|---|
# | DDIM | the answer at $t$ | both | $N$ |
# | DPM-Solver-2, ++2S | the answer in the middle | $\lambda$ | $2N - 1$ |
# | DPM-Solver-3, ++3S | from two answers on the way | $\lambda$ | $3N - 2$ |
# | 2M | the line through two, in the middle | $\lambda$ | $N$ |
# | 3M | the mean of the parabola through three | $\lambda$ | $N$ |
# | UniPC | 3M, then corrected | $\lambda$ | $N$ |
# | Heun | the mean of both ends | $k$ | $2N - 1$ |
# | LMS | the mean of the cubic through four | $k$ | $N$ |
# | PLMS | the same, for equal gaps | $k$ | $N + 1$ |

# %% [markdown]
# `benchmarks/solvers.py` measured every one, with up to 256 steps, in another path's clothes and on another grid too. Beside each order stands the range that the tests accept.

# %%
solvers = json.loads((BENCHMARKS / "solvers.json").read_text())
for row in solvers["orders"]:
    if row["on"] == "ve, even in lambda":
        low, high = row["accepted"]
        print(f"{row['solver']:26s} order {row['order']:.2f}"
              f"   accepted {low:.2f} to {high:.2f}")

# %% [markdown]
# Five of them as a picture:

# %%
fig, ax = plt.subplots(figsize=(6, 4))
for name, order in (("DDIM", 1), ("DPM-Solver++2M", 2), ("Heun", 2),
                    ("DPM-Solver++3M, with its 2", 3), ("UniPC-3", 4)):
    row = next(r for r in solvers["orders"] if r["solver"] == name)
    show_slope(ax, solvers["steps"], row["errors"], order, name)
ax.set(title="Each solver falls along the line of its order",
       xlabel="steps", ylabel="median error", ylim=(1e-9, 1))
ax.legend(fontsize=7, ncols=2)
plt.show()

# %% [markdown]
# A slope proves the order, not the implementation. For that each solver was run beside its scheduler in diffusers, with the same exact denoiser; both compute in float64.

# %%
worst = max(solvers["oracles"], key=lambda row: row["seen"])
print(f"{len(solvers['oracles'])} comparisons; largest relative difference"
      f" {worst['seen']:.0e} ({worst['scheduler']})")

# %% [markdown]
# ## The last step is infinitely long
#
# At clean data $\lambda = \infty$. In (8.4) this is harmless: $e^{-h} = 0$, and $x_s = \alpha_s D$. But a value that multiplies a slope by $h$ is lost:

# %%
x0 = torch.tensor([0.3])
value = value_2m([(torch.tensor(2.0), x0), (torch.tensor(1.0), x0 - 0.1)],
                 torch.tensor(math.inf))
print(value.tolist())

# %% [markdown]
# So every solver here ends with a step of order one into clean data, and the sample *is* the last $\hat x_0$. Does that cost the order? The step starts at a $\sigma$ so small that the picture is almost there; what it costs does not depend on $N$ at all.
#
# The denoiser counts how often it is asked:

# %%
grids = [lambda_grid(path, n, noisy, clean) for n in range(1, 21)]


def evaluations_of(solver, times):
    asked = []

    def counting(x, t):
        asked.append(t)
        return denoiser(x, t)

    x_0 = last(solver(counting, x, times, path))
    return len(asked), bool(x_0.isfinite().all())


# %%
for name, solver in (("2M", multistep), ("UniPC", unipc), ("PLMS", plms),
                     ("Heun", heun), ("2S", singlestep)):
    counts = [evaluations_of(solver, times) for times in grids]
    print(f"{name:5s} evaluations for 10 steps: {counts[9][0]};"
          f" finite for 1 to 20 steps: {all(fine for _, fine in counts)}")


# %% [markdown]
# ## What should a network see?
#
# EDM's other half is about training. On the path $x = x_0 + \sigma\varepsilon$ with $\sigma$ from 0.002 to 80 (Karras et al. 2022), the input's size changes by a factor of 40,000 and so does its meaning. Let a formula do what a formula can, and the net $F$ the rest:
#
# $$\hat x_0 = c_{\text{skip}}\,x + c_{\text{out}}\,{\color{#D55E00}{F}}\big(c_{\text{in}}\,x,\ c_{\text{noise}}\big). \tag{8.16}$$
#
# Chapter 04 saw the need: at large $t$ its net lost to a linear formula, because it had to learn to copy.

# %% [markdown]
# Four numbers, three wishes. Let the data have mean 0 and standard deviation $s$ (`sigma_data`).
#
# **The input has variance 1.** The variance of $x$ is $s^2 + \sigma^2$, so $c_{\text{in}} = 1/\sqrt{s^2 + \sigma^2}$.
#
# **The target has variance 1.** What $F$ should say is $(x_0 - c_{\text{skip}}x)/c_{\text{out}}$, with variance
#
# $$c_{\text{out}}^2 = (1 - c_{\text{skip}})^2 s^2 + c_{\text{skip}}^2\sigma^2. \tag{8.17}$$
#
# **Errors of $F$ count as little as possible.** They reach $\hat x_0$ times $c_{\text{out}}$: make it smallest.

# %% [markdown]
# Set the derivative of (8.17) to zero: $(1 - c_{\text{skip}})\,s^2 = c_{\text{skip}}\,\sigma^2$. That gives $c_{\text{skip}}$, and put back, $c_{\text{out}}$:
#
# $$c_{\text{skip}} = \frac{s^2}{s^2+\sigma^2}, \quad c_{\text{out}} = \frac{\sigma\,s}{\sqrt{s^2+\sigma^2}}, \quad c_{\text{in}} = \frac{1}{\sqrt{s^2+\sigma^2}}, \quad c_{\text{noise}} = \tfrac14\ln\sigma. \tag{8.18}$$
#
# (The last is a choice: a clock in $\lambda$ again.) Little noise: $c_{\text{skip}} \to 1$, and the net predicts the noise. Much noise: $c_{\text{skip}} \to 0$, and it predicts the picture.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.6 `edm_precond`** (code, easy, 10 minutes). Return the four, in the order of (8.18), for one $\sigma$ or a batch of them.

# %% minidiff={"exercise": "ch08.edm_precond", "points": 3} nbgrader={"grade": false, "grade_id": "ch08-edm_precond", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def edm_precond(sigma, sigma_data):
    """(c_skip, c_out, c_in, c_noise), each like sigma (eq. 8.18)."""
    # BEGIN SOLUTION
    total = sigma**2 + sigma_data**2
    c_skip, c_out = sigma_data**2 / total, (
        sigma * sigma_data / total.sqrt())
    return c_skip, c_out, 1 / total.sqrt(), sigma.log() / 4
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-edm_precond-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
edm_precond = answer("ch08.edm_precond", edm_precond)

# %% [markdown]
# Is $F$ something new? Solve (8.16) for it and write $x$ as $x_0 + \sigma\varepsilon$: it is $A x_0 + B\varepsilon$, one more target in the algebra of chapter 02. On a path with any $\alpha$, with $r = \sqrt{\sigma^2 + \alpha^2 s^2}$:
#
# $$F = \frac{\sigma}{s\,r}\,x_0 - \frac{\alpha\,s}{r}\,\varepsilon. \tag{8.19}$$
#
# **Guess:** what is it for $s = 1$ on a path with $\alpha^2 + \sigma^2 = 1$?

# %%
from minidiff.process.edm import f_target
from minidiff.process.targets import V

alpha, sigma = path.alpha(t), path.sigma(t)
F = f_target(1.0)
print(f"F: {F.A(alpha, sigma):.3f} x0 {F.B(alpha, sigma):+.3f} eps")
print(f"v: {V.A(alpha, sigma):.3f} x0 {V.B(alpha, sigma):+.3f} eps")


# %% [markdown]
# It is $-v$. The v-prediction of chapter 06 and EDM's preconditioning are one idea, found twice; EDM's knows the size of the data.
#
# With $F$ of unit size everywhere, all levels count alike in the loss. Back in pictures this is the weight
#
# $$\big|F_{\text{error}}\big|^2 = \frac{1}{c_{\text{out}}^2}\,\big|\hat x_0 - x_0\big|^2 = \frac{\sigma^2 + s^2}{(\sigma s)^2}\,\big|\hat x_0 - x_0\big|^2, \tag{8.20}$$
#
# and which levels are trained most is left to how $\sigma$ is drawn: $\ln\sigma \sim \mathcal N(-1.2,\,1.2^2)$ in Karras et al. (2022).

# %% [markdown]
# ### Where should the steps go?
#
# EDM cuts neither $\lambda$ nor $\sigma$ in equal steps, but a root of $\sigma$:
#
# $$\sigma_i = \Big(\sigma_{\max}^{1/\rho} + \frac{i}{n-1}\big(\sigma_{\min}^{1/\rho} - \sigma_{\max}^{1/\rho}\big)\Big)^{\rho}, \quad i < n; \qquad \sigma_n = 0. \tag{8.21}$$
#
# With $\rho = 1$ it is even in $\sigma$; for $\rho \to \infty$ the root becomes the logarithm, and the grid that of (8.6). EDM takes $\rho = 7$.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.7 `karras_sigmas`** (code, easy, 10 minutes). $n$ levels from `high` to `low`, and then 0. Mind $n = 1$.

# %% minidiff={"exercise": "ch08.karras_sigmas", "points": 3} nbgrader={"grade": false, "grade_id": "ch08-karras_sigmas", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def karras_sigmas(n, low, high, rho=7.0):
    """n levels from high to low, then 0: (n + 1,) float64 (eq. 8.21)."""
    if n < 1 or not 0 < low < high:
        raise ValueError("a grid has n >= 1 levels from `high` down to "
                         f"`low` > 0, got {n}, {high} and {low}")
    # BEGIN SOLUTION
    u = torch.linspace(0, 1, n, dtype=torch.float64)
    sigmas = (high ** (1 / rho) + u * (
        low ** (1 / rho) - high ** (1 / rho))) ** rho
    return torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch08-karras_sigmas-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
karras_sigmas = answer("ch08.karras_sigmas", karras_sigmas)


# %% [markdown]
# Which $\rho$ is best? In the plane one can ask. Twelve steps of Heun, from the same points, for grids that differ only in $\rho$:

# %%
def error_for(rho):
    levels = karras_sigmas(12, 0.02, 10.0, rho)[:-1]
    end = last(heun(denoiser, x, time_of(path, -levels.log()), path))
    return float((end - goal).norm(dim=1).median())


rhos = (1, 2, 3, 5, 7, 10, 20, 50)
by_rho = [error_for(rho) for rho in rhos]
plt.loglog(rhos, by_rho, "o-")
plt.axvline(7, color="grey", ls=":")
plt.title(r"Even in $\sigma$ is bad; near $\rho = 7$ it hardly matters")
plt.xlabel(r"$\rho$")
plt.xticks(rhos, rhos)
plt.minorticks_off()
plt.yticks([0.03, 0.1, 0.3], [0.03, 0.1, 0.3])
plt.ylabel("median error, 12 steps of Heun")
plt.show()

# %%
for rho, value in zip(rhos, by_rho):
    print(f"rho = {rho:2d}   error {value:.4f}")

# %% [markdown]
# With $\rho = 1$ nearly all steps go to levels at which nothing happens, and the last ones leap over the region in which the modes part. From there on the choice is mild.

# %% [markdown]
# ## Why add noise again?
#
# The ODE keeps the start for ever: two points that start together end together. EDM's *churn* first takes a small step **up**, into the noise, and then Heun's step down. On the path $x = x_0 + \sigma\varepsilon$,
#
# $$\hat x = x + \sqrt{\hat\sigma^2 - \sigma^2}\;z, \qquad \hat\sigma = (1+\gamma)\,\sigma. \tag{8.22}$$
#
# Fresh noise of just the missing variance: $\hat x$ has the distribution of level $\hat\sigma$, if $x$ had that of $\sigma$. In exact arithmetic nothing changes. So what is it for? Start 600 points in *one* place, which is as wrong as a start can be.

# %%
from minidiff.process.edm import ve_path
from minidiff.samplers.stochastic import churn

ve = ve_path()
ve_denoiser, times = mixture_denoiser(mixture, ve), karras_sigmas(
    40, 0.01, 80.0)
one_place = torch.tensor([[30.0, 10.0]]).double().expand(600, 2)


def churned(amount, denoiser=ve_denoiser):
    return last(churn(denoiser, one_place, times, ve, generator, amount,
                      low=0.01, high=80.0, spread=1.0))


# %%
print("weights of the mixture:", mixture.weights.tolist())
for amount in (0.0, 10.0, 40.0):
    share = mixture.share(churned(amount)).mean(dim=0)
    shares = [round(u, 2) for u in share.tolist()]
    print(f"churn {amount:2.0f}: shares {shares}")


# %% [markdown]
# (With 600 points a share is known to about 0.02.) Without churn all end in one point, for the ODE has one way from there. With churn they forget where they started. Whatever errors a walk picks up on its way are forgotten in the same manner.
#
# The other side: a walk with churn believes the denoiser more often. Give it one whose pictures are a tenth too small, and see what it does to the spread:

# %%
def shrinking(x, t):
    x0, _ = ve_denoiser(x, t)
    return 0.9 * x0, (x - 0.9 * x0) / float(t)


spread = mixture.sample(20_000, generator).std(dim=0)[0]
for amount in (0.0, 40.0):
    starts = 80 * torch.randn(600, 2, generator=generator).double()
    end = last(churn(shrinking, starts, times, ve, generator, amount,
                     low=0.01, high=80.0, spread=1.0))
    print(f"churn {amount:2.0f}: spread {end.std(dim=0)[0] / spread:.2f}"
          " of the data's")

# %% [markdown]
# Every visit shrinks the picture again. So churn heals errors of the *walk* and repeats errors of the *net*; EDM therefore tunes four numbers for it by search, and needed none for its best CIFAR-10 (Karras et al. 2022).
#
# One more sampler belongs here: DPM-Solver++2M SDE. It is the ancestral step of chapter 04 with the value (8.10) in place of the answer, a change of one line, and its variance converges in second order where the ancestral one's does in first. Two tests hold that, without a single random draw: for Gaussian data the whole walk is a linear map.

# %% [markdown]
# ## Digits
#
# Back to MNIST, and the net of chapter 04, which nobody trained for this. It knows times 1 to 1000; solvers ask at any real time. The path between the steps is a straight line in $\log\bar\alpha$ (chapter 06), and the net answers between its steps as if it had been there. Five evaluations each, from one noise:

# %%
from minidiff.plotting import show_rows
from minidiff.process.continuous import interpolated_path
from minidiff.process.denoiser import denoiser_of
from minidiff.process.schedules import alpha_bar_of, linear_betas
from minidiff.recipes.mnist_ddpm import load as load_ddpm

net, _, target, _ = load_ddpm(CHECKPOINTS / "mnist-ddpm.safetensors")
table = interpolated_path(alpha_bar_of(linear_betas()))
digit_denoiser = denoiser_of(net, table, target, clip=(-1, 1))
even = torch.linspace(1000, 0, 6, dtype=torch.float64)
starts = torch.randn(12, 1, 28, 28,
                     generator=torch.Generator().manual_seed(3))

# %%
from minidiff.samplers.ancestral import ancestral

drawn = {"ancestral": last(ancestral(digit_denoiser, starts, even, table,
                                     generator))}
for name, solver in (("DDIM", ddim), ("2M", multistep), ("UniPC", unipc)):
    drawn[name] = last(solver(digit_denoiser, starts, even, table))
show_rows(list(drawn.values()), "Five evaluations: a better value gives "
          "cleaner strokes", list(drawn))
plt.show()

# %% [markdown]
# The last three rows are the *same* digits: the ODE decides which, and the solver only how well its way is followed. The first row draws noise on its way, and ends elsewhere. How far is each from the end of the ODE? Ask UniPC with 40 steps for that end.

# %%
end = last(unipc(digit_denoiser, starts,
                 torch.linspace(1000, 0, 41, dtype=torch.float64), table))
for name in ("DDIM", "2M", "UniPC"):
    gap = (drawn[name] - end).square().mean().sqrt()
    print(f"{name:5s} root mean square distance to the end {gap:.2f}")

# %% [markdown]
# Now the question of the chapter. Twelve digits prove nothing; the file of the first figure holds 500 for each point, and 250 from 1,000 ancestral steps. **How many evaluations are as good as a thousand?** Compare at equal $N = 250$, and call a distance as good if it is at most a tenth larger.

# %%
floor, scatter = measured["real"]["250"]
at_250 = {(c["sampler"], c["evaluations"]): c["distance"]["250"]
          for c in measured["cells"] if "250" in c["distance"]}
thousand, enough = at_250["ancestral", 1000], {}
print(f"N = 250: real {floor} +- {scatter},"
      f" 1,000 ancestral steps {thousand}")
for name in ("ancestral", "ddim", "heun", "dpmpp_2m", "unipc"):
    enough[name] = min(n for n in (5, 10, 20, 50)
                       if at_250[name, n] <= 1.1 * thousand)
    print(f"{name:10s} as good from {enough[name]:2d} evaluations:"
          f" {at_250[name, enough[name]]}")

# %%
print(f"{min(enough.values())} evaluations are as good as"
      " 1,000 ancestral steps")

# %% [markdown]
# Read that with its error. Real sets of 250 scatter by the number behind the sign, and so will drawn ones: what is closer than that is equal. The ancestral walk itself says so, for its 20 steps come out ahead of its 1,000. With $N = 500$ less of the number is bias:

# %%
floor, scatter = measured["real"]["500"]
print(f"N = 500: real {floor} +- {scatter}")
for name in ("ancestral", "ddim", "heun", "dpmpp_2m", "unipc"):
    row = sorted(by_name[name].items())
    print(f"{name:10s}", "  ".join(f"{n}: {d:4.1f}" for n, d in row))

# %% [markdown]
# From 10 evaluations on, 2M and UniPC stand still: the ODE is solved, and what is left is the net. Where few evaluations must do, the better value is worth most. And where there are 20 or more, a walk that draws noise is no worse than any solver: it forgets the errors of its way.

# %% [markdown]
# ## mnist-edm
#
# The same U-Net, trained the EDM way: inputs and targets of unit size, lognormal $\sigma$, sampled by Heun on the grid (8.21). `sigma_data` is the standard deviation of MNIST's pixels. It saw as many images as the DDPM of chapter 04 in a run that `benchmarks/ddpm.py` measured, so the two can be laid beside each other. Mind the two $N$.

# %%
edm = json.loads((BENCHMARKS / "edm.json").read_text())
runs = json.loads((BENCHMARKS / "ddpm.json").read_text())["runs"]
ddpm = min(runs, key=lambda run: abs(run["images"] - edm["images"]))
for name, run, key in (("mnist-ddpm", ddpm, "steps"),
                       ("mnist-edm", edm, "evaluations")):
    print(f"{name}, {run['images']:,} images, {run['seconds']:.0f} s")
    for row in run["metrics"]["frechet"]:
        print(f"  {row[key]:3d} evaluations: {row['distance']:5.1f}"
              f" at N = {row['n']}")

# %%
from minidiff.plotting import show_strip
from minidiff.recipes.mnist_edm import load as load_edm, sample as sample_edm

edm_net, *_ = load_edm(CHECKPOINTS / "mnist-edm.safetensors")
digits = sample_edm(edm_net, 10, steps=10, seed=1)
show_strip(digits, "Ten digits of mnist-edm, 19 evaluations each")
plt.show()

# %% [markdown]
# On equal images it does not beat the DDPM here, whatever the solver: the distance is the net's. A network for digits this small sees more of its training at middling noise, where EDM's lognormal sends most of it, than at the large $\sigma$ at which a digit is decided. EDM's numbers were tuned for photographs and days of training; the algebra carries over, the numbers need not.
#
# Does the net do what (8.18) promised? Its error on $F$ on test images, in bins of $\sigma$. A net that says 0 would have about 1 at the top and, since MNIST's mean is not 0, more than 2 at the bottom.

# %%
for low, value in zip(edm["metrics"]["edges"],
                      edm["metrics"]["f_mse_of_sigma"]):
    print(f"sigma from {low:4.2f}: {value:.3f}")


# %% [markdown]
# ## What you should see
#
# | result | here | beside it |
# |---|---|---|
# | (8.4) and (8.5) with the denoiser's own answer | DDIM, to rounding | chapter 07 |
# | orders of DDIM / 2S / 2M / Heun | 1 / 2 / 2 / 2, within a tenth or so | theory |
# | 3M, published / with its 2 | 2 / 3 | theory: 3 |
# | UniPC-1 / 2 / 3 | 2 / 3 / above 3 | Zhao et al. 2023: $p + 1$ |
# | each solver against diffusers | differs by rounding | float64 |
# | evaluations that equal 1,000 ancestral steps | the table above | CIFAR-10 is harder: FID 4.70 with 10 of DPM-Solver, 3.17 with 1,000 of DDPM (Lu et al. 2022; Ho et al. 2020) |
# | EDM's grid | best near $\rho = 7$ in the plane too | Karras et al. 2022: 7 |

# %% [markdown]
# ## Myth checks
#
# **"More steps are always better."** With an exact denoiser they are. Give the walk a net with a flaw: its pictures are 3 % too small. What do you expect of the spread of the samples, with 10 steps of 2M, and with 300?

# %%
def flawed(x, t):
    x0, _ = ve_denoiser(x, t)
    return 0.97 * x0, (x - 0.97 * x0) / float(t)


starts = 80 * torch.randn(600, 2, generator=generator).double()
for n in (10, 30, 100, 300):
    end = last(multistep(flawed, starts, karras_sigmas(n, 0.01, 80.0), ve))
    print(f"{n:3d} steps: spread {end.std(dim=0)[0] / spread:.2f}"
          " of the data's")

# %% [markdown]
# *False.* More steps converge, and what they converge to is the *net's* distribution. Here the errors of few steps and of the net happen to cancel, and 10 steps look best. Every real net has flaws, so a distance that rises again with more steps is no bug of the solver. And where steps go counts as much as how many there are:

# %%
for n, rho in ((12, 7), (32, 1)):
    levels = karras_sigmas(n, 0.02, 10.0, rho)[:-1]
    end = last(heun(denoiser, x, time_of(path, -levels.log()), path))
    print(f"{n} levels with rho = {rho}: error"
          f" {(end - goal).norm(dim=1).median():.3f}")

# %% [markdown]
# **"The published 3M formula is of second order."** *True*: you measured it above, and the 2 that is missing.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.8** (on paper, medium, 20 minutes). (a) Expand $\varphi_2(-h)/\varphi_1(-h)$ to first order in $h$. Why may (8.9) use the plain middle and still be of order two? (b) UniPC-1 averages the answers of both ends. Show that this is (8.13) up to an error that does not spoil its order. (c) MNIST's mean is about $-0.74$, not 0. Which of the three wishes behind (8.18) fail, and at which $\sigma$ does the net have to make up for it?

# %% [markdown] minidiff={"exercise": "ch08.paper_1", "points": 3} nbgrader={"grade": true, "grade_id": "ch08-paper_1", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# (a) $\varphi_1(-h) = 1 - h/2 + \dots$, $\varphi_2(-h) = 1/2 - h/6 + \dots$, so the ratio is $1/2 + h/12 + \dots$ The middle has 1/2. The value is wrong by $h\cdot h/12\cdot\hat x_0'$, of order $h^2$. A step multiplies values by $1 - e^{-h} \approx h$, so a step is wrong by $h^3$, and $1/h$ steps by $h^2$.
#
# (b) With two points, $r = 0$ and 1, (8.13) asks for $w_0 + w_1 = 1$ and $w_1 = \varphi_2/\varphi_1 = 1/2 + h/12 + \dots$ With $w_1 = 1/2$ the value is wrong by $h/12$ times the difference of the answers, which is of order $h$: again $h^2$, as in (a).
#
# (c) Variance and mean square are no longer the same. The input has variance 1, but a mean of $-0.74\,c_{\text{in}}$: the first wish fails for small $\sigma$, where $x$ is nearly the picture. The target's mean is $-0.74\,(1 - c_{\text{skip}})/c_{\text{out}}$: the second fails for large $\sigma$, where the net must say the mean picture. The third holds for a net that has learned the mean, and a bias learns that fast.

# %% [markdown] tags=["exercise-text"]
# **Exercise 8.9** (experiment, medium, 20 minutes). In the plane we cut $\lambda$ in equal steps, for the digits above $t$. Draw 100 digits with 2M and 10 evaluations on both grids: `even`, and `lambda_grid(table, 10, 1000.0, 1.0)`, from the same noise. Look at them, and compare with the rows `dpmpp_2m` and `dpmpp_2m, even in lambda` of `by_name`. Where does each grid put its steps, in $\lambda$ and in $\sigma$? Why does the better one for errors not draw the better digits?

# %% [markdown] minidiff={"exercise": "ch08.experiment_1", "points": 2} nbgrader={"grade": true, "grade_id": "ch08-experiment_1", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# The grid even in $t$ is better for digits at 5 and 10 evaluations, and the gap closes as they grow. Its steps in $\lambda$ are short in the middle and very long at the end: the last one leaps from $t = 100$, $\sigma \approx 0.3$, to clean data. The grid even in $\lambda$ spends half of its steps below that, on noise that is hardly visible.
#
# In the plane the error was measured from the *exact* flow down to $\sigma = 0.02\,\alpha$, at every level with one ruler. For digits what matters is decided earlier: which strokes there are. Below $\sigma = 0.3$ a digit is there, black and white, and one step of the denoiser cleans it. Smooth photographs with fine texture would say otherwise. A grid is good for a data set and a ruler, not in itself.

# %% [markdown]
# ## Summary
#
# What later chapters use: the step with a value (8.4), (8.5); 2M (8.10) and UniPC (8.13) as samplers for any denoiser; Heun (8.14); the grid (8.21); preconditioning (8.18) and $F$ as a target (8.19). Chapter 09 walks straight paths, on which Euler is better than here. Chapter 15 learns the walk itself, and needs one to four evaluations.
#
# All code of this chapter now lives in the package, in the modules that the table at the top names. `progress()` shows which exercises you have passed.

# %% [markdown]
# ## References
#
# - Lu et al. 2022, *DPM-Solver*: eqs. 3.1 to 3.7, algorithms 1 and 2. Lu et al. 2022, *DPM-Solver++*: algorithms 1 and 2, and the appendix on SDEs.
# - Zhao et al. 2023, *UniPC*: algorithms 1 and 2. Liu et al. 2022, *Pseudo numerical methods* (PNDM, PLMS).
# - Karras et al. 2022, *Elucidating the design space of diffusion-based generative models* (EDM): eqs. 5, 7 and 8, table 1, algorithms 1 and 2, appendix B.6.
# - Hochbruck and Ostermann 2010, *Exponential integrators*: section 2.1. Hairer, Nørsett and Wanner 1993, *Solving ordinary differential equations I*: chapters II and III.
#
# Before: [07 DDIM, SDE and ODE](07_ddim_sde_ode.ipynb). Next: [09 Flow matching](09_flow_matching.ipynb).
