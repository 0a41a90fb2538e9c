# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 Is it any good? Measuring
#
# After this chapter you can say how good a set of generated pictures is, in which way it is bad, whether it is copied, and which of the numbers in a paper you should believe.
#
# | | |
# |---|---|
# | Before this | [04 A DDPM on MNIST](04_ddpm_on_mnist.ipynb) |
# | Adds to `minidiff` | `evaluation/metrics`, `memory`; `models/vae`, `gan`; `recipes/accuracy_score`, `baselines` |
# | Time to run | about a minute on 2 CPU cores |
# | Training for real | nothing: the long measurements are in records, and `benchmarks/audit.py` and `benchmarks/baselines.py` make them again |

# %% tags=["setup"]
import torch
import matplotlib.pyplot as plt
from minidiff.exercises.core import answer, check, hint, progress
from minidiff.plotting import show, use_house_style
use_house_style()

# %% [markdown]
# Three models, each trained for the same forty seconds on the same digits, drew these. **Rank the rows before you read on,** and ask the next person to do the same. If the two of you agree, ask a third.

# %%
import json
import lzma
import numpy as np
from minidiff.plotting import show_rows
from minidiff.recipes.run import CHECKPOINTS

records = CHECKPOINTS.parent / "benchmarks"
drawn = np.load(lzma.open(records / "baselines.npy.xz"))
drawn = torch.from_numpy(drawn).float()[:, :, None] / 127.5 - 1
bench = json.loads((records / "baselines.json").read_text())
show_rows([drawn[5 * i] for i in range(3)], "Which row is the best?",
          "ABC")
plt.show()
print(f"{bench['seconds']:.0f} seconds of one core each")

# %% [markdown]
# An eye is a poor judge here: it sees twelve pictures of a thousand, it forgives what is missing, and it cannot know what was copied. We need numbers. And numbers need judging too: so this chapter builds each of them, and then tries to fool it.
#
# The pictures of this chapter are the drawn strokes of chapter 01, so that nothing has to be downloaded: ten thousand to learn from (`train`), and others that no model ever saw (`test`), in a random order. MNIST comes in from records.

# %%
from minidiff.data.load import load
from minidiff.evaluation.digits import load_judge

generator = torch.Generator().manual_seed(0)
train, _ = load("strokes", "train", n=10_000)
in_turn, labels = load("strokes", "test", n=6_000)
order = torch.randperm(6_000, generator=generator)
test, labels = in_turn[order], labels[order]

# %% [markdown]
# The judge is that of chapter 04, a classifier that was trained on MNIST and then frozen. Does it know what it is looking at?

# %%
judge = load_judge()
f_train, f_test = judge.features(train), judge.features(test)
print(f"features: {tuple(f_train.shape)} and {tuple(f_test.shape)}")
right = (judge.labels(test) == labels).double().mean()
print(f"it reads more than 97 % of the strokes: {bool(right > 0.97)}")

# %% [markdown]
# ## How far apart are two clouds?
#
# The judge turns a picture into 64 numbers, so a set of pictures is a cloud of points. Chapter 04 fitted a Gaussian to either cloud and took the Fréchet distance (4.14). One term of it was left unexplained: $\mathrm{tr}\,(C_1C_2)^{1/2}$. The product $C_1 C_2$ is not symmetric. What is its root, and how do you compute it without complex numbers?

# %% [markdown]
# Let $A = C_1^{1/2}C_2^{1/2}$, with symmetric roots. Then $C_1C_2$ has the same eigenvalues as
#
# $$C_1^{1/2}\,C_2\,C_1^{1/2} = A A^\top,$$
#
# because $XY$ and $YX$ always have the same ones (take $X = C_1^{1/2}$ and $Y = C_1^{1/2}C_2$). Now $AA^\top$ is symmetric and not negative, and the roots of its eigenvalues have a name: the *singular values* $s_i$ of $A$. So
#
# $$\mathrm{tr}\,(C_1C_2)^{1/2} = \sum_i s_i\big(C_1^{1/2}C_2^{1/2}\big). \tag{5.1}$$

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.1 `frechet_of_moments`** (code, medium, 15 minutes). The distance (4.14) between two Gaussians, with (5.1). `_sqrt` is there: a symmetric root from the eigenvalues, where rounding may have made a zero negative. Return a float.

# %% minidiff={"exercise": "ch05.frechet_of_moments", "points": 4} tags=["exercise"]
def _sqrt(cov):
    values, vectors = torch.linalg.eigh(cov)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def frechet_of_moments(mean_1, cov_1, mean_2, cov_2):
    """Means (D,), covariances (D, D), float64 -> a float."""
    if mean_1.shape != mean_2.shape:
        raise ValueError(f"both sets need features of one width, "
                         f"got {len(mean_1)} and {len(mean_2)}")
    # BEGIN SOLUTION
    cross = torch.linalg.svdvals(_sqrt(cov_1) @ _sqrt(cov_2)).sum()
    return float((mean_1 - mean_2).square().sum()
                 + cov_1.trace() + cov_2.trace() - 2 * cross)
    # END SOLUTION

# %% tags=["check"]
frechet_of_moments = answer("ch05.frechet_of_moments", frechet_of_moments)

# %% [markdown]
# What does it say of pictures that could not be better: a thousand strokes that the judge never compared with, but that come from the same pen as the training set?

# %%
from minidiff.evaluation.frechet import moments

own = moments(f_train)
d = frechet_of_moments(*moments(f_test[:1000]), *own)
print(f"real strokes, N = 1000: {d:.1f}")

# %% [markdown]
# Not 0. **Guess:** is that the distance of the two sets, or the fault of the thousand? How would you find out?

# %% [markdown]
# ## A distance without its N is worth nothing
#
# Take more pictures, and fewer. `distance_at(features, reference, n)` cuts the features into disjoint parts of $n$, and gives the mean distance of a part.

# %%
from minidiff.evaluation.metrics import distance_at

for n in (100, 300, 1000, 3000, 6000):
    d = distance_at(f_test, f_train, n)
    print(f"N = {n:4d}   distance {d:5.1f}   N times it {d * n:6.0f}")

# %% [markdown]
# The same pictures, and the distance falls from above 60 to about 1. The last column hardly moves: the distance is a constant *over* $N$.
#
# Where does it come from? Take the means first. Let $\hat m$ be the mean of $N$ independent features with covariance $C$, and $m$ the true one. The variance of a mean is the variance over $N$, in each coordinate:
#
# $$\mathbb E\,|\hat m - m|^2 = \frac{\mathrm{tr}\,C}{N}. \tag{5.2}$$
#
# So two sets of *one* law have means that differ. An estimated covariance is off as well, by an amount like $1/\sqrt N$, and the distance is of second order in it: again $1/N$.

# %% [markdown]
# Together, with a number $b$ that belongs to the features and the set,
#
# $$\mathbb E\, d_N \approx d_\infty + \frac bN. \tag{5.3}$$
#
# (For Gaussian features chapter 04's tests know $b$.) This is a *bias*, not bad luck: averaging over many draws of $N$ pictures does not remove it. But it is a straight line in $1/N$, and we are free to look where the line meets $1/N = 0$ (Chong and Forsyth 2020).

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.2 `fd_infinity`** (code, medium, 15 minutes). Put the line of least squares through `distance_at(features, reference, n)` against $1/n$, for all `n` in `sizes`. Return the pair of floats $(a, b)$ of $d(n) = a + b/n$.

# %% minidiff={"exercise": "ch05.fd_infinity", "points": 3} tags=["exercise"]
def fd_infinity(features, reference, sizes):
    """(N, D) in random order, (M, D), a list of n -> (a, b)."""
    if len(set(sizes)) < 2:
        raise ValueError(f"a line needs at least two different sizes, "
                         f"got {list(sizes)}")
    # BEGIN SOLUTION
    d = torch.tensor([distance_at(features, reference, n) for n in sizes],
                     dtype=torch.float64)
    u = 1 / torch.tensor(sizes, dtype=torch.float64)
    b = (((u - u.mean()) * (d - d.mean())).sum()
         / (u - u.mean()).square().sum())
    return float(d.mean() - b * u.mean()), float(b)
    # END SOLUTION

# %% tags=["check"]
fd_infinity = answer("ch05.fd_infinity", fd_infinity)

# %% [markdown]
# Two sets: the test strokes, and the same strokes on fogged film (every pixel a little brighter, so that black becomes dark grey). Where do their lines end?

# %%
fogged = judge.features((test + 0.2).clamp(max=1))
sizes, lines = [300, 500, 1000, 2000, 3000, 6000], {}
for name, f in {"real": f_test, "fogged": fogged}.items():
    lines[name] = a, b = fd_infinity(f, f_train, sizes)
    print(f"{name:6s}  N = 300: {distance_at(f, f_train, 300):5.1f}   "
          f"N = 6000: {distance_at(f, f_train, 6000):4.1f}   "
          f"limit: {abs(a):4.1f}")

# %% [markdown]
# At $N = 300$ the two are hard to tell apart. In the limit one is about 0 and the other is not:

# %%
from minidiff.plotting import DATA, LEARNED

u = torch.tensor([0, 1 / 300])
for name, f, colour in (("real", f_test, DATA), ("fogged", fogged, LEARNED)):
    a, b = lines[name]
    plt.plot(u, a + b * u, ":", color=colour)
    plt.plot([1 / n for n in sizes],
             [distance_at(f, f_train, n) for n in sizes], "o",
             color=colour, label=name)
plt.title("The bias is a line in $1/N$; where it ends is the distance")
plt.xlabel("$1/N$")
plt.ylabel("Fréchet distance")
plt.legend()
plt.show()

# %% [markdown]
# MNIST does the same. From `benchmarks/audit.py`, real test digits against the training set. **How far from 0 will the limit be,** for two sets that were written by different people?

# %%
audit = json.loads((records / "audit.json").read_text())
for n, d in audit["floor"].items():
    print(f"N = {n:>5s}   real test digits {d:6.2f}")
print(f"limit       {audit['limit']['real']:23.2f}")

# %% [markdown]
# Not 0: the writers of the test set are others than those of the training set, and the judge sees it. This is the *floor*. Beside it stands chapter 04's net, at equal $N$. Even that is not quite fair, because $b$ belongs to the drawn set as well as to the features; so take both to the limit, from a thousand pictures each:

# %%
for name, end in (("mnist-ddpm", "mnist-ddpm"),
                  ("test pictures", "real, with as many")):
    print(f"{name:14s} N = 1000: {audit['sets'][name]['distance']:5.1f}"
          f"   limit {audit['limit'][end]:5.1f}")

# %% [markdown]
# At $N = 1000$ the net seems to be half as far again from the training set as real digits are. Most of either number is bias. In the limit, what is left to the net is a distance of 3 to 4; for the real digits it is even below 0, which no distance can be: with a thousand pictures the parts are few, the end of the line is uncertain by a unit or two, and the ten thousand above gave 1.5. A limit needs its pictures as well.

# %% [markdown]
# ### Three ways to look better than you are
#
# **One: choose a small N for the others.** You have seen it. **Two: draw often and report the best.** Six times a thousand real strokes:

# %%
values = [frechet_of_moments(*moments(part), *own)
          for part in f_test.split(1000)]
print("  ".join(f"{v:.1f}" for v in values))
best = sum(min(values[i:i + 3]) for i in (0, 3)) / 2
print(f"mean {sum(values) / 6:.1f}, the mean best of three {best:.1f}")

# %% [markdown]
# The same pictures from the same pen. Even the famous tables do it, and say so: EDM's FIDs are each the smallest of three (Karras et al. 2022, released code).
#
# **Three: do not shuffle.** The strokes come in turn, 0, 1, 2, ..., 9, 0, ..., so that any hundred have exactly ten of each digit. And MNIST's test set has its own order:

# %%
for name, x in {"in turn": in_turn, "shuffled": test}.items():
    d = distance_at(judge.features(x), f_train, 100)
    print(f"strokes, N = 100, {name:9s} {d:5.1f}")
print(f"MNIST, the first 1,000 test digits {audit['first test pictures']:.3g}"
      f", a random 1,000 {audit['floor']['1000']:.2g}")

# %% [markdown]
# A set that is tidier than chance comes out nearer. And whoever takes the first thousand digits of MNIST's test set as the floor measures something else: they lie several times as far away as a random thousand. One distance, three numbers, no lie.

# %% [markdown]
# ## The impostor
#
# So we have a distance. **Which pictures have the smallest one?** The formula sees a mean and a covariance, nothing else. Then let us make pictures that have exactly these, and are otherwise noise: draw white numbers $z$, make *their own* mean 0 and *their own* covariance 1, and stretch them along the eigenvectors of the pixels' covariance.

# %%
from minidiff.evaluation.metrics import impostor
from minidiff.plotting import show_strip

fake = impostor(train, 1000, generator)
show_strip(fake[:10], "Every mean and every covariance right, no digit")
plt.show()
off = (fake.mean(dim=0) - train.mean(dim=0)).abs().max()
print(f"largest error of a mean below 1e-5: {bool(off < 1e-5)}")

# %% [markdown]
# Suppose the features are linear, $f = W^\top x + b$: some random projection, or the principal components of the pixels. A linear map takes mean $m$ and covariance $C$ of the pictures to
#
# $$m_f = W^\top m + b, \qquad C_f = W^\top C\,W. \tag{5.4}$$
#
# The impostor's $m$ and $C$ are those of the training set. So are its $m_f$ and $C_f$, whatever $W$ is.

# %%
W = torch.randn(784, 64, generator=generator) / 28
for name, x in {"real strokes": test[:1000], "impostor": fake}.items():
    linear = frechet_of_moments(*moments(x.flatten(1) @ W),
                                *moments(train.flatten(1) @ W))
    seen = frechet_of_moments(*moments(judge.features(x)), *own)
    print(f"{name:12s}  64 linear features: {abs(linear):.3f}   "
          f"the judge: {seen:5.1f}")

# %% [markdown]
# Noise has beaten every real picture, with the perfect score 0.000. In the judge's features, which are not linear, it is exposed at once. MNIST, with 64 principal components:

# %%
for name, d in audit["linear"].items():
    print(f"{name:14s} linear {d:8.3f}   "
          f"judge {audit['sets'][name]['distance']:7.1f}")

# %% [markdown]
# A Fréchet distance is as good as its features, and no better. The famous FID uses the features of a network for photographs (Heusel et al. 2017); what those do not see, FID does not see.
#
# The doubt goes further. **Does a non-linear judge have an impostor, too?** In its own space, yes. A thousand rows of 64 normal numbers, with the mean and covariance of the strokes' features:

# %%
white = torch.randn(1000, 64, generator=generator, dtype=torch.float64)
twin = own[0] + white @ torch.linalg.cholesky(own[1]).T
print(f"features of nothing: {frechet_of_moments(*moments(twin), *own):.1f}"
      f"   real strokes: {sum(values) / 6:.1f}")

# %% [markdown]
# Again as near as real pictures. These rows belong to no picture that we know of, but nothing in the distance objects. To catch them we must look at more than two moments.

# %% [markdown]
# ## All moments up to the third
#
# Compare means again, but of more things: of the features, their squares, their products of two and of three. Let $\varphi(x)$ be the long vector of all of them. The squared distance of the two means opens into inner products:
#
# $$\big|\mathbb E\,\varphi(x) - \mathbb E\,\varphi(y)\big|^2 = \mathbb E\,k(x, x') + \mathbb E\,k(y, y') - 2\,\mathbb E\,k(x, y), \qquad k(x, y) = \langle\varphi(x), \varphi(y)\rangle, \tag{5.5}$$
#
# where $x, x'$ are two independent draws. This is the squared *maximum mean discrepancy*. And with 64 features, $\varphi$ has some 48,000 entries that nobody has to write down, since $k(x, y) = (x\cdot y / D + 1)^3$ is their inner product.

# %% [markdown]
# From $N$ draws, $\mathbb E\,k(x, x')$ is a mean over *pairs*. Mind the pairs: in $k(x_i, x_i)$ the two are not independent, and $|x_i|^2$ is always positive. That is where the Fréchet distance gets its bias. So leave them out:
#
# $$\mathrm{KID} = \frac{1}{n(n-1)}\sum_{i\ne j} k(x_i, x_j) + \frac{1}{m(m-1)}\sum_{i\ne j} k(y_i, y_j) - \frac{2}{nm}\sum_{i,j} k(x_i, y_j). \tag{5.6}$$
#
# Each sum has the right mean at every $n$ and $m$: KID has no bias (Binkowski et al. 2018).

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.3 `kid`** (code, medium, 15 minutes). Write (5.6). `two_sets` has made float64 of both sets; `polynomial_kernel(x, y)` gives all pairs as a matrix. Return a float.

# %% minidiff={"exercise": "ch05.kid", "points": 4} tags=["exercise"]
from minidiff.evaluation.metrics import polynomial_kernel, two_sets


def kid(features_1, features_2):
    """(N, D), (M, D) -> a float (eq. 5.6)."""
    x, y = two_sets(features_1, features_2)
    # BEGIN SOLUTION
    n, m = len(x), len(y)
    k_xx, k_yy = polynomial_kernel(x, x), polynomial_kernel(y, y)
    within = ((k_xx.sum() - k_xx.trace()) / (n * (n - 1))
              + (k_yy.sum() - k_yy.trace()) / (m * (m - 1)))
    return float(within - 2 * polynomial_kernel(x, y).mean())
    # END SOLUTION

# %% tags=["check"]
kid = answer("ch05.kid", kid)

# %% [markdown]
# Real strokes against other real strokes, in many small parts. The Fréchet distance is huge; and KID?

# %%
from minidiff.evaluation.frechet import frechet

for n in (20, 100):
    parts = f_test[:4000].split(n)
    pairs = list(zip(parts[::2], parts[1::2]))[:20]
    values = torch.tensor([kid(x, y) for x, y in pairs])
    error = values.std() / len(values) ** 0.5
    far = sum(frechet(x, y) for x, y in pairs) / len(pairs)
    print(f"N = {n:3d}   Fréchet {far:4.0f}   KID within 3 standard errors "
          f"of 0: {bool(values.mean().abs() < 3 * error)}")

# %% [markdown]
# No bias: twenty pictures are enough, if you have many times twenty. (One value alone is noisy, and may be negative.) And the impostor in the judge's own space?

# %%
real = f_test[5000:]
print(f"features of nothing {kid(twin, real):4.0f}")
print(f"real strokes        {kid(f_test[:1000], real):4.0f}")

# %% [markdown]
# Caught, by the third moments. (KID has the unit of the features to the sixth power; its size says nothing without something beside it.)

# %% [markdown]
# ## Two ways to be bad
#
# A single number mixes two illnesses. A model may draw what is no digit; or it may draw perfect sevens and nothing else. **Which one would you rather have,** for a book of patterns? For a handwriting test?
#
# To tell them apart one asks two questions. Does a drawn picture lie where real ones lie? And does a real picture lie where drawn ones lie? Only, what is "where"? A set of points has no inside.

# %% [markdown]
# Give it one: around each point $x_i$ of a set, a ball that reaches to its $k$-th nearest neighbour in the set, of radius $r_k(x_i)$. Dense places get small balls, sparse ones large balls. Kynkäänniemi et al. (2019) call the union of the balls the manifold of the set, and
#
# $$\mathrm{precision} = \frac1M\sum_{j}\mathbb 1\big[\exists i: |y_j - x_i| \le r_k(x_i)\big], \qquad \mathrm{recall} = \frac1N\sum_{i}\mathbb 1\big[\exists j: |x_i - y_j| \le r_k(y_j)\big] \tag{5.7}$$
#
# for real $x_1, \dots, x_N$ and drawn $y_1, \dots, y_M$.

# %% [markdown]
# In the plane one can see it. The real points are two islands; the drawn ones have found the right island, and made up one of their own:

# %%
from minidiff.evaluation.metrics import knn_radii

xy = torch.randn(2, 40, 2, generator=generator)
xy[0, ::2, 0] += 6
xy[1, :, 0] += 6 - 12 * (torch.arange(40) % 4 == 0)
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 2.2))
for ax, points, colour in zip(axes, xy, (DATA, LEARNED)):
    for centre, radius in zip(points, knn_radii(points, 3)):
        ax.add_patch(plt.Circle(centre, radius, color=colour, alpha=0.15))
    ax.plot(*xy[0].T, ".", color=DATA)
    ax.plot(*xy[1].T, ".", color=LEARNED)
    ax.set(aspect="equal", xlabel="$x_1$", xlim=(-10, 11))
axes[0].set(title="False: drawn, and in no grey ball", ylabel="$x_2$")
axes[1].set_title("Missing: real, and in no red ball")
plt.show()

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.4 `precision_recall`** (code, medium, 20 minutes). Write (5.7). `knn_radii(x, k)` gives the radius of every row of `x`, (N,). Watch which radius belongs to which column. Return two floats.

# %% minidiff={"exercise": "ch05.precision_recall", "points": 4} tags=["exercise"]
def precision_recall(real, fake, k=3):
    """(N, D), (M, D) -> precision, recall (eq. 5.7)."""
    real, fake = two_sets(real, fake, least=k + 1)
    # BEGIN SOLUTION
    d = torch.cdist(fake, real)
    precision = (d <= knn_radii(real, k)).any(dim=1).double().mean()
    recall = (d.T <= knn_radii(fake, k)).any(dim=1).double().mean()
    return float(precision), float(recall)
    # END SOLUTION

# %% tags=["check"]
precision_recall = answer("ch05.precision_recall", precision_recall)

# %% [markdown]
# A quarter of the drawn points is nowhere, and one of two real islands is missing:

# %%
precision, recall = precision_recall(*xy)
print(f"precision {precision:.2f}, recall {recall:.2f}")

# %% [markdown]
# **How would you fool it?** One stray real point, far from all others, has a huge ball: everything inside counts as real. Naeem et al. (2020) mend this in two steps: count *how many* balls hold a drawn picture, and let only real balls count, which no model can blow up:
#
# $$\mathrm{density} = \frac{1}{kM}\sum_{i,j}\mathbb 1\big[|y_j - x_i| \le r_k(x_i)\big], \qquad \mathrm{coverage} = \frac1N\sum_i \mathbb 1\big[\exists j: |y_j - x_i| \le r_k(x_i)\big]. \tag{5.8}$$

# %%
from minidiff.evaluation.metrics import density_coverage

stray = torch.cat([xy[0], torch.tensor([[-40.0, 0.0]])])
nowhere = torch.randn(40, 2, generator=generator) - 20
print(f"precision of points from nowhere: "
      f"{precision_recall(stray, nowhere)[0]:.1f}")
print(f"density: {density_coverage(stray, nowhere)[0]:.2f}")

# %% [markdown]
# One real point out of forty-one, and precision calls forty points from nowhere perfect. Density, which is about 1 for a good set, is not impressed.

# %% [markdown]
# ## Nine patients
#
# Who invents a thermometer tries it on people whose fever is known. Here are nine sets of a thousand "drawings". One is healthy; the illness of each other is known, because we made it. **For each, guess which number will notice.**

# %%
import torch.nn.functional as F

x = test[:1000]
some = torch.randperm(10_000, generator=generator)[:1000]
grain = 0.3 * torch.randn(x.shape, generator=generator)
noise = torch.randn(100, 1, 28, 28, generator=generator)
patients = {
    "healthy": x, "copied": train[some], "only 0 to 4":
    test[:5000][labels[:5000] < 5][:1000], "fogged": (x + 0.3).clamp(max=1),
    "grainy": (x + grain).clamp(-1, 1), "blurred": F.avg_pool2d(x, 3, 1, 1),
    "a hundred, ten times": x[:100].repeat(10, 1, 1, 1),
    "a tenth is noise": torch.cat([x[:900], noise.clamp(-1, 1)]),
    "impostor": fake.clamp(-1, 1)}

# %% [markdown]
# Five of each, to know whom we speak of:

# %%
show_rows([p[:5] for p in patients.values()], "Nine sets of drawings",
          list(patients))
plt.show()
print(f"{len(patients)} sets of {len(x):,}")

# %% [markdown]
# `compare` collects the numbers of this chapter that need only features. The real pictures beside which all are held are a thousand of the test set that no patient contains.

# %%
from minidiff.evaluation.metrics import compare

print(f"{'':21s}Fréchet   KID precision recall density coverage")
found = {}
for name, p in patients.items():
    f = judge.features(p)
    c = found[name] = compare(real, f)
    print(f"{name:21s}{frechet(f, f_train):7.0f}{c['kid']:6.0f}"
          f"{c['precision']:10.2f}{c['recall']:7.2f}{c['density']:8.2f}"
          f"{c['coverage']:9.2f}")

# %% [markdown]
# Read it row by row.
#
# - **copied** is as healthy as healthy. None of these numbers can see a copy.
# - **only 0 to 4**: perfect precision, half the recall. This is the case for two numbers instead of one.
# - **a hundred, ten times**: recall 0, because balls around copies have no radius; precision and density notice nothing.
# - **a tenth is noise**: precision loses a tenth, and says it most clearly.
# - **fogged, grainy**: barely visible for the judge; it has learned to overlook them. Your eye has not.
# - **impostor**: bad everywhere, with a non-linear judge.
#
# No column would have done alone, and one illness escapes them all.

# %% [markdown]
# ## Can one learn from it?
#
# Quite another idea: what is a picture of a digit *for*? Let a fresh classifier learn to read from generated digits alone, and examine it on real ones (Ravuri and Vinyals 2019). What is missing in the set, it will not have learned; what is false, it will have learned wrongly. This is the *classification accuracy score*.
#
# It needs labels, and our models give none. So the judge writes them, its own mistakes included: the score of an unconditional model is that of model and judge together.

# %%
from minidiff.recipes.accuracy_score import classification_accuracy_score

exam = test[5000:], labels[5000:]
score = {name: classification_accuracy_score(
    patients[name], judge.labels(patients[name]), *exam, steps=100)
    for name in ("healthy", "only 0 to 4", "blurred")}
print(f"healthy above 0.9: {score['healthy'] > 0.9}")
print(f"only 0 to 4 between 0.4 and 0.6: {0.4 < score['only 0 to 4'] < 0.6}")
print(f"blurred above 0.85: {score['blurred'] > 0.85}")

# %% [markdown]
# Half of the digits, half of the exam. But blurred digits teach reading almost as well as sharp ones: the score cares for what a classifier needs, and nobody needs fine edges to tell a 7 from a 1. It is a number about *use*.

# %% [markdown]
# ## By heart?
#
# One patient is still at large. A model that has stored its training set would get full marks from every number above. **How would you find out?** "Look up the nearest training picture of each sample" is half of an answer: how near is too near? It needs something beside it: how near do pictures come that the model cannot have copied?

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.5 `memorisation_ratio`** (code, medium, 15 minutes). The median distance of the samples to their nearest training picture, over the same median for the test pictures. `nearest(samples, real)` gives `(distance, index)` of the nearest of `real` to each sample. Return a float.

# %% minidiff={"exercise": "ch05.memorisation_ratio", "points": 3} tags=["exercise"]
from minidiff.evaluation.memory import nearest


def memorisation_ratio(samples, train, test):
    """(N, ...), (M, ...), (K, ...) -> a float: 1 new, 0 copied."""
    # BEGIN SOLUTION
    near, far = (nearest(x, train)[0].median() for x in (samples, test))
    return float(near / far)
    # END SOLUTION

# %% tags=["check"]
memorisation_ratio = answer("ch05.memorisation_ratio", memorisation_ratio)

# %% [markdown]
# Let the training set be five thousand strokes, and `unseen` a thousand of the test set. Beside an honest set stand three thieves: one copies as it is, one lays grain over the copies, one moves them by a pixel. **Which of them will be caught?**

# %%
known, unseen = train[:5000], test[4000:5000]
grain = 0.4 * torch.randn(300, 1, 28, 28, generator=generator)
suspects = {"honest": x[:300], "copied": known[:300],
            "copied, grainy": (known[:300] + grain).clamp(-1, 1),
            "copied, moved": known[:300].roll(1, dims=-1)}
for name, s in suspects.items():
    print(f"{name:15s} {memorisation_ratio(s, known, unseen):.2f}")

# %% [markdown]
# Only the fool. A little grain on a copy is as long as the way to a new picture, and a move by one pixel is longer. (784 small differences add up; the eye does not add them.) A number that depends on style can be talked out of its verdict.

# %% [markdown]
# Here is a question to which style gives no answer: **whose** picture is the nearest one? Put $M$ training and $K$ held-out pictures into one box. For a model that learned the law and no single picture, all $M + K$ are alike, so any of them is the nearest with the same probability:
#
# $$P(\text{nearest is a training picture}) = \frac{M}{M+K}, \tag{5.9}$$
#
# whatever the model draws, sharp or blurred, good or bad. More than that means that it has seen them.

# %%
from minidiff.evaluation.memory import nearer_to_train

for name, s in suspects.items():
    share, innocent = nearer_to_train(s, known, unseen)
    print(f"{name:15s} nearer to a training picture {share:.2f}")
print(f"{'innocent':15s} {innocent:29.2f}")

# %% [markdown]
# With 300 samples a share is known to about 0.02. All three thieves are caught, the honest one goes free. What remains open: a model may copy *parts* of pictures, which no distance between whole pictures sees.

# %% [markdown]
# ### Our own weights
#
# Chapter 04's net has seen every training digit several times. Does it know them by heart? `benchmarks/digits.py` drew a thousand digits from it, and `benchmarks/audit.py` looked for their nearest training pictures.

# %%
about = json.loads((CHECKPOINTS / "mnist-ddpm.json").read_text())
memory = audit["memory"]
print(f"each digit was seen {about['images'] / 60_000:.0f} times")
print(f"ratio {memory['ratio']:.2f}")
for name, share, expected in (
        ("drawn", "share nearer to train", "share of innocent samples"),
        ("test ", "test pictures nearer to train",
         "share of innocent test pictures")):
    print(f"{name} digits nearer to train {memory[share]:.3f}, "
          f"(5.9) {memory[expected]:.3f}")
print(f"the nearest: {memory['nearest'][0]['distance']:.1f} away, "
      f"of test digits {memory['nearest test picture']:.1f}")

# %% [markdown]
# As a picture, the whole distribution of distances:

# %%
from minidiff.plotting import FIXED

edges = torch.tensor(memory["edges"])
for name, colour in (("test", FIXED), ("samples", LEARNED)):
    plt.stairs(memory[name], edges, color=colour, linewidth=2,
               label={"test": "test digits", "samples": "drawn"}[name])
plt.title("Drawn digits keep their distance, as test digits do")
plt.xlabel("distance to the nearest training digit")
plt.ylabel("pictures of 1,000")
plt.legend()
plt.show()

# %% [markdown]
# The two heaps lie on each other (the small one on the left is the ones, which are all alike), and the ratio says that drawn digits keep as far from the training set as unseen ones do. The share of drawn digits is 0.011 above (5.9), and with a thousand samples a standard error is 0.011 as well. No sign of copying.
#
# But look at the control. A thousand *test* digits, held against the training set and the other test digits, are far too seldom nearest to a training digit. Nobody cheated: the people who wrote the test set are others, and a digit's nearest relative is often by the same hand. So (5.9) needs what it says it needs, draws from one law; for MNIST's two sets that holds only roughly, and a model that has learned the training writers well must come out a little above. Less than a few hundredths are no evidence here.

# %% [markdown]
# And here are the ten that lie nearest to a training picture:

# %%
digits = np.load(lzma.open(records / "digits.npy.xz"))
digits = torch.from_numpy(digits).float()[:, None] / 127.5 - 1
suspicious = [row["sample"] for row in memory["nearest"]]
show_strip(digits[suspicious], "The ten that are nearest to a training digit",
           [f"{row['distance']:.1f}" for row in memory["nearest"]])
plt.show()

# %% [markdown]
# All ten are ones. Of course: a one is a stroke with an angle, and with thousands of them in the training set there is one near any. "The nearest pictures look alike" proves nothing as long as nobody shows the nearest pictures of the test set.

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.6** (experiment, medium, 20 minutes; needs MNIST). Put the ten pictures above beside their training pictures: `load("mnist", "train")[0]`, at the indices `row["train"]`. Would you call one of them a copy? Then take ten *test* digits that lie nearest to a training digit (`nearest`), and look at those. Who is nearer?

# %% [markdown] tags=["manual"] minidiff={"exercise": "ch05.experiment_1", "points": 2}
# No copy: the pairs agree in slant and length, and differ in thickness, edges and ends, as two ones by two people do. The ten test digits are ones as well, and they lie *nearer* to their training digits (2.3 to 2.5) than the drawn ones do (2.6 to 3.1), although nobody could have copied them. Near pictures exist wherever pictures are simple.

# %% [markdown]
# ## VAE, GAN and diffusion at equal compute
#
# Back to the three rows of the beginning. Before diffusion there were two ways to draw from a short random code $z$. We know all that it takes to understand both.
#
# **The variational autoencoder** (Kingma and Welling 2014) is chapter 02 with a single step: an encoder $q(z \mid x)$ in place of the fixed noising, a learned decoder, and the same bound. If the decoder's pixels are normal with one variance, and this takes its best value, the mean squared error, the bound is, with $d$ pixels,
#
# $$-\log p(x) \le \frac d2\log(2\pi e\,\mathrm{mse}) + \mathrm{KL}\big(q(z \mid x)\,\|\,\mathcal N(0, I)\big). \tag{5.10}$$

# %%
from minidiff.recipes.baselines import vae_loss
show(vae_loss)

# %% [markdown]
# (With the best variance there is no weight between the two terms to choose by hand, and none to get wrong: Rybkin et al. 2021.)
#
# **The adversarial network** (Goodfellow et al. 2014) has no bound at all. A critic learns to tell real from drawn; the generator learns to be called real. What does the best critic say? Point by point, with densities $p$ of real and $q$ of drawn pictures, it minimises $p\log(1 + e^{-l}) + q\log(1 + e^{l})$ over its logit $l$. Set the derivative to 0, $q\,e^{l} = p$:
#
# $$l^*(x) = \log\frac{p(x)}{q(x)}. \tag{5.11}$$

# %% [markdown]
# The generator walks uphill on this log ratio. Where $q = p$ the critic says 0 to everything, and its loss is $2\log 2$. But note what its loss is *not*: a measure of quality. It tells how the two are matched.
#
# Our GAN moves both nets in one step, with a penalty on the critic's slope that keeps them from circling each other:

# %%
from minidiff.recipes.baselines import gan_loss
show(gan_loss)

# %% [markdown]
# **Diffusion** is chapter 04's loss, with $v$ as target on the cosine path, which learns faster when there is little time (chapter 06 asks why). All pictures are 14 x 14, so that a minute is enough for something.
#
# A VAE is so small that we can train one here:

# %%
from minidiff.recipes.baselines import build, draw, enlarged, small
from minidiff.training.fit import fit

run = build("vae", small(train))
vae = fit(run.net, run.loss_fn, run.batch_at, steps=300, **run.fit).ema
show_rows([small(test[:10]), draw("vae", vae, 10)],
          "A VAE after 300 steps: digits, out of focus", ["real", "VAE"])
plt.show()
near = judge.against(enlarged(small(train)))
d = near.distance(enlarged(draw("vae", vae, 1000)))
print(f"nearer than the impostor in the table: {bool(d < 400)}")

# %% [markdown]
# Now the real comparison: MNIST, each kind with the same number of CPU seconds on one thread, five seeds. `benchmarks/baselines.py` trained them, enlarged their pictures for the judge (the real ones too), and measured a thousand of each.

# %%
runs = bench["runs"]
print(f"{'':10s}weights   images   distances of five seeds")
for kind, rows in runs.items():
    far = sorted(row["distance"] for row in rows)
    print(f"{kind:10s}{bench['weights'][kind]:7,d}"
          f"{rows[0]['images']:9,d}   "
          + "  ".join(f"{d:4.0f}" for d in far))
print(f"real: {bench['real']['distance']:.0f}, "
      f"impostor: {bench['impostor']['distance']:.0f}")

# %%
for at, (kind, rows) in enumerate(runs.items()):
    far = [row["distance"] for row in rows]
    plt.plot([at] * len(far), far, "o", color=LEARNED, alpha=0.6)
for name, style in (("real", "-"), ("impostor", ":")):
    plt.axhline(bench[name]["distance"], color=FIXED, linestyle=style)
    plt.text(2.4, bench[name]["distance"] * 1.05, name, color=FIXED,
             ha="right")
plt.yscale("log")
plt.xticks(range(3), list(runs))
plt.title("After forty seconds the GAN is nearest, with every seed")
plt.xlabel("kind of model, one point a seed")
plt.ylabel("Fréchet distance (log scale)")
plt.show()

# %% [markdown]
# This is a course on diffusion, and diffusion did not win. After forty seconds the GAN is nearest, with every seed; the other two are about equally far, and their seeds overlap. Look at the column of pictures before you conclude anything: in the same time the U-Net saw twenty times fewer than the others, because each step through it costs that much more. It is also the only one that needs twenty evaluations to draw.
#
# "Equal compute" is a sentence about *one* amount of compute. Chapter 04's net, of the same family, came to within a few units of real digits after forty minutes, on pictures of four times the size; nothing says that the GAN would have. What forty seconds show is forty seconds.

# %%
names = ("precision", "recall", "density", "coverage", "accuracy score",
         "memorisation ratio")
print(f"{'mean of 5':20s}" + "".join(f"{kind:>10s}" for kind in runs)
      + f"{'real':>8s}")
for name in names:
    means = [sum(row[name] for row in rows) / len(rows)
             for rows in runs.values()]
    print(f"{name:20s}" + "".join(f"{m:10.2f}" for m in means)
          + f"{bench['real'][name]:8.2f}")

# %% [markdown]
# Read by column. The GAN has the best precision, density and coverage, and the worst recall: its digits are sharp, and there are fewer ways of writing among them. For the exam of the reader that is the worse choice, and its score is the lowest. The VAE is the opposite case, the patient "blurred": it leaves little out, nobody would take its digits for real ones, and a reader learns from them as well as from anybody's. The diffusion model, cut off early, lies between the two in nearly every row.
#
# So which row of the opening picture is the best? For a poster the GAN's, to train a reader the VAE's. (Nobody copies: a ratio above 1 means *farther* from the training set than real digits are.)

# %% [markdown]
# ## What you should see
#
# | result | here | beside it |
# |---|---|---|
# | distance of real strokes, $N = 1000$ | above 0 | its limit, about 0 |
# | distance of real MNIST digits | the record above | does not go to 0: other writers |
# | impostor, linear features | 0.000 | real pictures: more |
# | KID of real against real, $N = 20$ | 0 within its error | Fréchet: hundreds |
# | share of samples nearer to train, our DDPM | the record above | $M/(M + K)$ of (5.9) |

# %% [markdown]
# ## Myth checks
#
# **"Diffusion models are hard to train, but more stable than GANs."** *Partly.* Stable how? Ask for the spread over seeds, and whether the loss tells what you want to know.

# %%
for kind, rows in runs.items():
    far = [row["distance"] for row in rows]
    failed = sum(d > bench["impostor"]["distance"] for d in far)
    missing = sum(row["rarest digit"] < 0.01 for row in rows)
    print(f"{kind:10s} worst over best {max(far) / min(far):.2f}   worse "
          f"than the impostor {failed}   a digit nearly missing {missing}")

# %% [markdown]
# And does the loss know which run is the better one? From chapter 04's three lengths of training, and from the five seeds of the GAN:

# %%
ddpm = json.loads((records / "ddpm.json").read_text())
for run in ddpm["runs"]:
    score = run["metrics"]
    print(f"DDPM, loss {score['eps_mse_test']:.4f}   "
          f"distance {score['frechet'][0]['distance']:6.1f}")
for row in runs["gan"]:
    print(f"GAN,  loss {row['loss']:.3f}    distance {row['distance']:6.1f}")

# %% [markdown]
# Stable, in the sense of seeds: no run failed, none lost a digit, and the GAN's seeds are not farther apart than the others'. A penalty on the critic's slope and small pictures are enough for that here; the famous collapses need more. The other half of the claim holds: a DDPM's loss falls as its distance falls, so you can watch it learn. The GAN's five losses are one number to two digits, whatever the distance, and 0.01 between them orders nothing. Who trains a GAN has to draw and measure; who trains a diffusion model may also just look at the loss. (It says when one run has learned more, not which of two seeds is the better one.)

# %% [markdown]
# **"It stands in a table."** *Find the source.* While this course was written its authors met tables that exist in no paper. Two of them need no library to catch. First, an overview that gives the diffusion transformer DiT-XL/2 a cost of 29.1 Gflops. Its blocks cost $12 N d^2 + 2 N^2 d$ multiply-adds for $N$ tokens, plus $6d^2$ for the conditioning, with $d = 1152$, 28 blocks, and a picture of 32 x 32 latents cut into patches of 2 or of 4:

# %%
claimed = 29.1


def gigaflops(patch, d=1152, blocks=28):
    N = (32 // patch) ** 2
    return blocks * (12 * N * d**2 + 2 * N**2 * d + 6 * d**2) / 1e9


for patch in (2, 4):
    print(f"XL/{patch}: {gigaflops(patch):.1f}, claimed {claimed}")

# %% [markdown]
# The paper has 118.64 for XL/2 and 29.05 for XL/4 (Peebles and Xie 2023, table 4): the overview slipped by a row. Second, a report that gives its model of MNIST a likelihood of 19.27 bits per dimension. **Why can that not be?**

# %%
import math

grey_values = 256
print(f"knowing nothing at all: {math.log2(grey_values):.0f} bits a pixel")

# %% [markdown]
# Eight bits store any pixel as it is. A "bound" above what no model at all costs is a bug, whoever prints it. So: find the table in the paper, not its echo; ask what knowing nothing would score; and ask for $N$, the features, the number of draws.

# %% [markdown] tags=["exercise-text"]
# **Exercise 5.7** (on paper, medium, 15 minutes). (a) A model reports a distance of 4.0 at $N = 1000$, another one 3.0 at $N = 10{,}000$, both with $b = 3000$ in (5.3). Which one is the better? (b) Let the pictures be one number, real ones $\mathcal N(0, 1)$, and let a model draw 0 always. What are its Fréchet distance, its precision and its recall for $N, M \to \infty$? (c) Show that (5.9) holds for a model that draws from the training *law*, and say where the proof breaks for one that draws training pictures.

# %% [markdown] tags=["manual"] minidiff={"exercise": "ch05.paper_1", "points": 3}
# (a) Subtract $b/N$: the first has $4.0 - 3.0 = 1.0$, the second $3.0 - 0.3 = 2.7$. The first is the better, although its number is the larger one.
#
# (b) Fréchet: $(0 - 0)^2 + (1 - 0)^2 = 1$. Precision: the balls of the real points cover the neighbourhood of 0, since the density is positive there; so 0 lies in one, and precision is 1. Recall: all drawn points are equal, so their balls have radius 0 and hold no real point: recall is 0. A single "good" picture is perfectly precise.
#
# (c) Sample, training and held-out pictures are $1 + M + K$ independent draws; given the sample, the $M + K$ pictures are independent of it and exchangeable, so each is the nearest with the same probability, and $M$ of them are for training. (Nothing was used of the sample but its independence, so it may come from any law.) A model that draws training pictures makes a sample that depends on one of the $M$: they are no longer exchangeable with the $K$.

# %% [markdown]
# ## Summary
#
# What later chapters use: a distance is quoted with its $N$, beside the floor at the same $N$ (5.3); KID where there are few pictures (5.6); precision and recall where one illness must be told from another, as for guidance in chapter 10 (5.7); the share (5.9) for what a model knows by heart. And before any of them is believed: patients whose illness is known.
#
# All code of this chapter is in `minidiff/evaluation/metrics.py`, `minidiff/evaluation/memory.py` and the recipes. `progress()` shows which exercises you have passed.

# %% [markdown]
# ## References
#
# - Heusel et al. 2017, *GANs trained by a two time-scale update rule* (FID). Dowson and Landau 1982. Chong and Forsyth 2020, *Effectively unbiased FID and Inception Score*: section 4.
# - Binkowski, Sutherland, Arbel, Gretton 2018, *Demystifying MMD GANs*: eq. 4 (KID). Gretton et al. 2012, *A kernel two-sample test*.
# - Kynkäänniemi et al. 2019, *Improved precision and recall*: eqs. 1-3. Naeem et al. 2020, *Reliable fidelity and diversity metrics*: eqs. 3 and 4.
# - Ravuri and Vinyals 2019, *Classification accuracy score*. Meehan, Chaudhuri, Dasgupta 2020, *A non-parametric test to detect data-copying*.
# - Kingma and Welling 2014, *Auto-encoding variational Bayes*: eq. 10. Rybkin et al. 2021, *Simple and effective VAE training*. Goodfellow et al. 2014, *Generative adversarial nets*. Mescheder et al. 2018, *Which training methods for GANs do actually converge?* Peebles and Xie 2023, *Scalable diffusion models with transformers*: table 4.
#
# Before: [04 A DDPM on MNIST](04_ddpm_on_mnist.ipynb). Next: 06, *Schedules, targets, weights*, uses these numbers to find out which choices pay.
