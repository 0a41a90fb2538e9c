# %% [markdown]
# ## 13. A picture that is there already
#
# So far every picture began as noise. Often one is there, and something about it shall change. **How far into the noise must you go to turn a 7 into a 3?** Too little, and it stays a 7. Too far, and it might as well be another picture. *SDEdit* (Meng et al. 2022) has no other knob: noise the picture $y$ to a time $s$, and walk back from there.
#
# $$x_s = \alpha_s\,y + \sigma_s\,\varepsilon . \tag{10.20}$$

# %%
from minidiff.samplers.edit import half_way
show(half_way)

# %% [markdown]
# The *strength* is the share of the walk that is walked. One test digit of each class, and the denoiser of section 3, which is told a label:

# %%
from minidiff.data.load import load as load_data
from minidiff.process.denoiser import clipped
from minidiff.samplers.flow import euler_flow

test_digits, test_labels = load_data("mnist", "test")

# %% [markdown]
# The first of each class:

# %%
ten = torch.tensor([int((test_labels == k).nonzero()[0])
                    for k in range(10)])
ten_digits = test_digits[ten]

# %% [markdown]
# And even steps down, for every walk of this half of the chapter:

# %%
def falling(n, first=1.0):
    """n even steps from `first` down to clean data: (n + 1,)."""
    return torch.linspace(first, 0, n + 1, dtype=torch.float64)

# %% [markdown]
# Each digit is to become the next one: 0 a 1, 1 a 2, and 9 a 0.

# %%
ask_for = partial(how.denoiser(digit_net, how.path))
following = (torch.arange(10) + 1) % 10
next_digit = partial(cfg(ask_for, 2, how.null), label=following)

# %% [markdown]
# Into the noise, and back:

# %%
def walked_back(ask, strength):
    """The ten digits, noised to a strength, and walked back by `ask`."""
    x, times = half_way(ten_digits, falling(20), how.path, strength,
                        torch.Generator().manual_seed(1))
    return final_sample(euler_flow(clipped(ask, how.path), x, times,
                                   how.path))

# %% [markdown]
# **Guess** the strength at which most of them have changed:

# %%
edits = [walked_back(next_digit, s) for s in (0.4, 0.6, 0.7, 0.8)]
show_rows([ten_digits, *edits], "Between 0.6 and 0.8 a digit lets go of "
          "what it was", ["original", "0.4", "0.6", "0.7", "0.8"])
plt.show()

# %% [markdown]
# Is more strength always further away?

# %%
far = [(e - ten_digits).square().mean().item() for e in edits]
print(f"further away with every strength: {far == sorted(far)}")

# %% [markdown]
# Look at the 4 and the 8 in the row of 0.7: slant and thickness are still theirs, and another digit wears them. In numbers, for 100 test digits (`benchmarks/inverse.py`), with no label and with the next digit's. PSNR is the measure of closeness that restorers use, in decibels, for values that span 2:
#
# $$\mathrm{PSNR} = 10\,\log_{10}\frac{2^2}{\text{mean of }(x - y)^2}. \tag{10.21}$$

# %%
import json

inverse = json.loads((CHECKPOINTS.parent / "benchmarks" /
                      "inverse.json").read_text())


def lines_of(task, **which):
    """The measured rows of a task."""
    return [row for row in inverse["rows"] if row["task"] == task
            and which.items() <= row.items()]

# %% [markdown]
# For each strength:

# %%
print("strength   no label: kept  PSNR     next label: kept  as asked")
for free, led in zip(lines_of("sdedit", told=False),
                     lines_of("sdedit", told=True)):
    print(f"{free['strength']:8.1f} {free['kept']:15.2f} "
          f"{free['psnr']:5.1f} {led['kept']:20.2f} {led['asked']:9.2f}")

# %% [markdown]
# With no label a digit keeps its class for a long way: at 0.6 nearly all are read as before, at 0.8 one half. A label that disagrees wins between 0.6 and 0.8. By then something of the old picture is left, but not much: at 0.7 a digit is nearer to its original than an unrelated one, the last line, by a few decibels. One knob sets both, how much is new and how much is lost. To change one part and *keep* another, one has to say which.

# %% [markdown]
# ## 14. Fill in what is missing
#
# Keep the upper half of a digit, and draw the lower one. The obvious way: walk as always, and after every step *paste* the kept part, noised to the right time, over what the walk has there. With a mask $m$ that is 1 where $y$ is kept, and $\tilde x_s$ the ordinary ancestral step:
#
# $$x_s = m\,(\alpha_s y + \sigma_s\varepsilon) + (1 - m)\,\tilde x_s . \tag{10.22}$$
#
# **Is the result a sample given the kept part?** Try it where the truth is known: two pixels that are nearly always alike, normal with correlation 0.9. The first is kept, at 1.5. Then the second has the mean $0.9 \cdot 1.5$.

# %%
from minidiff.process.continuous import vp_path
from minidiff.samplers.edit import inpaint

vp, alike = vp_path(), torch.tensor([[1.0, 0.9], [0.9, 1.0]]).double()

# %% [markdown]
# Its exact denoiser is linear:

# %%
def two_pixels(x, t):
    """The exact denoiser of two pixels that are alike."""
    alpha, sigma = vp.alpha(t), vp.sigma(t)
    noisy = alpha**2 * alike + sigma**2 * torch.eye(2)
    x0 = x @ (alpha * alike @ torch.linalg.inv(noisy)).T
    return x0, (x - alpha * x0) / sigma

# %% [markdown]
# 2,000 fillings, by pasting alone (1) and with each step repeated:

# %%
pixel_times = torch.cat([torch.linspace(1, 0.01, 40), torch.zeros(1)])
kept_pixel = torch.full((2000, 2), 1.5, dtype=torch.float64)
first_only = torch.tensor([1.0, 0.0]).double()
filled = {}

# %% [markdown]
# For each number of repeats the mean and the spread of the second pixel:

# %%
for repeats in (1, 2, 5, 20):
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 2, generator=dice, dtype=torch.float64)
    filled[repeats] = final_sample(inpaint(
        two_pixels, x, pixel_times.double(), vp, kept_pixel, first_only,
        dice, repeats))[:, 1]
    print(f"{repeats:2d}: mean {filled[repeats].mean():.2f}, sd "
          f"{filled[repeats].std():.2f}")

# %% [markdown]
# And what they should be:

# %%
print(f"exact: mean {0.9 * 1.5:.2f}, sd {(1 - 0.9**2) ** 0.5:.2f}; "
      f"a mean of 2,000 is known to {0.44 / 2000**0.5:.2f}")

# %% [markdown]
# Pasting alone falls short. At each step the walk sees the kept pixel through *fresh* noise, adapts a little, and moves on to less noise, where it is held to what it has made already. It never gets the time to agree.
#
# *RePaint* (Lugmayr et al. 2022) gives it that time: after a step from $t$ down to $s$, go *up* again by the forward process, and take the step once more,
#
# $$x_t = \frac{\alpha_t}{\alpha_s}\,x_s + \sqrt{\sigma_t^2 - \frac{\alpha_t^2}{\alpha_s^2}\,\sigma_s^2}\;z . \tag{10.23}$$
#
# With more repeats the mean comes to where it should be, at the price of as many evaluations. Look at the spread, too: it falls *below* the exact one. RePaint mends the agreement, and is no exact sampler either.

# %% [markdown]
# Now digits: the upper half is kept, and no label is told.

# %%
upper = (torch.arange(28) < 14).float()[:, None]
anything = partial(ask_for, label=torch.full((10,), 10))

# %% [markdown]
# The walk:

# %%
def half_filled(repeats):
    """The ten digits with a lower half drawn anew."""
    dice = torch.Generator().manual_seed(4)
    x = torch.randn(10, 1, 28, 28, generator=dice)
    return final_sample(inpaint(clipped(anything, how.path), x, falling(20),
                                how.path, ten_digits, upper, dice, repeats))

# %%
halves = [half_filled(repeats) for repeats in (1, 5)]
hidden = ten_digits * upper - (1 - upper)
show_rows([ten_digits, hidden, *halves], "Repeating the steps makes the "
          "halves agree", ["original", "kept", "pasted", "5 times"])
plt.show()

# %% [markdown]
# Is the upper half what it was?

# %%
print("the kept half is the original to the bit:",
      *(torch.equal(h[:, :, :14], ten_digits[:, :, :14]) for h in halves))

# %% [markdown]
# For 100 digits: the share that is still read as the digit it was, and the mean squared jump across the seam, beside that of the real digits.

# %%
real_seam = lines_of("inpaint")[0]["seam_of_real"]
for row in lines_of("inpaint"):
    how_told = "its label" if row["told"] else "no label"
    print(f"{row['repeats']:2d} times, {how_told:9s}: kept "
          f"{row['kept']:.2f}, jump {row['seam']:.2f}")
print(f"real digits: jump {real_seam:.2f}")

# %% [markdown]
# The upper half of a 3 may well belong to a 2, so without a label not all *can* be read as they were. The seam has no such excuse: by pasting, the jump is more than twice that of real digits, and with ten repeats it is theirs. A label, without any repeats, mends the class at once and the seam only in part: the two are different faults.

# %% [markdown]
# ## 15. A measurement, and Bayes once more
#
# A mask keeps some pixels exactly. What if all you have is a *blurred* picture, or one with sixteen times fewer pixels? In general, $y = A x_0 + s\,\eta$ with a linear $A$ and normal noise $\eta$. By (10.1) all that is missing is the gradient of $\log p(y \mid x_t)$. Nobody has it, since $y$ speaks of $x_0$. But the denoiser guesses $x_0$! *Diffusion posterior sampling* (Chung et al. 2023) takes the guess at its word:
#
# $$\nabla_{x_t}\log p(y \mid x_t) \approx -\nabla_{x_t}\,\frac{|\,y - A\,\hat x_0(x_t)\,|^2}{2 s^2} . \tag{10.24}$$
#
# The gradient runs *through* the network. It is classifier guidance with a denoiser in the place of the classifier.

# %% [markdown] tags=["exercise-text"]
# **Exercise 10.7 `reconstruction_guided`** (code, medium, 20 minutes). Write the step of DPS as a wrapper. `log_likelihood(x0, t)` gives $\log p(y \mid x_0)$ for each picture, `(B,)`; `moved`, from exercise 10.1, makes the new pair. One evaluation of the denoiser, and its gradient, is all it takes.

# %% minidiff={"exercise": "ch10.reconstruction_guided", "points": 4} nbgrader={"grade": false, "grade_id": "ch10-reconstruction_guided", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
from minidiff.process.likelihood_guidance import moved


def reconstruction_guided(denoiser, log_likelihood, path, scale=1.0):
    """A denoiser that a measurement pulls towards itself (eq. 10.24).

    denoiser: (x, t, **cond) -> (x0, eps), each (B, ...)
    log_likelihood: (x0 (B, ...), t) -> (B,)
    """
    def denoise(x, t, **cond):
        # BEGIN SOLUTION
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            x0, eps = denoiser(seen, t, **cond)
            gradient, = torch.autograd.grad(log_likelihood(x0, t).sum(), seen)
        return moved(x, eps.detach(), gradient, t, path, scale)
        # END SOLUTION
    return denoise

# %% nbgrader={"grade": true, "grade_id": "ch10-reconstruction_guided-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["check"]
reconstruction_guided = answer("ch10.reconstruction_guided",
                               reconstruction_guided)

# %% [markdown]
# Is it right? Take the one world where $p(x_0 \mid y)$ can be written down: $x_0 \sim \mathcal N(m, v)$, seen through noise of variance $s^2$. Completing the square,
#
# $$x_0 \mid y \sim \mathcal N(m', v'), \qquad \frac1{v'} = \frac1v + \frac1{s^2}, \qquad \frac{m'}{v'} = \frac mv + \frac y{s^2} . \tag{10.25}$$

# %%
from minidiff.evaluation.gaussian import Gaussian
from minidiff.process.likelihood_guidance import linear_log_likelihood

bell, s2, seen = Gaussian(0.3, 0.8), 0.05, 1.4
v_after = 1 / (1 / 0.8 + 1 / s2)
m_after = v_after * (0.3 / 0.8 + seen / s2)

# %% [markdown]
# Before the measurement, its denoiser is that of chapter 02:

# %%
def bell_denoiser(x, t):
    alpha, sigma = vp.alpha(t), vp.sigma(t)
    x0 = bell.denoise(x, alpha, sigma)
    return x0, (x - alpha * x0) / sigma

# %% [markdown]
# 4,000 walks, guided by (10.24). **Guess:** is the cloud that arrives too wide, right, or too narrow?

# %%
bell_times = torch.cat([torch.linspace(1, 1e-3, 300), torch.zeros(1)])
bell_noise = torch.randn(4000, 1, dtype=torch.float64,
                         generator=torch.Generator().manual_seed(0))

# %% [markdown]
# The walk, for a variance of $y$ given $x_0$:

# %%
def posterior_cloud(variance):
    """Where walks arrive that a measurement of the bell guides."""
    likelihood = linear_log_likelihood(
        torch.full((4000, 1), seen).double(), lambda x0: x0, variance)
    ask = reconstruction_guided(bell_denoiser, likelihood, vp)
    return final_sample(ddim(ask, bell_noise, bell_times.double(), vp))

# %%
print(f"exact: mean {m_after:.3f}, sd {v_after**0.5:.3f}")
cloud = posterior_cloud(s2)
print(f"(10.24): mean {cloud.mean():.3f}, sd {cloud.std():.3f}")

# %% [markdown]
# Not a cloud at all: everybody arrives at one place, and beyond the measurement. Why? The guess $\hat x_0$ is only a guess: given $x_t$, the true $x_0$ still varies by $C_t = \mathrm{Cov}[x_0 \mid x_t]$. What $y$ should be, given $x_t$, is known only so well:
#
# $$p(y \mid x_t) = \mathcal N\big(y;\ A\hat x_0,\ s^2 I + A\,C_t A^{\!\top}\big) . \tag{10.26}$$
#
# For Gaussian data this is exact, not an approximation: all is jointly normal. (10.24) leaves $C_t$ out, and so pulls as if it were sure, most of all at the start, where it knows least.

# %%
def with_what_is_open(t):
    """s^2 + Var[x0 | x_t] of the bell, eq. (10.26)."""
    return s2 + bell.error(vp.alpha(t) ** 2)


cloud = posterior_cloud(with_what_is_open)
print(f"(10.26): mean {cloud.mean():.3f}, sd {cloud.std():.3f}")

# %% [markdown]
# Is this chance?

# %%
print(f"both within 4 standard errors of (10.25): "
      f"{abs(cloud.mean() - m_after) < 4 * (v_after / 4000)**0.5}, "
      f"{abs(cloud.std() / v_after**0.5 - 1) < 4 / 8000**0.5}")

# %% [markdown]
# ## 16. Sharper digits
#
# Two bad cameras: one keeps the means of squares of 4 × 4 pixels, 49 numbers; the other blurs by two pixels. Both add noise.

# %%
from minidiff.process.measurements import blurred, shrunk

cameras = {"shrunk": partial(shrunk, factor=4),
           "blurred": partial(blurred, width=2.0)}

# %% [markdown]
# What they saw of the ten digits:

# %%
taken = {}
for name, camera in cameras.items():
    y = camera(ten_digits)
    taken[name] = y + 0.05 * torch.randn(
        y.shape, generator=torch.Generator().manual_seed(1))

# %% [markdown]
# For digits nobody knows $C_t$. Three choices: leave it out, as DPS does; pretend that pixels are independent and normal, $C_t = v\sigma^2/(v\alpha^2 + \sigma^2)$ with their own variance $v$, as in pseudo-inverse guidance (Song et al. 2023); or *measure* it: noise training digits, denoise them, and see by how much $A\hat x_0$ misses $A x_0$. **Guess** the order.

# %%
from minidiff.evaluation.restoration import measured_spread, psnr

known = load_data("mnist", "train", n=50)[0]
any_of_50 = partial(ask_for, label=torch.full((50,), 10))
left_open = {name: measured_spread(
    any_of_50, known, camera, falling(10).flip(0)[1:], how.path,
    torch.Generator().manual_seed(2)) for name, camera in cameras.items()}

# %%
def independent(t):
    """What x_t would leave open of independent normal pixels."""
    return 0.38 * t**2 / (0.38 * (1 - t) ** 2 + t**2)

# %% [markdown]
# Both, over the way:

# %%
t = torch.linspace(0.1, 1, 40, dtype=torch.float64)
plt.plot(t, independent(t) ** 0.5, color=FIXED, label="independent pixels")
plt.plot(t, [left_open["shrunk"](u) ** 0.5 for u in t], color=LEARNED,
         label="measured")
plt.axhline(0.05, color=DATA, ls=":", label="the camera's noise")
plt.title("Digits leave less open than independent pixels would")
plt.xlabel("$t$")
plt.ylabel("sd of $A x_0$ given $x_t$")
plt.legend()
plt.show()

# %% [markdown]
# At every time?

# %%
print(f"independent pixels claim more at every t: "
      f"{all(independent(u) > left_open['shrunk'](u) for u in t)}")

# %% [markdown]
# The strokes of a digit hang together, and the net knows it. One thing more does not fit: our likelihood adds up the pixels of $y$ as if they erred independently, $A C_t A^{\top}$ without its other diagonals. A blur's neighbours err alike, so the pull counts the same news many times. We shall try ten times the spread there. Restore the ten, starting a little below $t = 1$, where $\alpha = 0$ and a gradient of the score says nothing about the picture:

# %%
def restored(name, spread):
    """Ten digits from what a camera saw; spread: of t."""
    likelihood = linear_log_likelihood(
        taken[name], cameras[name], lambda t: 0.05**2 + float(spread(t)))
    ask = reconstruction_guided(anything, likelihood, how.path)
    x = torch.randn(10, 1, 28, 28,
                    generator=torch.Generator().manual_seed(3))
    return final_sample(euler_flow(clipped(ask, how.path), x,
                                   falling(25, 0.98), how.path))

# %%
import torch.nn.functional as F

sharp = {"shrunk": restored("shrunk", left_open["shrunk"]),
         "blurred": restored("blurred",
                             lambda t: 10 * left_open["blurred"](t))}

# %% [markdown]
# Look at them:

# %%
large = F.interpolate(taken["shrunk"], size=28, mode="nearest")
show_rows([ten_digits, large, sharp["shrunk"], taken["blurred"],
           sharp["blurred"]], "From 49 numbers, and from a blur, to digits",
          ["original", "seen", "restored", "seen", "restored"])
plt.show()

# %% [markdown]
# Nearer to the truth than what was seen?

# %%
gain = psnr(sharp["blurred"], ten_digits) - psnr(taken["blurred"],
                                                 ten_digits)
print(f"of ten, nearer to the original than the blur was, more than "
      f"seven: {bool((gain > 0).sum() > 7)}")

# %% [markdown]
# Pleasing pictures are easy: any digit pleases. The questions are how near to the truth, and whether it is still the same digit. For 100 of them:

# %%
for name in cameras:
    for row in lines_of("restore", measure=name):
        how_told = "its label" if row["told"] else "no label"
        print(f"{name:8s} {row['spread']:9s} {how_told:9s} PSNR "
              f"{row['psnr']:5.2f} ± {row['psnr_error']:.2f}, "
              f"kept {row['kept']:.2f}")

# %% [markdown]
# ("By eye" is no diffusion at all: what the camera saw, smoothly enlarged.) The formula that is exact for the bell loses to leaving the spread out, on both cameras, when it is fed with the wrong $C_t$: it claims to know too little, and from 49 numbers makes worse digits than enlarging them does. With the spread that was measured it wins on the squares, and on the blur it changes nothing that 100 digits can tell. Tenfold is right for the blur, and ruins the squares, which do not overlap: each of them brings news of its own. What was exact was (10.26), with its whole matrix, not a guess about pixels. And a label that is known should be told.

# %% [markdown]
# ## 17. A digit with two faces
#
# Turn a 6 upside down, and it is a 9. **Is there a picture that is a 4 this way up, and a 7 the other?** Ask two denoisers at every step: one sees the picture as it is, the other sees it turned, and its answer is turned back. Follow their mean (Geng et al. 2024, *Visual anagrams*). With views $V_k$, each undone by $V_k^{-1}$,
#
# $$\hat\varepsilon = \frac1K\sum_k V_k^{-1}\,\hat\varepsilon_k(V_k x_t, t), \qquad \hat x_0 \text{ alike.} \tag{10.27}$$
#
# What may a view do? The denoiser must meet what it has learned, so $V\varepsilon$ must be white noise again: $V$ is orthogonal. It may turn, flip, permute. Then one view alone is exact: $V^{-1}\hat x_0(V x_t)$ is the denoiser of the density $p(Vx)$.

# %% [markdown] tags=["exercise-text"]
# **Exercise 10.8 `averaged`** (code, medium, 15 minutes). Write (10.27) as a wrapper. `views` has for each denoiser a pair `(there, back)` of functions. Picture and noise are treated alike, and conditions are handed on.

# %% minidiff={"exercise": "ch10.averaged", "points": 3} nbgrader={"grade": false, "grade_id": "ch10-averaged", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def averaged(denoisers, views):
    """The mean of denoisers, each through its view (eq. 10.27).

    denoisers: each (x, t, **cond) -> (x0, eps);  views: pairs
    """
    if len(denoisers) != len(views) or not views:
        raise ValueError(
            f"each denoiser needs a view, got {len(denoisers)} "
            f"denoisers and {len(views)} views")

    def denoise(x, t, **cond):
        # BEGIN SOLUTION
        pairs = [tuple(map(back, ask(there(x), t, **cond)))
                 for ask, (there, back) in zip(denoisers, views, strict=True)]
        return tuple(torch.stack(side).mean(dim=0)
                     for side in zip(*pairs, strict=True))
        # END SOLUTION
    return denoise

# %% nbgrader={"grade": true, "grade_id": "ch10-averaged-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
averaged = answer("ch10.averaged", averaged)

# %% [markdown]
# First in the plane, where all is known. A quarter turn as the view, and the exact denoiser of the islands, against that of islands which are turned back:

# %%
quarter = (lambda x: torch.stack([-x[:, 1], x[:, 0]], dim=1),
           lambda x: torch.stack([x[:, 1], -x[:, 0]], dim=1))
turned_islands = Mixture(ISLANDS.weights, quarter[1](ISLANDS.means),
                         ISLANDS.stds)
x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0)).double()

# %% [markdown]
# Through the view, at three times:

# %%
one_view = averaged([exact(ISLANDS, path)], [quarter])
for t in torch.tensor([0.2, 0.5, 0.9]):
    gap = one_view(x, t)[0] - exact(turned_islands, path)(x, t)[0]
    print(f"t = {t:.1f}: equal within 1e-9: {bool(gap.abs().max() < 1e-9)}")

# %% [markdown]
# One view is exact. And two? The mean of two scores is the score of $\sqrt{p_1 p_2}$, but only at $t = 0$. This is the trap of section 4 again. Two bells around 0, of widths $c_1$ and $c_2$, show it: their mean is walked exactly to
#
# $$\text{variance } c_1 c_2, \qquad\text{while } \sqrt{p_1 p_2} \text{ has the variance}\quad \frac{2}{1/c_1^2 + 1/c_2^2} . \tag{10.28}$$

# %%
c1, c2, nothing = 1.0, 0.2, (lambda x: x, lambda x: x)
bells = [Mixture([1.0], [[0.0]], [c]) for c in (c1, c2)]
both_bells = averaged([exact(one, path) for one in bells],
                      [nothing, nothing])

# %% [markdown]
# Walk them:

# %%
line_noise = torch.randn(4000, 1, dtype=torch.float64,
                         generator=torch.Generator().manual_seed(0))
landed = final_sample(heun_flow(both_bells, line_noise, falling(100), path))

# %% [markdown]
# Which of the two is it?

# %%
print(f"walked: sd {landed.std():.3f};  (10.28): {(c1 * c2)**0.5:.3f} "
      f"± {(c1 * c2)**0.5 / 8000**0.5:.3f};  of the square root of the "
      f"product: {(2 / (1 / c1**2 + 1 / c2**2))**0.5:.3f}")

# %% [markdown] tags=["exercise-text"]
# **Exercise 10.9** (on paper, medium, 20 minutes). Derive the left half of (10.28). In $y = x/\alpha$ and $\varsigma = \sigma/\alpha$ the flow is $dy/d\varsigma = \hat\varepsilon$. (a) What is $\hat\varepsilon$ of one bell, and of the mean? (b) Integrate $d\log y/d\varsigma$ from large $\varsigma$, where $y = \varsigma z$ with $z$ normal, to 0. (c) Which of the two variances in (10.28) is larger, and when are they equal?

# %% [markdown] minidiff={"exercise": "ch10.paper_2", "points": 3} nbgrader={"grade": true, "grade_id": "ch10-paper_2", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# (a) $y$ has the variance $c^2 + \varsigma^2$, so $\hat\varepsilon = \varsigma y/(c^2 + \varsigma^2)$, and the mean is $\frac{\varsigma y}{2}\big(\frac1{c_1^2 + \varsigma^2} + \frac1{c_2^2 + \varsigma^2}\big)$.
#
# (b) $\log y$ changes like $\frac14\log\big[(c_1^2 + \varsigma^2)(c_2^2 + \varsigma^2)\big]$. For large $\varsigma$ that is $\log\varsigma$, at 0 it is $\frac12\log(c_1c_2)$. So $\varsigma z$ ends at $\sqrt{c_1c_2}\,z$, whose variance is $c_1c_2$.
#
# (c) $c_1 c_2$ is the geometric mean of $c_1^2$ and $c_2^2$, the other their harmonic mean, which is never larger. They are equal for $c_1 = c_2$ alone.

# %% [markdown]
# So an anagram is not a sample from "what both like". It is what one gets by following both, and for pictures that is good enough:

# %%
from minidiff.process.views import upright, upside_down

# %% [markdown]
# One denoiser sees the picture as it is, the other one turned by half a circle:

# %%
def two_faces(this_way, other_way):
    """Ten digits that are one digit upright and another turned."""
    asks = [partial(cfg(ask_for, 2, how.null), label=torch.full((10,), k))
            for k in (this_way, other_way)]
    ask = averaged(asks, [(upright, upright), (upside_down, upside_down)])
    x = torch.randn(10, 1, 28, 28,
                    generator=torch.Generator().manual_seed(3))
    return final_sample(euler_flow(clipped(ask, how.path), x, falling(20),
                                   how.path))

# %%
faces = {pair: two_faces(*pair) for pair in ((6, 9), (4, 7), (8, 3))}
show_rows([row for f in faces.values() for row in (f, upside_down(f))],
          "Each pair of rows is the same ten pictures, turned",
          [f"{k}" for pair in faces for k in pair])
plt.show()

# %% [markdown]
# What does the judge say, both ways?

# %%
for (a, b), f in faces.items():
    fits = (judge.labels(f) == a) & (judge.labels(upside_down(f)) == b)
    print(f"{a} and {b}: more than half are read as both: "
          f"{bool(fits.sum() > 5)}")

# %% [markdown]
# All pairs, ten pictures each, read by the judge both ways:

# %%
pairs = {(row["upright_digit"], row["turned_digit"]): row["both"]
         for row in lines_of("turned")}
table = torch.tensor([[pairs[min(a, b), max(a, b)] for b in range(10)]
                      for a in range(10)])

# %% [markdown]
# As a picture:

# %%
fig, ax = plt.subplots(figsize=(4.4, 3.6))
ax.grid(False)
fig.colorbar(ax.imshow(table, cmap="viridis", vmin=0, vmax=1),
             label="read as both")
ax.set(title="Some digits share a body", xlabel="upside down",
       ylabel="upright", xticks=range(10), yticks=range(10))
plt.show()

# %% [markdown]
# The mean, and the best pair:

# %%
best = max((p for p in pairs if p[0] != p[1]), key=pairs.get)
print(f"all pairs: {table.mean():.2f}; the best of different digits: "
      f"{best}, {pairs[best]:.2f}")

# %% [markdown]
# *Hybrids* mix otherwise: one denoiser decides the coarse part, what a blur $B$ keeps, and another the rest (Geng et al. 2024, *Factorized diffusion*),
#
# $$\hat\varepsilon = B\,\hat\varepsilon_1 + (1 - B)\,\hat\varepsilon_2 . \tag{10.29}$$
#
# From afar one should see the first. Does it work on 28 × 28 pixels, with an 8 from afar and a 3 near?

# %%
for row in lines_of("from_afar"):
    print(f"coarse {row['coarse']}, fine {row['fine']}: near, read as the "
          f"fine one {row['near_as_fine']:.2f}; blurred, as an 8 "
          f"{row['afar_as_8']:.2f}, as a 3 {row['afar_as_3']:.2f}")

# %% [markdown]
# Near, nearly all are read as a 3; blurred, three of four as an 8. The last two lines are the controls: a plain 3 that is blurred is still read as a 3.

# %% [markdown]
# ## 18. What the net was told in secret
#
# A net that is given the label in training need not *use* it. Suppose every training picture carries its label in one pixel: a time stamp, a watermark, the scanner of a hospital. Call this second message the *tag*. It tells the island $k$ as surely as the label $c$ does, so for the best denoiser
#
# $$\mathbb E[x_0 \mid x_t, c, \text{tag}] = \mathbb E[x_0 \mid x_t, \text{tag}] = \mathbb E[x_0 \mid x_t, c] . \tag{10.30}$$
#
# The loss cannot tell a net that reads the label from one that reads the tag. **Which one will you get?** And does it help to drop the label now and then, as CFG does?

# %%
def message(island, says_label=True, says_tag=True):
    """Four places for the label, one number for the tag; 0 is silence."""
    label = F.one_hot(island, 4) * torch.as_tensor(says_label)[..., None]
    tag = (island + 1) / 2 * torch.as_tensor(says_tag)
    return torch.cat([label, tag[:, None]], dim=1).float()

# %% [markdown]
# The net reads it beside the point:

# %%
def heard(net, told):
    """The velocity of a net that is told something beside x and t."""
    return lambda x, t: net(torch.cat([x, told], dim=1), 1000 * t)[:, :2]

# %% [markdown]
# Points of the four islands, with label and tag that are always right; in training the one or the other is silent, at a rate:

# %%
from minidiff.process.flow import cfm_loss, pair_of_velocity

cloud = ISLANDS.sample(20_000, torch.Generator().manual_seed(5)).float()
home = ISLANDS.share(cloud).argmax(dim=1)

# %% [markdown]
# The loss, for some rows of the cloud:

# %%
def told_loss(net, rows, dice, label_rate, tag_rate):
    """Flow matching; rows: of the cloud."""
    spoken = [torch.rand(len(rows), generator=dice) >= rate
              for rate in (label_rate, tag_rate)]
    t = torch.rand(len(rows), generator=dice, dtype=torch.float64)
    eps = torch.randn(len(rows), 2, generator=dice)
    net = heard(net, message(home[rows], *spoken))
    return cfm_loss(net, cloud[rows], t, eps, path), {}

# %%
def trained_with(label_rate, tag_rate):
    """An MLP after 800 batches in which messages were dropped."""
    torch.manual_seed(0)
    return fit(MLP(dim=7), partial(told_loss, label_rate=label_rate,
                                   tag_rate=tag_rate), lambda step:
               torch.randint(20_000, (512,), generator=torch.Generator()
                             .manual_seed(step)), steps=800, lr=4e-3).ema

# %% [markdown]
# Three nets:

# %%
nets = {"nothing": trained_with(0, 0), "the label": trained_with(0.2, 0),
        "the tag": trained_with(0, 0.2)}

# %% [markdown]
# After training the tag is gone: new pictures have no time stamp. Or it is *wrong*. Each net is asked by label for 1,000 points:

# %%
wanted = torch.arange(1000) % 4
lie = message((wanted + 1) % 4)[:, 4:]
tags = {"right": message(wanted), "none": message(wanted, says_tag=False),
        "wrong": torch.cat([message(wanted)[:, :4], lie], dim=1)}

# %% [markdown]
# And where they arrive:

# %%
def arrives(net, told):
    """The island at which each of 1,000 points arrives."""
    def ask(x, t):
        return pair_of_velocity(heard(net, told)(x, t), x, t, path)
    x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(9))
    return ISLANDS.share(final_sample(euler_flow(
        ask, x, falling(20), path))).argmax(dim=1)

# %%
at = {(net, tag): (arrives(nets[net], told) == wanted).double().mean()
      for net in nets for tag, told in tags.items()}

# %% [markdown]
# The shares:

# %%
fig, ax = plt.subplots()
for k, tag in enumerate(tags):
    ax.bar([i + 0.27 * (k - 1) for i in range(3)],
           [at[net, tag] for net in nets], width=0.25, label=f"tag {tag}")
ax.axhline(0.25, color=DATA, ls=":", label="chance")
ax.set_xticks(range(3), [f"dropped: {net}" for net in nets])
ax.set(title="Dropping the label teaches the net to read the tag",
       ylabel="arrive at the label's island", ylim=(0, 1.25))
ax.legend(ncols=4, loc="upper center")
plt.show()

# %%
print(f"the right tag: every net obeys, over 0.98: "
      f"{all(at[net, 'right'] > 0.98 for net in nets)}")

# %% [markdown]
# The other two:

# %%
print(f"label dropped: below 0.4 without the tag: "
      f"{at['the label', 'none'] < 0.4}; a wrong tag wins, below 0.25: "
      f"{at['the label', 'wrong'] < 0.25}")
print(f"tag dropped: over 0.95 without the tag, and with a wrong one: "
      f"{at['the tag', 'none'] > 0.95 and at['the tag', 'wrong'] > 0.95}")

# %% [markdown]
# With the right tag all three look perfect: no test set that carries the tag shows anything. Without it, the net whose *label* was dropped collapses to chance. That is no accident: on the rows without a label, the tag is the only way to lower the loss, so the shortcut is practised. Dropping the *tag* mends it, because then there are rows on which only the label helps.
#
# So a condition that is dropped is one that the net learns to do without. CFG needs that, for its answer without a label. It does not cure a leak: drop what leaks, or crop it away. And measure with the leak removed.
