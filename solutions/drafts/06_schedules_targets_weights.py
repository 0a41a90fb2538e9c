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
# # 06 Schedules, targets, weights
#
# After this chapter you can take any recipe for training a diffusion model apart into three choices, say which curve they draw together, and measure which of them made the difference.
#
# $$
# \mathcal L \;=\; \int \underbrace{\color{#0072B2}{p(\lambda)}}_{\text{path, times}}\ \underbrace{\color{#0072B2}{w(\lambda)}}_{\text{weight}}\ \ \mathbb E\,\big|x_0 - \underbrace{\color{#D55E00}{\hat x_0}(x_t, \lambda)}_{\text{the net, through its target}}\big|^2\ d\lambda
# $$
#
# Blue is chosen, vermillion is learned.

# %% [markdown]
# | | |
# |---|---|
# | Before this | [02 Reversing it](02_reversing_it.ipynb), [04 A DDPM on MNIST](04_ddpm_on_mnist.ipynb), [05 Measuring](05_measuring.ipynb) |
# | Adds to `minidiff` | `process/continuous`, `weights`, `convert`, `weighted_loss`, `zero_snr`, `variance`; `recipes/mnist_targets` |
# | Time to run | about a minute on 2 CPU cores; nothing to download |
# | Training for real | `python -m minidiff train mnist-targets`; all choices side by side: `benchmarks/targets.py` |

# %% tags=["setup"]
import torch
import matplotlib.pyplot as plt
from minidiff.exercises.core import answer, check, hint, progress
from minidiff.plotting import show, use_house_style
use_house_style()

# %% [markdown]
# ## 1. Where does a schedule spend its time?
#
# Chapter 01 ended with a complaint: nearly a third of the thousand linear steps hardly change anything any more. To compare schedules we need one clock for all of them, and it cannot be $t$, which every schedule reads differently. Take the noise level itself:
#
# $$\lambda = \log\alpha - \log\sigma = \tfrac12 \log \mathrm{SNR} .$$
#
# At $\lambda = 0$ picture and noise are equally strong; one unit more, and the picture is $e$ times stronger.
#
# **Guess first.** At $\lambda = -2$ the noise is seven times as strong as the picture. How many of DDPM's 1,000 steps lie beyond?

# %%
from minidiff.process.forward import snr
from minidiff.process.schedules import (alpha_bar_of, cosine_betas,
                                        linear_betas)

tables = {"linear": alpha_bar_of(linear_betas()),
          "cosine": alpha_bar_of(cosine_betas())}
lam = {name: snr(table[1:]).log() / 2 for name, table in tables.items()}
for name, values in lam.items():
    print(f"{name}: {(values < -2).double().mean():.0%} of the steps below "
          f"-2, {(values.abs() < 1).double().mean():.0%} between -1 and 1")

# %% [markdown]
# More than a third, on noise that no network can see through. The second schedule of chapter 01 puts its steps where picture and noise compete. It was drawn for that. How?
#
# Nichol and Dhariwal (2021) did not choose betas. They chose the curve $\bar\alpha$: it should fall on a straight line in the middle, and gently at both ends, so that no step is too large and none is wasted. A squared cosine does that:
#
# $$\bar\alpha_t = \frac{f(t)}{f(0)}, \qquad f(t) = \cos^2\!\Big(\frac{t/T + s}{1 + s}\cdot\frac\pi2\Big) . \tag{6.1}$$

# %% [markdown]
# The betas follow from two neighbours: $\bar\alpha_t = (1-\beta_t)\,\bar\alpha_{t-1}$, so $\beta_t = 1 - f(t)/f(t-1)$.
#
# Two repairs, one at either end.
#
# - **The start.** A cosine is flat at 0: without $s$ the first step would be tiny, and the network would be asked to find noise of a hundredth of a grey level. With $s = 0.008$ the first step adds about half a grey level.
# - **The end.** $f(T) = 0$, so $\beta_T = 1$: the table would end in $\bar\alpha_T = 0$. Section 5 likes that; a network that predicts $\varepsilon$ does not survive it. So *the betas* are clipped at 0.999, and the product is taken again.

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.1 `cosine_betas`** (code, medium, 15 minutes). From (6.1) to a table of betas, for any $T$, offset and clip. (Chapter 01 showed these lines; write them from the formula.) `as_table` puts the 0 of clean data in front.

# %% minidiff={"exercise": "ch06.cosine_betas", "points": 3} nbgrader={"grade": false, "grade_id": "ch06-cosine_betas", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
import math
from minidiff.process.schedules import as_table


def cosine_betas(T=1000, s=0.008, largest=0.999):
    """Betas whose product falls like a squared cosine: (T + 1,)."""
    # BEGIN SOLUTION
    u = torch.arange(T + 1, dtype=torch.float64) / T
    f = torch.cos((u + s) / (1 + s) * math.pi / 2) ** 2
    return as_table((1 - f[1:] / f[:-1]).clamp(max=largest))
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-cosine_betas-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
cosine_betas = answer("ch06.cosine_betas", cosine_betas)

# %% [markdown]
# Where do the steps go now? For a formula we can say it exactly. Forget the offset and the clip; then $\alpha = \cos\frac{\pi t}2$ and $\sigma = \sin\frac{\pi t}2$ with $t$ from 0 to 1, so $\lambda = -\log\tan\frac{\pi t}2$. Its slope is
#
# $$\Big|\frac{d\lambda}{dt}\Big| = \frac{\pi}{2}\,\frac{1}{\sin\frac{\pi t}2\,\cos\frac{\pi t}2} = \frac\pi2\,\Big(\tan\frac{\pi t}2 + \frac{1}{\tan\frac{\pi t}2}\Big) = \pi\cosh\lambda ,$$
#
# because $\tan\frac{\pi t}2 = e^{-\lambda}$. Where $\lambda$ runs fast, few times fall: the density of $\lambda$ is one over the slope,
#
# $$p(\lambda) = \frac{1}{\pi\cosh\lambda} . \tag{6.2}$$

# %%
from minidiff.plotting import DATA, FIXED, SERIES

grid = torch.linspace(-6, 6, 241, dtype=torch.float64)
bump = 1 / (math.pi * grid.cosh())
for (name, values), colour in zip(lam.items(), (DATA, SERIES[2])):
    plt.hist(values.numpy(), bins=48, range=(-6, 6), density=True,
             color=colour, alpha=0.6, label=f"{name} table")
plt.plot(grid, bump, color=FIXED, label="(6.2)")
plt.title("The linear schedule sits in the noise, the cosine in the middle")
plt.xlabel(r"$\lambda$ (noise on the left, picture on the right)")
plt.ylabel("share of the steps per unit")
plt.legend()
plt.show()

# %% [markdown]
# The histogram of the cosine table lies under its curve. In numbers, between -1 and 1:

# %%
exact = 4 / math.pi * math.atan(math.tanh(0.5))  # the integral of (6.2)
share = (lam["cosine"].abs() < 1).double().mean()
print(f"formula {exact:.3f}, table {share:.3f}")

# %% [markdown]
# From here on a path is a pair of functions of a *real* time: `minidiff/process/continuous.py` has the cosine, the linear schedule for $T \to \infty$, and any table with straight lines (in $\log\bar\alpha$) between its steps.

# %%
from minidiff.process.continuous import (cosine_path, interpolated_path,
                                         lambda_of, time_of)

paths = {name: interpolated_path(table) for name, table in tables.items()}
for name, path in paths.items():
    t = time_of(path, 0.0)
    print(f"{name}: picture and noise are equal at t = {t:.1f}")

# %% [markdown]
# ## 2. One network, three questions
#
# Chapter 02 found that a network may be asked for $x_0$, for $\varepsilon$ or for $v = \alpha\varepsilon - \sigma x_0$, and that each answer, together with $x_t$, contains the others. So the network of chapter 04, trained for $\varepsilon$, can be asked for $v$.

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.2 `convert`** (code, easy, 10 minutes). A network answers `out` for the target `source`. What does it say about `target`? The two functions of chapter 02 are all you need: `from_target(target, out, x_t, alpha, sigma)` gives the pair $(x_0, \varepsilon)$, `to_target(target, x0, eps, alpha, sigma)` goes the other way.

# %% minidiff={"exercise": "ch06.convert", "points": 2} nbgrader={"grade": false, "grade_id": "ch06-convert", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
from minidiff.process.targets import EPS, V, X0, from_target, to_target


def convert(out, x_t, alpha, sigma, source, target):
    """An answer for `source`, as one for `target`: both (B, ...)."""
    # BEGIN SOLUTION
    x0, eps = from_target(source, out, x_t, alpha, sigma)
    return to_target(target, x0, eps, alpha, sigma)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-convert-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["check"]
convert = answer("ch06.convert", convert)

# %% [markdown]
# Take the trained network, and digits that it drew itself. Noise them to eight steps, let it answer, and measure the squared error of that one answer three times: as noise, as picture, as $v$.

# %%
from minidiff.recipes.mnist_ddpm import load as load_ddpm, sample
from minidiff.recipes.run import CHECKPOINTS

net, ddpm, _, _ = load_ddpm(CHECKPOINTS / "mnist-ddpm.safetensors")
digits = sample(net, 24, steps=15, seed=2)
generator = torch.Generator().manual_seed(0)
noise = torch.randn(digits.shape, generator=generator)


# %%
@torch.no_grad()
def three_errors(t):
    """Mean squared errors of one answer at step t, as eps, x0 and v."""
    where = ddpm.alpha(t), ddpm.sigma(t)
    x_t = float(where[0]) * digits + float(where[1]) * noise
    out = net(x_t, t)
    return [float((convert(out, x_t, *where, EPS, target)
                   - to_target(target, digits, noise, *where)).square().mean())
            for target in (EPS, X0, V)]


# %%
steps = torch.tensor([1, 3, 10, 30, 100, 300, 600, 1000])
errors = torch.tensor([three_errors(t) for t in steps])
for i, (name, colour) in enumerate(zip(("eps", "x0", "v"),
                                       (FIXED, DATA, SERIES[2]))):
    plt.loglog(steps, errors[:, i], "o-", color=colour, label=f"as {name}")
plt.title("One answer, three losses: each target looks elsewhere")
plt.xlabel("$t$")
plt.ylabel("mean squared error")
plt.legend()
plt.show()

# %%
grow = errors.diff(dim=0) > 0
print("as eps, errors fall with t:", not grow[:, 0].any())
print("as x0, they grow:", bool(grow[:, 1].all()))

# %% [markdown]
# The same network, the same answers. Trained on $\varepsilon$ its gradient comes from small $t$, where it is at its worst *as noise*. And now look at the right end: is the picture that it means at $t = 1000$ any good?

# %%
variance = digits.var()
print("x0 at t = 1000 worse than a grey picture:",
      bool(errors[-1, 1] > variance))
print("v is the sum of the other two:",
      torch.allclose(errors[:, 2], errors[:, 0] + errors[:, 1], rtol=1e-3))


# %% [markdown]
# A network with a loss of 0.0001 whose picture is worse than plain grey: at $t = 1000$ the answer $\varepsilon = x_t$ is nearly perfect as noise and says nothing about the picture.
#
# And the last line: in all eight rows, the error of $v$ is the error of $\varepsilon$ plus that of $x_0$. An accident?

# %% [markdown]
# ### Changing the target is changing the weight
#
# No accident, but the identity (2.23) of chapter 02, read from right to left. With $y = A x_0 + B\varepsilon$ and $d = \alpha B - \sigma A$,
#
# $$|y - \color{#D55E00}{\hat y}|^2 = \Big(\frac d\sigma\Big)^2\,|x_0 - \color{#D55E00}{\hat x_0}|^2 . \tag{6.3}$$
#
# So each target's plain loss is a *weighted* loss of the picture. Put in the three determinants:
#
# | target | $d$ | weight on the error of $x_0$ |
# |---|---|---|
# | $x_0$ | $-\sigma$ | $1$ |
# | $\varepsilon$ | $\alpha$ | $\alpha^2/\sigma^2 = \mathrm{SNR}$ |
# | $v$ | $\alpha^2 + \sigma^2 = 1$ | $1/\sigma^2 = (\alpha^2 + \sigma^2)/\sigma^2 = \mathrm{SNR} + 1$ |

# %% [markdown]
# There is the sum: $\mathrm{SNR} + 1$ is the weight of $\varepsilon$ plus the weight of $x_0$. Predicting $v$ is minding both.
#
# Two things change when a paper "predicts $v$ instead of $\varepsilon$": the weight, and what the last layer has to put out. The first can be undone by a factor in front of the loss. The second cannot. The recipe `mnist-targets` takes them apart.

# %% [markdown]
# ## 3. What is left to choose?
#
# A path, a way to draw times, a target, a weight. Write the loss as the average over times that it is, and change the variable from $t$ to $\lambda$, with $p(\lambda) = p(t)\,/\,|d\lambda/dt|$ as in (6.2):
#
# $$\mathcal L = \int p(t)\,w\ \mathbb E\,|x_0 - \color{#D55E00}{\hat x_0}|^2\,dt = \int p(\lambda)\,w(\lambda)\ \mathbb E\,|x_0 - \color{#D55E00}{\hat x_0}|^2\,d\lambda . \tag{6.4}$$
#
# The expectation depends on $\lambda$ alone: $x_t/\alpha = x_0 + e^{-\lambda}\varepsilon$ on every path. So path, times and weight enter through *one* curve, $p(\lambda)\,w(\lambda)$ (Kingma et al. 2021; Kingma and Gao 2023). Two recipes with the same curve have the same loss; they differ in how noisily they estimate it.

# %% [markdown]
# One more curve belongs in the same picture: the bound. Its steps pay for lost SNR, $\frac12\,d\,\mathrm{SNR}$ times the error, by (2.19). With $\mathrm{SNR} = e^{2\lambda}$, $d\,\mathrm{SNR} = 2\,\mathrm{SNR}\,d\lambda$, and
#
# $$\sum_{t \ge 2} L_{t-1} \longrightarrow \int \mathrm{SNR}\ \mathbb E\,|x_0 - \color{#D55E00}{\hat x_0}|^2\,d\lambda = \int \mathbb E\,|\varepsilon - \color{#D55E00}{\hat\varepsilon}|^2\,d\lambda . \tag{6.5}$$
#
# Measured as errors of $\varepsilon$, the bound minds all $\lambda$ alike. That makes $p\,w/\mathrm{SNR}$ the natural curve to draw: flat is likelihood, and everything else is a taste.

# %%
def density(path, lam, h=1e-3):
    """p(lambda) of uniform times, by the slope of lambda(t)."""
    t, h = time_of(path, lam), h * path.T
    slope = lambda_of(path, t - h) - lambda_of(path, t + h)
    return 2 * h / slope / path.T


lam_grid = torch.linspace(-4.5, 4, 171, dtype=torch.float64)
p = {name: density(path, lam_grid) for name, path in paths.items()}
r = torch.exp(2 * lam_grid)  # the SNR

# %% [markdown]
# Before the figure, a third way to draw times. Stable Diffusion 3 takes $t$ from a *logit-normal*, $\log\frac{t}{1-t} \sim \mathcal N(m, s^2)$, on the straight path $\alpha = 1-t$, $\sigma = t$ of chapter 09 (Esser et al. 2024, section 3.1). On that path the clock is $\lambda = \log\frac{1-t}{t}$, so the choice is simply
#
# $$\lambda \sim \mathcal N(-m,\ s^2) : \tag{6.6}$$
#
# a bell over $\lambda$ where the cosine had the bump (6.2). The plain loss of that path's target, $\varepsilon - x_0$, has $d = 1$ and the weight $1/t^2 = (1 + e^\lambda)^2$.

# %%
from minidiff.process.weighted_loss import logit_normal_times

t = logit_normal_times(100_000, generator)
drawn = torch.log(1 - t) - torch.log(t)
print(f"lambda: mean {drawn.mean():.2f}, sd {drawn.std():.2f}")
bell = torch.exp(-lam_grid**2 / 2) / (2 * math.pi) ** 0.5

# %%
curves = {"bound": torch.ones_like(r), "eps, linear": p["linear"],
          "eps, cosine": p["cosine"], "v, cosine": p["cosine"] * (1 + 1 / r),
          "straight, logit-normal": bell * (1 + r.sqrt()) ** 2 / r}

# %%
fig, ax = plt.subplots(figsize=(7, 3.6))
colours = (DATA, FIXED, *SERIES[2:5])
for (name, curve), colour in zip(curves.items(), colours):
    ax.semilogy(lam_grid, curve / curve[lam_grid.abs() < 0.01], label=name,
                color=colour)
ax.set(xlabel=r"$\lambda$ (noise on the left, picture on the right)",
       ylabel="weight on errors of eps", ylim=(1e-3, 1e3),
       title="Every recipe is a curve (all are 1 where noise = picture)")
ax.legend()
plt.show()


# %% [markdown]
# Guess from the figure: from DDPM's loss (eps, linear) to the last one, did the weight go up or down where the rough shape is decided, at $\lambda = -2$? And for the finest details, at $\lambda = 3$?

# %%
def at(curve, where):
    i, zero = ((lam_grid - u).abs().argmin() for u in (where, 0.0))
    return float(curve[i] / curve[zero])


for name, curve in curves.items():
    print(f"{name:23s} at -2: {at(curve, -2):8.3g}   at 3: {at(curve, 3):.3g}")

# %% [markdown]
# DDPM's loss cares less for details than the bound does, and about as much for the rough shape. Predicting $v$ on the cosine puts ten times more on the rough shape; the last recipe lets go of the finest details almost entirely. Nobody changed the network.
#
# (A curve's height means nothing, only its shape: a factor in front of a loss is a learning rate, and Adam divides it out.)

# %% [markdown]
# ### Same expectation, less noise
#
# If only the product counts, why not draw $t$ uniformly and put everything into the weight? Because the loss is *estimated*, from one time an image. Times drawn where the weight is large estimate it with less noise. And within one batch the times can be spread on purpose: one in each of $B$ equal slices instead of $B$ independent ones (Kingma et al. 2021). Each is still uniform.
#
# **Guess first.** By which factor does that shrink the scatter of a batch's mean, for $B = 64$ and a smooth loss?

# %%
from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.weighted_loss import stratified_times, uniform_times

world = Gaussian(mean=0.0, variance=0.3)


def scatter(times, batches=400):
    """Spread over batches of the mean error of v, exact for each t."""
    t = torch.stack([times(64, generator) for _ in range(batches)])
    alpha, sigma = cosine_path().alpha(t), cosine_path().sigma(t)
    return (world.error(alpha**2) / sigma**2).mean(dim=1).std()


ratio = scatter(uniform_times) / scatter(stratified_times)
print(f"independent times scatter more than 30 times as much: {ratio > 30}")

# %% [markdown]
# (For independent draws the scatter falls like $B^{-1/2}$, for one draw a slice like $B^{-3/2}$: a factor of about $B$. What remains in real training is the scatter over pictures and noise.) All of this is in one function:

# %%
from minidiff.process.weighted_loss import weighted_loss
show(weighted_loss)

# %% [markdown]
# ## 4. Should a clear picture count a thousand times?
#
# The plain loss of $\varepsilon$ has the weight SNR on the picture. At $t = 1$ of the linear schedule that is 10,000: the network is pushed hardest where there is nothing left to find. Hang et al. (2023) cut it off,
#
# $$w(\mathrm{SNR}) = \min(\mathrm{SNR},\ \gamma), \qquad \gamma = 5 ,$$
#
# and whoever predicts something else than $x_0$ must carry it over. By (6.3) an error of the answer counts
#
# $$w(\mathrm{SNR})\,\Big(\frac\sigma d\Big)^2 \tag{6.7}$$
#
# in place of 1: for $\varepsilon$ this is $\min(1, \gamma/\mathrm{SNR})$, for $v$ it is $\min(\mathrm{SNR}, \gamma)/(\mathrm{SNR}+1)$. Forgetting the second factor is the classic mistake.

# %% [markdown]
# There is a trap at both ends. At $\alpha = 0$, $\mathrm{SNR} = 0$ and, for $\varepsilon$, $d = 0$: $0 \cdot \infty$. But the limit is harmless, $\min(1, \gamma/\mathrm{SNR}) \to 1$. Keep $\alpha$ and $\sigma$ above $10^{-12}$, and floating point finds the limit by itself. Where there is none (weight 1 on $x_0$, asked of a network for $\varepsilon$), the code should say so.

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.3 `loss_weight`** (code, medium, 20 minutes). Write (6.7) for any weight and any target. `weight` is a function of the SNR; `target.A` and `target.B` are functions of `alpha` and `sigma`. Compute in float64. Raise a `ValueError` if a weight comes out above `1 / LEAST`: that is infinity in disguise.

# %% minidiff={"exercise": "ch06.loss_weight", "points": 4} nbgrader={"grade": false, "grade_id": "ch06-loss_weight", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
LEAST = 1e-12


def loss_weight(weight, target, alpha, sigma):
    """The weight on |answer error|^2 that is `weight` on |x0 error|^2.

    alpha, sigma: () or (B,).  Returns the same shape, float64.
    """
    # BEGIN SOLUTION
    alpha = alpha.double().clamp(min=LEAST)
    sigma = sigma.double().clamp(min=LEAST)
    d = alpha * target.B(alpha, sigma) - sigma * target.A(alpha, sigma)
    weights = weight((alpha / sigma) ** 2) * (sigma / d) ** 2
    if (weights > 1 / LEAST).any():
        raise ValueError("this weight on errors of x0 is infinite on errors "
                         f"of {target.name}: take another weight or target")
    return weights
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-loss_weight-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["check"]
loss_weight = answer("ch06.loss_weight", loss_weight)

# %% [markdown]
# Six weights that have names, as factors in front of the plain error of each target, at four noise levels and at pure noise:

# %%
from minidiff.process.weights import (constant, edm, min_snr, p2, sigmoid,
                                      snr_plus_one, snr_weight)

levels = torch.tensor([0.0, 0.01, 1.0, 5.0, 100.0], dtype=torch.float64)
alpha, sigma = (levels / (1 + levels)).sqrt(), (1 / (1 + levels)).sqrt()
print("SNR              " + "".join(f"{u:8.3g}" for u in levels))
for weight in (snr_weight, min_snr, p2, sigmoid, snr_plus_one, edm):
    row = loss_weight(weight, V, alpha, sigma).round(decimals=4)
    print(f"v, {weight.__name__:14s}" + "".join(f"{u:8.3g}" for u in row))

# %% [markdown]
# Finite everywhere, pure noise included. Three of the rows are old friends.
#
# - `sigmoid` and `p2` agree. The sigmoid weight (Kingma and Gao 2023) is $\mathrm{SNR}\cdot\mathrm{sigmoid}(b - \log\mathrm{SNR}) = \mathrm{SNR}/(1 + e^{-b}\,\mathrm{SNR})$; P2 (Choi et al. 2022) is $\mathrm{SNR}/(k + \mathrm{SNR})^\gamma$. With their defaults they are one formula.
# - With $b = \log 5$ the same formula is a smooth Min-SNR: it tends to SNR in the noise and to 5 in the clear.
# - EDM's weight, $\mathrm{SNR} + 1/s^2$ (Karras et al. 2022, table 1), is $v$'s own weight if the data have $s = 1$.

# %%
r = torch.logspace(-6, 6, 49, dtype=torch.float64)
ratio = min_snr(r) / sigmoid(r, math.log(5))
print("sigmoid is p2:", torch.allclose(sigmoid(r), p2(r), rtol=1e-12))
print("edm with s = 1 is v's weight:",
      torch.allclose(edm(r, sigma_data=1.0), snr_plus_one(r), rtol=1e-12))
print(f"min(SNR, 5) over its smooth form: from {ratio.min():.2f} "
      f"to {ratio.max():.2f}")

# %% [markdown]
# And the impossible one:

# %%
try:
    loss_weight(constant, EPS, alpha, sigma)
except ValueError as error:
    print(error)

# %% [markdown]
# ## 5. Bright and dark pictures
#
# Chapter 01 left a debt. Stable Diffusion's table ends at $\sqrt{\bar\alpha_T} = 0.068$: its noise still knows how bright the picture was, a sampler starts from noise that does not, and the generated pictures are all of medium brightness.
#
# Look at it in the smallest world that shows it: pictures of one shade, normal with spread 0.5, 784 pixels. All that is to be known of such a picture is one number, the coordinate $\sum_i x_i/\sqrt{784}$, which is normal with spread 14. The best denoiser is (2.18), exact.

# %%
from minidiff.process.path import discrete_path
from minidiff.process.schedules import scaled_linear_betas
from minidiff.samplers.grids import spaced
from minidiff.samplers.step import step

shades = Gaussian(mean=0.0, variance=784 * 0.5**2)


def spread(table, eta):
    """Walk 40,000 draws back from N(0, 1); shades, generated over true."""
    path, times = discrete_path(table), spaced(1000, 1000)
    x = torch.randn(40_000, generator=generator, dtype=torch.float64)
    for t, s in zip(times[:-1], times[1:]):
        alpha, sigma = path.alpha(t), path.sigma(t)
        x0 = shades.denoise(x, alpha, sigma)
        x = step(x0, (x - alpha * x0) / sigma, t, s, path, eta, generator)
    return x / 28


# %% [markdown]
# Walk twice: by the deterministic sampler ($\eta = 0$), and by the ancestral one. Beside it the closed forms (1.12) and (1.13) of chapter 01. The second is larger: fresh noise lets a walk forget its wrong start.

# %%
from minidiff.process.forward import brightness_ratio

sd_table = alpha_bar_of(scaled_linear_betas())
a, d = sd_table[-1], 784
v = a * d * 0.25 + 1 - a
ancestral = (a * d * 0.25 / v**2 + (1 - a) / v).sqrt()
grey = {eta: spread(sd_table, eta) for eta in (0.0, 1.0)}
print(f"deterministic: {grey[0.0].std() / 0.5:.2f}, "
      f"formula {brightness_ratio(a, d, 0.5):.3f}")
print(f"ancestral:     {grey[1.0].std() / 0.5:.2f}, formula {ancestral:.3f}")

# %% [markdown]
# More than a quarter of the spread is gone, with a *perfect* network. (40,000 draws know a spread to 0.4 %.)
#
# The repair is to end in noise that knows nothing. Lin et al. (2023) do not draw a new schedule; they move the old one. Take the roots, shift them until the last is 0, and stretch them until the first is what it was:
#
# $$\sqrt{\bar\alpha'_t} = \frac{\sqrt{\bar\alpha_1}}{\sqrt{\bar\alpha_1} - \sqrt{\bar\alpha_T}}\,\big(\sqrt{\bar\alpha_t} - \sqrt{\bar\alpha_T}\big), \qquad t = 1, \dots, T . \tag{6.8}$$

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.4 `zero_snr`** (code, medium, 15 minutes). Write (6.8) for a table `(T + 1,)` whose entry 0 is clean data and stays 1. With a single step, first and last are the same and nothing can be stretched: raise a `ValueError`.

# %% minidiff={"exercise": "ch06.zero_snr", "points": 3} nbgrader={"grade": false, "grade_id": "ch06-zero_snr", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
from minidiff.process.schedules import checked


def zero_snr(alpha_bar):
    """Rescale a table so that alpha_bar[T] = 0 and alpha_bar[1] stays."""
    # BEGIN SOLUTION
    root = alpha_bar.double().sqrt()
    if len(root) < 3 or not root[1] > root[-1]:
        raise ValueError("a table to be rescaled falls over at least 2 "
                         f"steps, got {len(root) - 1} from "
                         f"{float(alpha_bar[1]):.4g} to "
                         f"{float(alpha_bar[-1]):.4g}")
    moved = (root[1:] - root[-1]) * root[1] / (root[1] - root[-1])
    return checked(torch.cat([root[:1], moved]) ** 2)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-zero_snr-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
zero_snr = answer("ch06.zero_snr", zero_snr)

# %%
repaired = zero_snr(sd_table)
fixed = spread(repaired, 0.0)
print(f"the end:   {sd_table[-1].sqrt():.3f} -> {repaired[-1].sqrt():.0f}")
print(f"the spread of brightness: {grey[0.0].std() / 0.5:.2f} -> "
      f"{fixed.std() / 0.5:.2f}")

# %% [markdown]
# Nine pictures of each kind, from the darkest tenth to the brightest:

# %%
from minidiff.plotting import show_rows

true = 0.5 * torch.randn(40_000, generator=generator, dtype=torch.float64)
tenths = torch.linspace(0.05, 0.95, 9, dtype=torch.float64)
rows = [torch.quantile(x, tenths).reshape(-1, 1, 1, 1).expand(9, 1, 28, 28)
        for x in (true, grey[0.0], fixed)]
show_rows(rows, "Impure noise makes every picture medium grey",
          ["true", "SD's table", "ends at 0"])
plt.show()
for name, row in zip(("true", "SD's table", "ends at 0"), rows):
    print(f"{name:10s} darkest {row.min():.2f}, brightest {row.max():.2f}")

# %% [markdown]
# Now the price. At $\alpha = 0$ a network that predicts $\varepsilon$ has $d = 0$ in (6.3): it names the noise, which is $x_T$ itself, and the picture stays unknown. Our exact denoiser names the picture, as a network for $v$ does, because there $v = -x_0$. The package refuses before you train for a day:

# %%
from minidiff.process.zero_snr import check_target

path = discrete_path(repaired)
check_target(V, path)
try:
    check_target(EPS, path)
except ValueError as error:
    print(error)

# %% [markdown]
# So zero terminal SNR and $v$ come together (or $x_0$, or the flow of chapter 09), and a sampler must start at $T$ itself: one that begins at an earlier step skips just the repaired one. Chapter 07 returns to that.
#
# ## 6. How wide is a step back?
#
# A step back of our models is a bell around a guessed mean. Its width was fixed so far: $\tilde\beta_t$, exact for someone who knows the picture, or $\beta_t$. Chapter 02 measured what the first costs: half of Euler's constant, mostly in the first steps.
#
# **Which width would be best?** The KL (2.12) of the true bell (variance $\tilde\beta$) to ours (variance $\Sigma$) is, up to terms without $\Sigma$,
#
# $$\tfrac12\Big[\log\Sigma + \frac{\tilde\beta_t + (\mu - \color{#D55E00}{\hat\mu})^2}{\Sigma}\Big].$$

# %% [markdown]
# Average over pictures and noise, and set the derivative $\frac1\Sigma - \frac{\tilde\beta_t + \mathbb E(\mu-\hat\mu)^2}{\Sigma^2}$ to zero:
#
# $$\Sigma^* = \tilde\beta_t + \mathbb E\,(\mu - \color{#D55E00}{\hat\mu})^2 : \tag{6.9}$$
#
# the width of someone who knows the picture, *plus our own ignorance*. A border pixel that is always black needs no more than $\tilde\beta_t$; a pixel that may or may not be ink needs more. For a Gaussian pixel all is known in closed form: by (2.5) and (2.17) the ignorance is the squared weight of $x_0$ times $v/(1 + v\,\mathrm{SNR})$.

# %%
from minidiff.process.posterior import posterior_variance


def best_mix(variance, alpha_bar):
    """Where (6.9) lies between beta~ (0) and beta (1), in logs, t >= 2."""
    t = torch.arange(2, len(alpha_bar))
    a_t, a_s = alpha_bar[t], alpha_bar[t - 1]
    low, high = posterior_variance(t, alpha_bar), 1 - a_t / a_s
    weight = a_s.sqrt() * high / (1 - a_t)
    best = low + weight**2 * Gaussian(0, variance).error(a_t)
    return (best / low).log() / (high / low).log(), high / low


# %% [markdown]
# Two pixels on 50 steps: one with spread 0.5, one with 0.05. And how far apart are the two fixed choices anyway?

# %%
short = alpha_bar_of(linear_betas(50, 0.1 / 50, 20 / 50))
(ink, ratio), (border, _) = (best_mix(u**2, short) for u in (0.5, 0.05))
for t in 2, 3, 5, 10, 20:
    print(f"t = {t:2d}: beta is {ratio[t - 2]:5.2f} beta~, "
          f"best mix {ink[t - 2]:.2f} (ink), {border[t - 2]:.2f} (border)")

# %% [markdown]
# Two facts in this table. The two fixed choices differ much only in the first steps, where the bound's bits are (section 5 of chapter 02). And between them the best choice depends on the pixel and the time. So let the network say it: a second answer $\omega$ for each pixel, that mixes the two *in logs* (a variance is positive, and the network's number then has size 1):
#
# $$\color{#D55E00}{\Sigma} = \exp\big(\color{#D55E00}{\omega}\log\beta_t + (1-\color{#D55E00}{\omega})\log\tilde\beta_t\big) . \tag{6.10}$$

# %%
from minidiff.process.variance import learned_variance
show(learned_variance)

# %% [markdown]
# ### Who teaches the variance?
#
# $L_\text{simple}$ does not contain it. The bound does, but the bound is a bad teacher for the *noise*: its weights (2.14) pull at the first steps a hundred times harder. Nichol and Dhariwal (2021) let each loss teach what it is good at:
#
# $$L_\text{hybrid} = L_\text{simple}(\color{#D55E00}{\hat\varepsilon}) + 0.001\ L_\text{vlb}\big(\mathrm{sg}[\color{#D55E00}{\hat\varepsilon}],\ \color{#D55E00}{\omega}\big) . \tag{6.11}$$
#
# sg means *stop the gradient*: in the second term $\hat\varepsilon$ is a number like any other. So the noise learns exactly what it would have learned alone.

# %% [markdown]
# $L_\text{vlb}$ is a sum over all $t$; a batch has one $t$ an image. A term drawn uniformly, times $T$, has the right mean, and that is what `vlb_estimate(x0, x_t, eps_hat, mix, t, alpha_bar)` returns, one number an image, in nats per dimension: the decoder's term for $t = 1$, the KL for all others.

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.5 `hybrid_loss`** (code, medium, 20 minutes). The network has twice as many channels at the end as at the start: first the noise, then $\omega$. Write (6.11) for given times and noise, with `q_sample` and `vlb_estimate`.

# %% minidiff={"exercise": "ch06.hybrid_loss", "points": 4} nbgrader={"grade": false, "grade_id": "ch06-hybrid_loss", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
from minidiff.process.forward import q_sample
from minidiff.process.variance import vlb_estimate


def hybrid_loss(net, x0, t, eps, alpha_bar, vlb_weight=1e-3):
    """net: (x_t (B, C, ...), t (B,)) -> (B, 2 C, ...). A scalar."""
    # BEGIN SOLUTION
    x_t = q_sample(x0, t, eps, alpha_bar)
    eps_hat, mix = net(x_t, t).chunk(2, dim=1)
    simple = (eps_hat - eps).square().mean()
    vlb = vlb_estimate(x0, x_t, eps_hat.detach(), mix, t, alpha_bar).mean()
    return simple + vlb_weight * vlb
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch06-hybrid_loss-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["check"]
hybrid_loss = answer("ch06.hybrid_loss", hybrid_loss)

# %% [markdown]
# Does it find (6.9)? Give the two pixels to the small MLP of chapter 03, with a last layer for four answers, and train it for a few seconds. It has never seen the formula. (The pixels are rounded to the 256 grey values, for the decoder; and the bound gets weight 1, because this world has nothing but variance to learn.)

# %%
from torch import nn
from minidiff.models.mlp import MLP
from minidiff.process.losses import draw_times
from minidiff.training.fit import fit


def two_pixels(i, n=256):
    g = torch.Generator().manual_seed(i)
    x = torch.randn(n, 2, generator=g) * torch.tensor([0.5, 0.05])
    return ((x.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def loss_fn(net, x0, g):
    t = draw_times(len(x0), 50, g)
    eps = torch.randn(x0.shape, generator=g)
    return hybrid_loss(lambda x, t: net(x, 20 * t), x0, t, eps, short, 1.0), {}


# %%
torch.manual_seed(0)
mlp = MLP(dim=2)
mlp.layers[-1] = nn.Linear(64, 4)
fitted = fit(mlp, loss_fn, two_pixels, steps=800, lr=3e-3)
x0 = two_pixels(10**6)
noise = torch.randn(x0.shape, generator=generator)
for t in 2, 5, 10:
    x_t = q_sample(x0, t, noise, short)
    with torch.no_grad():
        mix = fitted.ema(x_t, torch.tensor(20 * t))[:, 2:].mean(dim=0)
    gap = (mix - torch.stack([ink[t - 2], border[t - 2]])).abs().max()
    print(f"t = {t:2d}: both within 0.15 of the best mix: {gap < 0.15}")

# %% [markdown]
# ## 7. A net that is too narrow for noise
#
# After (6.7) the three targets have the same loss. Is the last layer then a matter of taste? Think of a network that cuts the picture into large squares, as transformers do: 49 pixels go in, 32 numbers travel through, 49 pixels come out. **Guess first:** which of the three answers will suffer?
#
# The last layer makes $D$ pixels out of $r < D$ numbers, linearly. So all its answers lie on one flat piece of dimension $r$, whatever the layers before it do. Let $P$ be the projection onto it.

# %% [markdown]
# Noise has no favourite directions. What lies beyond the flat piece is lost, for every network and every $r$ directions that it may choose:
#
# $$\tfrac1D\,\mathbb E\,|\varepsilon - \color{#D55E00}{\hat\varepsilon}|^2 \ \ge\ \tfrac1D\,\mathbb E\,|(I - P)\,\varepsilon|^2 \ =\ 1 - \frac rD . \tag{6.12}$$
#
# Pictures do have favourite directions. The same argument for $x_0$ leaves the variance beyond the best $r$ of them, the principal components. How much is that? Ask the strokes, for a picture of 16 squares with 32 numbers each:

# %%
from minidiff.data.load import load

flat = load("strokes", "train", n=2000)[0].flatten(1).double()
power = torch.linalg.eigvalsh(torch.cov(flat.T)).flip(0)
r = 16 * 32
beyond = power[r:].sum() / power.sum()
print(f"r = {r} numbers for 784 pixels")
print(f"noise beyond reach:   {1 - r / 784:.2f} of its variance")
print(f"picture beyond reach: {beyond:.1e} of its variance")

# %% [markdown]
# A third of the noise cannot be said, and all of the picture can. Predicting $x_0$ is not a matter of taste here: the picture is *small*, and the noise is not (Li and He 2025 built a whole transformer on this). What about $v$? Its noise part is $\alpha\varepsilon$, so it loses $\alpha^2(1 - r/D)$.
#
# As errors of the picture, by (6.3), the two bounds are
#
# $$e^{-2\lambda}\Big(1 - \frac rD\Big) \ \text{ for } \varepsilon, \qquad \sigma^2\alpha^2\Big(1-\frac rD\Big) \ \text{ for } v .$$

# %% [markdown]
# ## What you should see
#
# | result | here | beside it |
# |---|---|---|
# | steps with $\lambda$ between -1 and 1, cosine | the table's share, above | the integral of (6.2) |
# | error of $v$, one net, eight noise levels | that of $\varepsilon$ plus that of $x_0$ | the identity (6.3) |
# | spread of brightness, perfect net | 0.72 of the true one, 0.99 after the repair | (1.12): 0.724, and 1 |
# | the mix that `hybrid_loss` learns | within 0.15 | the closed form (6.9) |
# | out of reach for a narrow net | a third of the noise, nothing of the picture | $1 - r/D$, principal components |

# %% [markdown]
# ## Myth checks
#
# **"The cosine schedule works better than the linear one."** *Partly.* Where the claim is from, it holds: on ImageNet at 64 x 64 the FID fell from 31.3 to 27.0 (Nichol and Dhariwal 2021, as two notes quote their tables). In the same paper CIFAR-10 got *worse*, 2.90 to 3.05 (there the dropout changed too). And at 256 x 256 its authors went back to the linear one. By (6.4) it cannot be a law: a schedule is a $p(\lambda)$, and which $\lambda$ matter depends on the data and on the weight.

# %% [markdown]
# **"Whether a network predicts $\varepsilon$, $x_0$ or $v$ is a free choice."** *Partly.* The best answers are equivalent, by `convert`. What is not free:
#
# - each target's plain loss is another weight (section 2), and that can be undone;
# - at $\mathrm{SNR} = 0$ the answer $\varepsilon$ says nothing (section 5): a student of Salimans and Ho (2022) that is trained on $\varepsilon$ where only noise is left diverges;
# - a narrow net cannot say noise (section 7), and that no weight undoes.

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.6** (on paper, medium, 15 minutes). (a) On the straight path, $\alpha = 1 - t$ and $\sigma = t$, show that the plain loss of $\varepsilon - x_0$ has the weight $(1 + e^\lambda)^2$ on the picture. (b) The plain loss of $v$, on a path with $\alpha^2 + \sigma^2 = 1$, has the weight $1 + e^{2\lambda}$. Between which bounds does the ratio of the two lie, and where is it largest? (c) What follows for "flow matching" and "$v$-prediction", if both draw the same $\lambda$?

# %% [markdown] minidiff={"exercise": "ch06.paper_flow", "points": 2} nbgrader={"grade": true, "grade_id": "ch06-paper_flow", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# (a) $A = -1$ and $B = 1$, so $d = \alpha + \sigma = 1$ and the weight (6.3) is $1/\sigma^2 = 1/t^2$. From $e^\lambda = (1-t)/t$ we get $1/t = 1 + e^\lambda$.
#
# (b) $\frac{(1 + e^\lambda)^2}{1 + e^{2\lambda}} = 1 + \frac{2e^\lambda}{1 + e^{2\lambda}} = 1 + \frac{1}{\cosh\lambda}$: between 1 and 2, largest at $\lambda = 0$, and 1 at both ends.
#
# (c) They are nearly the same loss: for equal $p(\lambda)$ the flow only minds the middle up to twice as much. What remains different is what the network sees and says: $x_t$ scaled to another length, and another mixture of picture and noise in its last layer. "Flow against diffusion" is a choice of $p(\lambda)\,w(\lambda)$ and of a scale.

# %% [markdown] tags=["exercise-text"]
# **Exercise 6.7** (experiment, easy, 15 minutes). Many samplers with few steps never visit $T$: with 20 steps of 50 they begin at $t = 951$, with 10 of 100 at 901. Such a sampler draws $\mathcal N(0, I)$ there. How much brightness does it lose on the *repaired* table? Use `brightness_ratio(repaired[t], 784, 0.5)` for $t = 1000, 991, 951, 901$, then for a picture of 512 x 512 x 3.

# %% [markdown] minidiff={"exercise": "ch06.experiment_start", "points": 2} nbgrader={"grade": true, "grade_id": "ch06-experiment_start", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# At $T$ nothing is lost: 1.00. At 991 it is still 1.00, at 951 it is 0.95, and at 901 only 0.80, on a schedule that was repaired for exactly this. For the large picture: 1.00, 0.49, 0.09, 0.04. The more pixels, the better their mean tells the brightness, so there the start at 951 loses nine tenths of it. A repaired table helps only a sampler that starts at its end; Lin et al. (2023) change both.

# %% [markdown]
# ## Summary
#
# What later chapters use: $\lambda$ as the clock (07, 08: solvers step in it); a loss is one curve $p(\lambda)\,w(\lambda)$ (6.4), flat for the bound (6.5), a bell for flows (6.6, chapter 09); the factor $(\sigma/d)^2$ for any target (6.3), EDM's in chapter 08 too; tables that end in pure noise (6.8); the width of a step (6.9).
#
# All code now lives in the package, in the modules that the table at the top names. `progress()` shows which exercises you have passed.

# %% [markdown]
# ## References
#
# - Nichol and Dhariwal 2021, *Improved denoising diffusion probabilistic models*: eq. 15 the variance, eq. 16 the hybrid loss, eq. 17 the cosine.
# - Salimans and Ho 2022, *Progressive distillation*: section 4, $v$ and the weights. Hang et al. 2023, *Efficient diffusion training via Min-SNR weighting*. Choi et al. 2022, *P2 weighting*. Karras et al. 2022, *EDM*: table 1.
# - Kingma et al. 2021, *Variational diffusion models*; Kingma and Gao 2023, *Understanding diffusion objectives as the ELBO with simple data augmentation*: losses as integrals over $\lambda$.
# - Lin et al. 2023, *Common diffusion noise schedules and sample steps are flawed*: algorithm 1.
# - Esser et al. 2024, *Scaling rectified flow transformers*: section 3.1. Li and He 2025, *Back to basics: let denoising generative models denoise*.
#
# Before: [05 Measuring](05_measuring.ipynb). Next: [07 DDIM, SDE and ODE](07_ddim_sde_ode.ipynb) walks back in fewer steps, without new noise.
