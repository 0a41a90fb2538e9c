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

# %% tags=["setup"]
import torch
import matplotlib.pyplot as plt
from minidiff.exercises.core import answer, check, hint, progress
from minidiff.plotting import show, use_house_style
use_house_style()

# %% [markdown]
# ## 7. A world with a judge
#
# A picture of "a red circle left of a blue square": is it one? For photographs people must look. **Can a rule be the judge?** It can, in a world that is simple enough:

# %%
from minidiff.data.shapes import shapes
from minidiff.plotting import show_strip

scenes = shapes(8, seed=4)

# %% [markdown]
# The eight pictures, and what is said of the first four:

# %%
show_strip(scenes.pictures, "One to three things, and all is known of them")
plt.show()

# %%
print(f"{(scenes.things >= 0).sum()} objects in {len(scenes.captions)} scenes")
for long, short in list(zip(scenes.captions, scenes.short))[:4]:
    print(f"long:  {long}\nshort: {short}")

# %% [markdown]
# Of every scene we know the objects, their masks, and two captions: a long one with sizes and relations, and a short one, in any order. Six pairs of colour and shape are in no training scene, and eighteen of shape, relation and shape. Every *held-out* caption has one of these:

# %%
from minidiff.data.shapes_scene import HELD_OUT

held = shapes(400, seed=1, split="test")
print(*(f"{colour} {shape}" for colour, shape in sorted(HELD_OUT)), sep=", ")
print(f"{held.captions[0]}: {held.novel[0]}")
print(f"{held.captions[1]}: {held.novel[1]}")

# %% [markdown]
# The judge cuts a picture into pieces of one colour, lays every shape at every size over each piece, and compares what it has read with the caption. **How far can a judge be trusted?** Ask it about pictures whose truth is known:

# %%
import json
from minidiff.places import BENCHMARKS, CHECKPOINTS

judged = json.loads((BENCHMARKS / "shapes_judge.json").read_text())
for name, row in judged["read"].items():
    print(f"{name:9s} right {row['whole']:.2%} of {judged['pictures']:,}")

# %% [markdown]
# And about captions that are wrong in one point alone, a colour, a number, a relation:

# %%
wrong = judged["wrong captions refused, clean"]
print(f"wrong captions refused: at least "
      f"{min(row['refused'] for row in wrong.values()):.1%}")

# %% [markdown]
# Published models lack such a judge. (Their scores come from nets that look at pictures, or from people.) Now the student: the U-Net and the text encoder of section 6, trained together. Its text goes word by word into the attention layers; the mean beside the time is left out here. Section 8 says what it did.

# %%
from minidiff.models.text_unet import TextUNet
show(TextUNet.forward)

# %% [markdown]
# What does it learn to say? Chapter 09's straight path, $x_t = (1 - t)\,x_0 + t\,\varepsilon$, and of the targets of chapter 06 the picture itself:
#
# $$L = \mathbb E_{x_0, c, t, \varepsilon}\;\frac{1}{\max(t, 0.2)}\;\big\lVert \hat x_0(x_t, t, c) - x_0 \big\rVert^2. \tag{11.11}$$
#
# Why the weight? The velocity is $(x_t - x_0)/t$, so its plain loss would weigh the error of $x_0$ by $1/t^2$, which puts nearly all of it on pictures with hardly any noise. Chapter 06 has the whole table. But there the picture says everything, and the words nothing new:

# %%
from minidiff.recipes.captions import clear_at_most

t = torch.linspace(0.02, 1, 50, dtype=torch.float64)
plt.semilogy(t, 1 / t**2, label="plain loss of the velocity")
plt.semilogy(t, clear_at_most(0.2, ((1 - t) / t)**2), label="(11.11)")
plt.semilogy(t, torch.ones(50), label="plain loss of the picture")
plt.title("The weight of (11.11) lies between the two plain losses")
plt.xlabel("time $t$")
plt.ylabel("weight on the error of $x_0$")
plt.legend()
plt.show()
print(f"at t = 0.02: {1 / t[0]**2:.0f} against "
      f"{clear_at_most(0.2, ((1 - t[0]) / t[0])**2):.0f}")

# %% [markdown]
# A weight is one half of what an error counts; how often its time is drawn is the other half. The recipe draws the *logit* of $t$ from a bell (logit-normal; Esser et al. 2024, eq. 19):

# %%
from minidiff.process.weighted_loss import logit_normal_times
from minidiff.recipes.recipe import build, find

bell = find("shapes-text").config["times"]
drawn_times = logit_normal_times(
    10_000, torch.Generator().manual_seed(0), *bell)
for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1)):
    share = ((drawn_times > low) & (drawn_times <= high)).double().mean()
    print(f"t in {low}..{high}: {share:.2f} of the times, uniform "
          f"{high - low:.1f}")

# %% [markdown]
# One caption in ten is replaced by the empty one, as labels were in chapter 10: that buys guidance. A short stretch of training, to see it start:

# %%
from minidiff.training.fit import fit

run = build(find("shapes-text"), scenes=400)
fitted = fit(run.net, run.loss_fn, run.batch_at, steps=24,
             **run.fit | {"warmup": 4})

# %% [markdown]
# Did it learn anything in so few batches?

# %%
losses = torch.tensor(fitted.losses)
print(f"{sum(p.numel() for p in run.net.parameters()) / 1e6:.1f} M weights")
print(f"below half of the first batches: "
      f"{bool(losses[-4:].mean() < 0.5 * losses[:4].mean())}")

# %% [markdown]
# A white page is learned in seconds. All the rest takes longer; these weights come with the course, and with a record of how they were made:

# %%
from minidiff.recipes.recipe import load, sample

record = json.loads((CHECKPOINTS / "shapes-text.json").read_text())
curve = record["loss_curve"]
recipe, net = load(CHECKPOINTS / "shapes-text.safetensors")
print(f"{record['images'] / 1000:.0f} thousand pictures in "
      f"{record['seconds'] / 60:.0f} minutes, {record['hardware']}")

# %%
pictures = torch.linspace(0, record["images"] / 1000, len(curve))
plt.semilogy(pictures, curve)
plt.title("The loss hardly falls while the drawing is learned")
plt.xlabel("thousand pictures seen")
plt.ylabel("loss (11.11)")
plt.show()
quarter = curve[len(curve) // 4]
print(f"loss at a quarter of the run {quarter:.3f}, at its end "
      f"{curve[-1]:.3f}")

# %% [markdown]
# Now ask for what no training scene shows. **Guess** how many of the eight will be obeyed, objects, colours, sizes and relations:

# %%
from functools import partial
from minidiff.evaluation.shapes_judge import judge, rates
from minidiff.process.guidance import cfg

how = recipe.draw(recipe.config)


# %% [markdown]
# One picture for each caption, guided as in chapter 10:

# %%
def draw_scenes(captions, w=3.0, seed=0):
    """Pictures of captions by the committed net, guided."""
    return sample(recipe, net, len(captions), seed=seed,
                  caption=list(captions),
                  wrap=partial(cfg, w=w, null=how.null))


# %%
asked = held.captions[:24]
drawn = draw_scenes(asked)
verdicts = judge(drawn, list(asked))

# %% [markdown]
# The first eight, and the verdicts on them:

# %%
show_strip(drawn[:8], "Held-out captions: what the judge says",
           ["obeyed" if v.whole else "not" for v in verdicts[:8]])
plt.show()
for caption, verdict in list(zip(asked, verdicts))[:8]:
    print("obeyed:" if verdict.whole else "not:   ", caption)

# %% [markdown]
# ## 8. Does it obey?
#
# A verdict has parts. An object that is missing or too many spoils them all, so count first: of scenes with one, two and three objects,

# %%
def obeyed_by_count(verdicts, descriptions):
    """Lines of a table: the rates by the number of objects."""
    count = [sum(thing.count for thing in d.things) for d in descriptions]
    for n in (1, 2, 3):
        some = [v for v, k in zip(verdicts, count) if k == n]
        found = rates(some)
        print(f"{n} objects ({len(some):2d} scenes): " + ", ".join(
            f"{name} {rate:.2f}" for name, rate in found.items()))


obeyed_by_count(verdicts, held.descriptions)

# %% [markdown]
# Every object more makes it harder. Are all the parts learned at the same time? The record of the run has 200 scenes of each kind at several points:

# %%
measured = json.loads((BENCHMARKS / "text.json").read_text())
growth = {split: [row for row in measured["growth"] if row["split"] == split]
          for split in ("train", "test")}
last = {split: rows[-1] for split, rows in growth.items()}

# %% [markdown]
# The last of them, first:

# %%
for split, row in last.items():
    print(f"{split:5s}", ", ".join(f"{name} {row[name]:.2f}" for name in (
        "objects", "colours", "sizes", "relations", "whole")),
        f"({row['n']} scenes)")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, (split, rows) in zip(axes, growth.items()):
    seen = [row["images"] / 1000 for row in rows]
    for name in ("objects", "colours", "sizes", "relations", "whole"):
        ax.plot(seen, [row[name] for row in rows], "o-", ms=3, label=name)
    ax.set(title=f"{split}: the whole comes after its parts",
           xlabel="thousand pictures seen", ylim=(0, 1))
axes[0].set_ylabel("share of the scenes")
axes[1].legend()
plt.show()
print(f"standard error of a share near one half: "
      f"{(0.25 / last['test']['n'])**0.5:.3f}")

# %% [markdown]
# **Is the whole just its parts together?** It is common to hold "all right" against the product of the single rates. But a verdict's parts share a cause: with the number of objects wrong, each part fails. Let $P(n)$ be the chance of the right number, and let the parts err independently once it is right. Then
#
# $$P(\text{all}) = P(n)\prod_k P(a_k \mid n), \qquad \prod_k P(a_k) = P(n)^{K}\,\prod_k P(a_k\mid n) \tag{11.12}$$
#
# for $K$ parts. The plain product counts a lost object $K$ times.

# %% [markdown]
# So more than the product proves nothing about composing. The fair comparison is within the pictures that have the right number of objects:

# %%
from minidiff.evaluation.shapes_read import read

wanted = [sum(thing.count for thing in d.things) for d in held.descriptions]
counted = [v for v, seen, n in zip(verdicts, read(drawn), wanted)
           if len(seen.objects) == n]
within = rates(counted)
plain, fair = 1.0, 1.0
for part in ("objects", "colours", "sizes", "relations"):
    plain, fair = plain * rates(verdicts)[part], fair * within[part]
print(f"all right: {rates(verdicts)['whole']:.2f}; plain product "
      f"{plain:.2f}; (11.12) {len(counted) / len(verdicts) * fair:.2f}")

# %% [markdown]
# And even (11.12) asks for too little: an easy scene is easy in all its parts, as the table by the number of objects shows. Over the run, plain product against the truth:

# %%
for split, rows in growth.items():
    ax = plt.gca()
    ax.plot([row["product"] for row in rows], [row["whole"] for row in rows],
            "o-", label=split)
ax.plot([0, 1], [0, 1], ":", color="black", label="equal")
ax.set(title="All right more often than the plain product says",
       xlabel="product of the four rates", ylabel="wholly obeyed")
ax.legend()
plt.show()
above = [row["whole"] >= row["product"] for rows in growth.values()
         for row in rows]
print(f"above the product in {sum(above)} of {len(above)} measurements")

# %% [markdown]
# (Okawa et al. 2023 plot the same against training for shapes, colours and sizes of one object, where no count is shared. There the whole goes with the product of its parts, so it comes late and looks sudden.)
#
# ### Whose colour is red?
#
# **What does a net know that draws a red square and a blue circle when it should be the other way round?** All the words, but not whose they are: it lacks *binding*. Take a scene of two things, and tell the net a caption in which two words are exchanged:

# %%
from minidiff.data.shapes_words import say
from minidiff.evaluation.binding import (can_swap, errors_by_time, swapped,
                                         two_ways_in, word_places)

pairs = [i for i, d in enumerate(held.descriptions) if can_swap(d)][:40]
things = [held.descriptions[i] for i in pairs]

# %% [markdown]
# One of them, right and with two words exchanged:

# %%
print("right:  ", say(things[0]))
print("colours:", say(swapped(things[0], "colours")))
print("shapes: ", say(swapped(things[0], "shapes")))

# %% [markdown]
# By how much does its error grow? For a *perfect* denoiser there is an exact answer. Its guess $D(x_t, c)$ is the mean picture given all it has seen, so its error is at right angles to whatever else could be said from the same, and Pythagoras gives
#
# $$\mathbb E\,\lVert D(x_t, c') - x_0\rVert^2 - \mathbb E\,\lVert D(x_t, c) - x_0\rVert^2 = \mathbb E\,\lVert D(x_t, c') - D(x_t, c)\rVert^2. \tag{11.13}$$
#
# What grows is what the words change. Words that change nothing are not read.

# %% [markdown] tags=["exercise-text"]
# **Exercise 11.8** (on paper, medium, 20 minutes). (a) Prove (11.13), for $c'$ that is any function of $c$. (b) A net's errors are equal for $c$ and $c'$, but its answers differ. Can it be a perfect denoiser? (c) And what if the errors *are* equal, and so are the answers: what are the two things that could be the reason?

# %% [markdown] minidiff={"exercise": "ch11.paper_2", "points": 3} nbgrader={"grade": true, "grade_id": "ch11-paper_2", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# (a) Write $x_0 - D(x_t, c') = (x_0 - D(x_t, c)) + (D(x_t, c) - D(x_t, c'))$. The second bracket is a function of $(x_t, c)$, and given $(x_t, c)$ the first one has mean 0. So the mean of their product is 0, and squares add.
#
# (b) No: by (11.13) the differences of its errors would be the mean square of the differences of its answers, which is above 0.
#
# (c) Either the picture $x_t$ shows already what the words say, as at small $t$: then a perfect denoiser, too, has nothing to read. Or the net cannot read the difference. A probe at large $t$ tells the two apart.

# %% [markdown]
# Our net at one time, with as many scenes as fit here:

# %%
from minidiff.process.flow import flow_path
from minidiff.recipes.captions import tokens_of

said = {"right": [say(d) for d in things],
        "colours swapped": [say(swapped(d, "colours")) for d in things],
        "shapes swapped": [say(swapped(d, "shapes")) for d in things],
        "none": [""] * len(things)}
tokens = {name: tokens_of(recipe.config, some) for name, some in said.items()}
x, path = held.pictures[pairs], flow_path()
errors = errors_by_time(net, x, tokens, [0.7], path,
                        torch.Generator().manual_seed(0))

# %%
right = errors["right"][0]
for name, (error,) in errors.items():
    more = (error - right) / right.mean()
    print(f"{name:16s} {more.mean():+.2f} of the error "
          f"(± {more.std() / len(more)**0.5:.2f})")

# %% [markdown]
# And at all times, from a record. Beside it stands the *first* net that we trained for this chapter, which obeyed hardly any scene of two things. It had both ways in of section 6, the words and their mean:

# %%
binding = json.loads((BENCHMARKS / "binding.json").read_text())
probes = binding["probe"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True)
for ax, name in zip(axes, ("with the mean", "committed")):
    for what, rows in probes[name]["more"].items():
        ax.errorbar(probes[name]["times"], [m for m, _ in rows],
                    [se for _, se in rows], fmt="o-", ms=3, label=what)
    ax.set_yscale("symlog", linthresh=0.03)
    ax.set(title=f"{name}: what other words cost", xlabel="time $t$")
axes[0].set_ylabel("error over the right caption's, $- 1$")
axes[0].legend(fontsize=8)
plt.show()

# %%
for name, probe in probes.items():
    at = probe["times"].index(0.7)
    print(f"{name}, t = 0.7, {probe['n']} scenes: " + ", ".join(
        f"{what} {rows[at][0]:+.2f}"
        for what, rows in probe["more"].items()))

# %% [markdown]
# To the first net, another scene's caption costs much, and swapped words nearly nothing. It reads *which* words there are, and hardly whose they are. **Where did it get lost:** in the text encoder, or on the way into the picture? Ask the encoder. Its vector of the noun "circle": does a linear map find in it which colour the circle has?

# %%
from minidiff.data.shapes_words import COLOURS

more = shapes(1500, seed=11)
numbers = tokens_of(recipe.config, more.captions)
with torch.no_grad():
    table = {"after the encoder": net.encoder(numbers, numbers != 0),
             "the word alone": net.encoder.token(numbers)}
nouns = [(i, word_places(more.captions[i])["shape"][k],
          COLOURS.index(thing.colour))
         for i, d in enumerate(more.descriptions) if len(d.things) > 1
         for k, thing in enumerate(d.things)]

# %%
import torch.nn.functional as F

row, place, colour = torch.tensor(nouns).T
half = len(nouns) // 2
wanted = F.one_hot(colour, len(COLOURS)).float()
for name, vectors in table.items():
    found = F.pad(vectors[row, place], (0, 1), value=1)
    A = found[:half]
    W = torch.linalg.solve(A.T @ A + 0.001 * torch.eye(A.shape[1]),
                           A.T @ wanted[:half])
    hit = (found[half:] @ W).argmax(dim=1) == colour[half:]
    print(f"{name}: the noun knows its colour in {hit.double().mean():.2f}")
print(f"chance: {1 / len(COLOURS):.2f}")

# %% [markdown]
# The encoder can do it. (The word alone is a little above chance, since some pairs are held out.) So look at the way in. Of the first net's two, give one *another scene's* caption and leave the other one right. How much does its error grow, by time?

# %%
ways = probes["with the mean"]["ways"]
for name, rows in ways.items():
    print(f"{name:17s}", "  ".join(f"{t}: {m:+.2f}" for t, (m, _) in zip(
        probes["with the mean"]["times"], rows)))

# %% [markdown]
# The mean did the work; the words might as well have been others. The mean is a *short cut*: one vector that says "red, blue, circle, square" lowers the loss from the first minute on, and leaves little to win for layers that first have to find out where to look. So the recipe took it away: what a place wants to know it must ask the words. Equal nets with and without it stand in the next table.

# %% [markdown]
# ### Short captions against long ones
#
# Betker et al. (2023, DALL-E 3) put it down to the captions: who learns from "a photo of two birds" learns no relations. **Test it:** equal small nets, equal scenes of two things, equally many pictures. One is told short captions, one long ones, one both in turn; one hears long ones as a bag of words, without positions and attention, and one has the mean beside the words.

# %%
arms = binding["captions"]
for row in arms:
    long, short = (row[f"asked in {kind}"] for kind in ("long", "short"))
    print(f"told {row['told']:21s} asked in long: both colours "
          f"{long['both colours']:.2f}, as said {long['as said']:.2f}")
print(f"chance: {binding['chance as said']}; {row['n']} scenes; "
      f"{row['images']:,} pictures each")

# %%
lay = [row["asked in long"]["as said"] for row in arms]
fig, ax = plt.subplots(figsize=(6, 2.6))
ax.barh([row["told"] for row in arms], lay, color="#D55E00")
ax.axvline(binding["chance as said"], color="black", ls=":", label="chance")
ax.set(title="A relation is learned from captions that say it, in order",
       xlabel="share that lies as the long caption says", xlim=(0, 1))
ax.legend()
plt.show()
print("long above short:", lay[2] > lay[0], "- above the bag:",
      lay[2] > lay[3], "- above the one with a mean:", lay[2] > lay[4])

# %% [markdown]
# (Such small nets draw blots, so the measure needs no outline: both colours are there, and the centre of one lies left of, or above, that of the other.) What no caption says, no net learns; and what a bag cannot hear, it cannot obey.

# %% [markdown]
# ## 9. Where does a word look?
#
# A cross-attention layer has a map for every word: how much each place takes from it, the `maps` of section 6. **Does "circle" look at the circle?** Here the masks are known, so this can be a number and need not be a picture that was chosen.

# %% [markdown] tags=["exercise-text"]
# **Exercise 11.9 `map_iou`** (code, medium, 20 minutes). Enlarge each map to the size of its mask (bilinear). Take of it as many pixels as the object has, those of the largest values, and all that equal the least of these: a set $T$. With $M$, the object's pixels, return $|T\cap M| \,/\, |T\cup M|$.

# %% minidiff={"exercise": "ch11.map_iou", "points": 3} nbgrader={"grade": false, "grade_id": "ch11-map_iou", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
def map_iou(maps, masks):
    """Intersection over union of objects and maps: (N,).

    maps: (N, h, w);  masks: (N, H, W) bool, with a pixel each
    """
    if not masks.flatten(1).any(dim=1).all():
        raise ValueError("each mask must have a pixel: what is not "
                         "seen has no place")
    # BEGIN SOLUTION
    large = F.interpolate(maps[:, None], masks.shape[1:],
                          mode="bilinear").flatten(1)
    masks = masks.flatten(1)
    ranked = large.sort(dim=1, descending=True).values
    least = ranked.gather(1, masks.sum(dim=1, keepdim=True) - 1)
    chosen = large >= least
    return (chosen & masks).sum(dim=1) / (chosen | masks).sum(dim=1)
    # END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "ch11-map_iou-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["check"]
map_iou = answer("ch11.map_iou", map_iou)

# %% [markdown]
# No threshold is chosen, so none can flatter. What does a map get that knows nothing? Let the object have the share $f$ of the pixels, and so the map's choice. By chance the two share $f$ of $f$, so
#
# $$\mathrm{IoU} = \frac{|T\cap M|}{2\,|M| - |T\cap M|}, \qquad \text{by chance about } \frac{f^2}{2f - f^2} = \frac{f}{2 - f}. \tag{11.14}$$

# %%
noise = torch.rand(400, 32, 32, generator=torch.Generator().manual_seed(0))
masks = torch.zeros(400, 32, 32, dtype=torch.bool)
masks[:, 4:12, 4:16] = True
f = masks[0].double().mean()
print(f"maps of noise: {map_iou(noise, masks).mean():.3f}, "
      f"(11.14): {f / (2 - f):.3f}")

# %% [markdown]
# But a map may find objects without knowing which: any thing that is not white. So the second null model is the *other* object's mask. One scene, a little noise, the last layer:

# %%
from minidiff.models.cross_attention import attention_maps

one, when = pairs[0], torch.tensor(0.5)
x_t = path.mix(held.pictures[one:one + 1],
               torch.randn(1, 3, 32, 32,
                           generator=torch.Generator().manual_seed(2)),
               when[None].double())
with torch.no_grad(), attention_maps(net) as found:
    net(x_t, path.net_time(when), tokens=tokens["right"][:1])
last_map = found[-1].mean(dim=1)[0]

# %%
words = ["(start)", *held.captions[one].split(), "(end)"]
fig, axes = plt.subplots(1, len(words) + 1, figsize=(10, 1.5))
axes[0].imshow(held.pictures[one].permute(1, 2, 0) / 2 + 0.5)
for ax, word, place_map in zip(axes[1:], words, last_map.permute(2, 0, 1)):
    ax.imshow(place_map, cmap="Blues", vmin=0, vmax=last_map.max())
    ax.set_title(word, fontsize=7, loc="center")
for ax in axes:
    ax.axis("off")
plt.show()
print(f"the shares of a place add up to {last_map.sum(dim=2).mean():.2f}; "
      f"largest {last_map.max():.2f}")

# %% [markdown]
# One picture proves nothing. The record has the words of all pairs, for every layer, time and head, of both nets. Each layer, averaged over its heads, at $t = 0.5$:

# %%
def map_rows(name, word, head="mean", t=0.5):
    return [row for row in binding["maps"][name] if row["word"] == word
            and row["head"] == head and row["t"] == t]


for name in probes:
    for word in ("shape", "colour"):
        print(f"{name:13s} {word:6s} own/other:", "  ".join(
            f"{row['own']:.2f}/{row['other']:.2f}"
            for row in map_rows(name, word)))
print("places of a layer:", [f"{row['side']}x{row['side']}"
                             for row in map_rows("committed", "shape")])

# %% [markdown]
# And the head of each net that tells the two objects apart most surely, over time:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, name in zip(axes, probes):
    best = max(binding["maps"][name], key=lambda row: (
        row["own"] - row["other"]) / row["standard error"])
    line = [row for row in binding["maps"][name] if all(
        row[k] == best[k] for k in ("word", "layer", "head"))]
    for kind, style in (("own", "o-"), ("other", "o--")):
        ax.plot([row["t"] for row in line], [row[kind] for row in line],
                style, label=f"{kind} object")
    ax.set(title=f"{name}: the {best['word']}, layer {best['layer']}",
           xlabel="time $t$")
    sure = (best["own"] - best["other"]) / best["standard error"]
    print(f"{name}: {best['word']}, own {best['own']:.2f}, other "
          f"{best['other']:.2f} at t = {best['t']}, "
          f"{sure:.0f} standard errors")
axes[0].set_ylabel("mean IoU")
axes[0].legend()
plt.show()

# %% [markdown]
# The *best* of some hundred heads and times always looks good: three standard errors are what chance gives. So read the difference, and by how many errors it is sure. In the first net no word looks anywhere in particular. In the one without a mean the word of a colour looks at *its own* object, as the number of section 8 asked: there swapped colours cost something. How far its nouns have come, the rows say; hold them against what swapped shapes cost.
#
# Nobody told the net what a map should show. It follows from the loss, once there is no way round. (Hertz et al. 2022, *Prompt-to-prompt*, edit pictures through such maps.)

# %% [markdown]
# ## 10. Guidance by a text
#
# In chapter 10 a weight $w$ pushed a digit away from all the others. **What will it push here?** The net has one answer with the caption and one with the empty one; the same three captions, from the same noises:

# %%
from minidiff.plotting import show_rows

prompts = ["a large blue circle", "two small red hearts",
           "a large green square left of a small purple star"]
strips = {w: draw_scenes(prompts * 2, w, seed=5) for w in (0, 1, 3, 8)}

# %%
show_rows(list(strips.values()), "Guidance makes up the mind of the net",
          [f"w = {w}" for w in strips])
plt.show()
for w, some in strips.items():
    found = judge(some, prompts * 2)
    print(f"w = {w}: {sum(v.whole for v in found)} of {len(found)} obeyed, "
          f"white: {(some > 0.9).all(dim=1).double().mean():.2f}")

# %% [markdown]
# Six pictures show what it does, not how well. The record has 200 scenes of each kind:

# %%
guided = [row for row in measured["guidance"] if row["evaluations"] == 19]
for split in ("train", "test"):
    rows = [row for row in guided if row["split"] == split]
    plt.plot([row["guidance"] for row in rows],
             [row["whole"] for row in rows], "o-", label=split)
plt.title("How much is good depends on the net, and can be measured")
plt.xlabel("weight $w$")
plt.ylabel("wholly obeyed")
plt.legend()
plt.show()
best = max((row for row in guided if row["split"] == "test"),
           key=lambda row: row["whole"])
print(f"best of these on held-out captions: w = {best['guidance']:g}, "
      f"{best['whole']:.2f}; w = 1: " + ", ".join(
          f"{row['whole']:.2f}" for row in guided
          if row["split"] == "test" and row["guidance"] == 1))

# %% [markdown]
# There is an older way. CLIP says how well picture and caption agree, so let it pull, as the classifier did in chapter 10. By (11.7) its scaled cosine is $\log p(c\mid x)$, up to what does not depend on $x$ or what depends on it alone. It has seen clean pictures only, so show it the picture that the denoiser expects:
#
# $$\hat\varepsilon \;\leftarrow\; \hat\varepsilon - \sigma(t)\; s\,\nabla_{x_t}\big[\,e\big(\hat x_0(x_t)\big)\cdot f\,\big]. \tag{11.15}$$
#
# It is diffusion posterior sampling with a strange measuring device, a net that looks for a sentence.

# %%
from minidiff.process.contrastive import caption_log_likelihood
show(caption_log_likelihood)

# %% [markdown]
# GLIDE (Nichol et al. 2022, section 2.4, where CLIP learned noisy pictures) had people compare the two. We have a judge. **Guess** which one it prefers, and which one CLIP does:

# %%
clip = json.loads((BENCHMARKS / "clip.json").read_text())
rows = clip["guidance"]
for name, row in rows.items():
    if isinstance(row, dict):
        print(f"{name:24s} objects {row['objects']:.2f}, colours "
              f"{row['colours']:.2f}, wholly {row['whole']:.2f}; "
              f"CLIP's cosine {row['cosine']:.2f}")
print(f"{rows['scenes']} scenes each")

# %% [markdown]
# Who is pulled by CLIP pleases CLIP: the cosine grows. The judge, who was not asked, need not agree. A score that is optimised stops being a score (Goodhart's law), and it is the reason why section 7 built a judge that nobody is trained on.

# %% [markdown]
# ### Words that were never learned
#
# Ask for a pink circle. No caption says "pink", so the word is left out. **What colour will it be?**

# %%
from minidiff.recipes.captions import tokenizer

asks = "a large pink circle"
print("not known:", tokenizer(recipe.config).unknown(asks))

# %% [markdown]
# Eight of them:

# %%
pink = draw_scenes([asks] * 8, seed=2)
show_strip(pink, "A colour that no caption names is drawn by chance")
plt.show()
seen = [thing.colour for one in read(pink) for thing in one.objects]
print(f"{len(set(seen))} colours among {len(seen)} objects")

# %% [markdown]
# It fills the gap from what it knows of circles. A system that stays silent about such a word seems to disobey at random; the course's command `draw` names the words that it leaves out, and known ones that are spelt alike. Section 13 asks for better: words that nobody drew.

# %% [markdown]
# ## 11. Draw what you type
#
# The same net, bigger, on real pictures: the emoji of section 1, in three styles. Two things are new. The *style* is a label beside the time, as digits had one. And the captions are names and *key words*, of which each time only some are told:

# %%
from minidiff.recipes.captions import as_text
from minidiff.recipes.emoji_text import some_words

emoji_run = build(find("emoji-text"))
batch = emoji_run.batch_at(0)
rich = (batch["parts"] > 1).sum(dim=1).argmax()
one = {name: value[rich].expand(6, *value.shape[1:])
       for name, value in batch.items()}
told = some_words(one, torch.Generator().manual_seed(3), emoji_run.config)
print(*as_text(emoji_run.config, told), sep="\n")

# %% [markdown]
# Each row is the same picture. Why drop words? A net that always hears all ten words of a picture need not know which of them matters, and what you type is two words. It is for the same reason that whole captions are dropped: to be asked with less, it must have learned with less. How many key words stay, on average?

# %%
wide = {name: value[rich].expand(4000, *value.shape[1:])
        for name, value in batch.items()}
kept = (some_words(wide, torch.Generator().manual_seed(2),
                   emoji_run.config) > 3).sum(dim=1).double()
parts = batch["parts"][rich]
print(f"words of the name: {(parts == 1).sum()}, of all key words: "
      f"{(parts > 1).sum()}; told on average {kept.mean():.1f}")

# %% [markdown]
# The share of key words that is told is 0 in every other row and uniform in the rest, a quarter on average. Now the weights that come with the course:

# %%
emoji_recipe, emoji_net = load(CHECKPOINTS / "emoji-text.safetensors")
emoji_how = emoji_recipe.draw(emoji_recipe.config)
weights = sum(p.numel() for p in emoji_net.parameters())
print(f"{weights / 1e6:.1f} M weights, {len(emoji_recipe.config['words']):,} "
      f"words, {len(emoji_recipe.config['styles'])} styles")


# %%
def draw_emoji(captions, style, w=3.0, seed=0):
    """Emoji by the committed net, guided."""
    return sample(emoji_recipe, emoji_net, len(captions), seed=seed,
                  caption=list(captions), style=style,
                  wrap=partial(cfg, w=w, null=emoji_how.null))


# %% [markdown]
# The first test is on what exists, but was kept from it: for a (caption, style) of the held-out set the net has seen the caption in *other* styles. Above the truth, below what it draws:

# %%
from minidiff.data.emoji import emoji

truth = emoji("test")
few = truth.take(range(5, 154, 19))
made = draw_emoji(few.captions, list(few.styles))

# %% [markdown]
# Side by side:

# %%
show_rows([few.pictures, made], "Never seen in this style, and drawn",
          ["truth", "drawn"])
plt.show()
print(*(f"{s} {c}" for s, c in zip(few.styles, few.captions)), sep="; ")

# %% [markdown]
# How near is that? Hold each drawn picture against *all* 154 held-out truths, and ask at which place its own one comes, in pixels or by the vectors of tiny CLIP. Chance is place 77:

# %%
for name, row in clip["drawn"].items():
    print(f"{name:28s} own truth first: pixels "
          f"{row['truth by pixels']['first']:.2f}, CLIP "
          f"{row['truth by clip']['first']:.2f}; median place "
          f"{row['truth by clip']['median rank']:g}")
print(f"chance: {1 / row['pictures']:.3f}, {(row['pictures'] + 1) / 2}")

# %% [markdown]
# (The lower rows belong to the next sections.) And now a hundred things that do not exist, ten by ten; each line is a prompt's subject, and the styles take turns:

# %%
sheet = plt.imread(BENCHMARKS / "pictures" / "emoji-text.png")
fig, ax = plt.subplots(figsize=(7, 7))
ax.imshow(sheet)
ax.set_title("A hundred things that do not exist")
ax.axis("off")
plt.show()
print(f"{len(measured['sheet']['prompts'])} prompts, guidance "
      f"{measured['sheet']['guidance']:g}")

# %% [markdown]
# Which line is which? The first two prompts of each, and whether any of the hundred exists:

# %%
lines = [prompt for prompt, _ in measured["sheet"]["prompts"]]
print(*("; ".join(lines[i:i + 2]) for i in range(0, 100, 10)), sep="\n")
exist = set(everything.captions)
print("of these there are as emoji:", [p for p in lines if p in exist])

# %% [markdown]
# **Which of them are drawn well, and why these?** Decide before you count. In how many training pictures does each of some words stand?

# %%
from minidiff.data.tokenizer import split

learned = emoji("train")
said = [set(split(" ".join((caption, *tags))))
        for caption, tags in zip(learned.captions, learned.tags)]
print(", ".join(f"{word} {sum(word in text for text in said)}"
                for word in ("face", "heart", "red", "blue", "purple",
                             "hat", "dog", "pig", "crown", "wings", "apple")))

# %% [markdown]
# Colours and frequent shapes, as faces and hearts, have been practised in hundreds of pictures; wings and pigs in a dozen. Try your own, in a terminal: `python -m minidiff draw "purple heart with a hat" --style noto --out hearts.png`. Or here:

# %%
mine = draw_emoji(["blue apple", "green dog", "red moon with face",
                   "yellow star", "purple cat", "black heart"] * 2,
                  ["noto"] * 6 + ["twemoji"] * 6)
show_rows(list(mine.split(6)), "Type what you like", ["noto", "twemoji"])
plt.show()
print("pictures drawn:", len(mine))

# %% [markdown]
# ## 12. A detour by the picture's vector
#
# DALL-E 2 draws in two steps (Ramesh et al. 2022, *unCLIP*). A *prior* makes a picture's vector $e$ of the caption $c$, and a *decoder* makes a picture of the vector:
#
# $$p(x \mid c) = \int p(x \mid e)\; p(e \mid c)\, de. \tag{11.16}$$
#
# **Why the detour?** CLIP has seen both: the decoder can learn from pictures alone, without any caption.

# %% [markdown]
# And why must the prior be *drawn* from? In CLIP's space pictures and their captions lie close; a map from one to the other would do, one thinks. But a caption fits many pictures. With the law of total variance
#
# $$\mathrm{Var}(x \mid c) = \mathbb E\big[\mathrm{Var}(x\mid e)\mid c\big] + \mathrm{Var}\big(\mathbb E[x\mid e]\mid c\big), \tag{11.17}$$
#
# and a map gives one $e$ for each $c$, so that the second part is lost: all that the vector decides, pose, colour, style, is the same each time.

# %% [markdown]
# It can be worse. Say that a caption's pictures have vectors around two points of the circle. The best map by squared error answers with their *mean*, which is no picture's vector at all:

# %%
dice = torch.Generator().manual_seed(0)
angle = (torch.randint(0, 2, (4000,), generator=dice) * 2 - 1) * 1.05
angle = angle + 0.1 * torch.randn(4000, generator=dice)
circle = torch.stack([angle.cos(), angle.sin()], dim=1)
mean = circle.mean(dim=0)

# %% [markdown]
# How far is that from any picture?

# %%
print(f"length of the mean: {mean.norm():.2f}; nearest vector of a picture: "
      f"{(circle - mean).norm(dim=1).min():.2f} away")

# %% [markdown] tags=["exercise-text"]
# **Exercise 11.10 `prior_loss`** (code, medium, 20 minutes). The prior is a diffusion model of *vectors*: from `batch`, `x` are pictures' vectors and `text` those of their captions, (B, dim) both. Noise `x` on the straight path, ask for `X0`, plain squared error; the net is told `text=...`. Replace some texts by zeros (`dropped(vector, rate, generator)`), at the rate `config["untold"]`, so that it can be guided. `weighted_loss` of chapter 06 does the rest.

# %% minidiff={"exercise": "ch11.prior_loss", "points": 4} nbgrader={"grade": false, "grade_id": "ch11-prior_loss", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["exercise"]
from minidiff.process.targets import X0
from minidiff.process.weighted_loss import weighted_loss
from minidiff.recipes.clip_prior import dropped


def prior_loss(config):
    """The error of x0, the vector of the picture, at uniform times.

    Returns loss(net, batch, generator) -> (scalar, logs)
    """
    def loss(net, batch, generator):
        # BEGIN SOLUTION
        told = partial(net, text=dropped(batch["text"],
                                         config["untold"], generator))
        return weighted_loss(told, batch["x"], flow_path(), X0, generator)
        # END SOLUTION
    return loss


# %% nbgrader={"grade": true, "grade_id": "ch11-prior_loss-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false} tags=["check"]
prior_loss = answer("ch11.prior_loss", prior_loss)

# %% [markdown]
# A small prior learns the circle in seconds:

# %%
from minidiff.models.prior import Prior
from minidiff.process.denoiser import denoiser_of
from minidiff.samplers.flow import heun_flow
from minidiff.samplers.step import final_sample

torch.manual_seed(0)
small = fit(Prior(2, width=64, depth=2), prior_loss({"untold": 0.1}),
            lambda step: {"x": circle[step % 15 * 256:][:256],
                          "text": torch.ones(256, 2)},
            steps=400, lr=3e-3, ema_decay=0.99).ema

# %% [markdown]
# Drawn from it, by Heun's steps from noise:

# %%
ask = partial(denoiser_of(small, path, X0), text=torch.ones(500, 2))
with torch.no_grad():
    ends = final_sample(heun_flow(
        ask, torch.randn(500, 2, generator=dice),
        torch.linspace(1, 0, 16, dtype=torch.float64), path))
plt.plot(*circle[:500].T, ".", ms=3, color="#7F7F7F", label="pictures")
plt.plot(*ends.T, ".", ms=3, color="#D55E00", label="drawn by the prior")
plt.plot(*mean, "x", color="#0072B2", ms=9, label="best map")
plt.axis([-1.3, 1.3, -1.3, 1.3])
plt.gca().set_aspect("equal")
plt.title("A prior draws pictures' vectors, a map their mean")
plt.xlabel("$e_1$")
plt.ylabel("$e_2$")
plt.legend(loc="center left")
plt.show()
near = (torch.cdist(ends, circle).min(dim=1).values < 0.1).double().mean()
print(f"nearer than 0.1 to a picture's vector: more than 0.9 of the draws: "
      f"{bool(near > 0.9)}")

# %% [markdown]
# Now the real one, on tiny CLIP's vectors. **Which answer is nearest to the true picture's vector:** a draw of the prior, the mean of 16 draws, the caption's own vector, or a linear map of it?

# %%
table = clip["prior"]["held out"]
for name, row in table.items():
    if isinstance(row, dict):
        print(f"{name:26s} cosine {row['cosine']:.3f} ± "
              f"{row['standard error']:.3f}, finds its picture "
              f"{row['retrieval@1']:.3f}")

# %% [markdown]
# A linear map beats a draw by far! Is the prior bad? **The first measure asks for a mean.** Let $e, e'$ be two draws of $p(e\mid c)$, unit vectors with mean $m$. Two draws agree in $\mathbb E[e\cdot e'] = |m|^2$, but a draw and the direction of the mean in
#
# $$\mathbb E\Big[e\cdot\frac{m}{|m|}\Big] = |m| \;\ge\; |m|^2. \tag{11.18}$$
#
# A perfect prior's draw is no nearer to the truth than the truth is to another truth. So from the cosine of one draw follows what the mean of many can reach at best:

# %%
one, many = (table[k]["cosine"] for k in ("one sample", "mean of 16 samples"))
print(f"one draw {one:.3f}; its root {one**0.5:.3f}; "
      f"mean of 16 draws {many:.3f}")

# %% [markdown]
# Near, and not quite: 16 are not all, and the prior is not perfect. The other column is no kinder: who asks which of many pictures is meant, asks the question on which the captions' own vectors were trained (11.5), and a draw adds its chance to it. So judge a generative model by draws and by what they are good for, not by the nearest guess. For the whole way, ask the decoder. From the true picture's vector, from the caption's, which it has never been shown, and from the prior's:

# %%
from minidiff.recipes.clip_decoder import unclip
from minidiff.recipes.tiny_clip import embed_captions, embed_pictures

decoder = load(CHECKPOINTS / "clip-decoder.safetensors")
prior = load(CHECKPOINTS / "clip-prior.safetensors")
clip_recipe, clip_net = load(CHECKPOINTS / "tiny-clip.safetensors")
texts = embed_captions(clip_recipe.config, clip_net, [
    f"{s} {c}" for s, c in zip(few.styles, few.captions)])

# %%
from_truth = sample(*decoder, 8, picture=embed_pictures(clip_net,
                                                        few.pictures))
from_text = sample(*decoder, 8, picture=texts)
from_prior = [unclip(prior, decoder, 8, seed=s, text=texts)[0]
              for s in (0, 1)]
show_rows([few.pictures, from_truth, from_text, *from_prior],
          "From a vector back to a picture",
          ["truth", "its vector", "caption's", "prior's", "once more"])
plt.show()
change = (from_prior[0] - from_prior[1]).square().mean().sqrt()
print(f"two draws of the prior differ: {bool(change > 0.05)}")

# %% [markdown]
# Measured on all held-out captions, in the table of section 11: "decoder, ..." The vector of 64 numbers keeps what a picture *is about* and loses where things are; and every error of the prior is drawn with care. That is the price of the detour. Its gain is another one: vectors can be mixed.

# %%
a, b = embed_pictures(clip_net, truth.pictures[[3, 40]])
mix = F.normalize(torch.stack([torch.lerp(a, b, s)
                               for s in torch.linspace(0, 1, 7)]), dim=1)
between = sample(*decoder, 7, picture=mix)

# %% [markdown]
# Seven steps:

# %%
show_strip(between, f"From {truth.captions[3]} to {truth.captions[40]}")
plt.show()
print("cosines with the first:", [f"{c:.2f}" for c in (mix @ a).tolist()])

# %% [markdown]
# ## 13. Which text encoder?
#
# A bag of words, our transformer, the text tower of tiny CLIP, and one that others trained on a billion sentences (MiniLM, Wang et al. 2020, whose published weights `minidiff/models/minilm.py` can load). **What should a good one know?** Say, that "violin" has to do with "trumpet", although they share no letter.

# %% [markdown]
# Take all captions of emoji. For each, find the nearest other caption *that shares no word with it*, and ask whether it is of the same group: faces, animals, food, and five more. First who shares a word with whom:

# %%
from minidiff.data.caption_vectors import caption_vectors
from minidiff.data.tokenizer import batch as token_batch, learn_words

published = caption_vectors()
texts = list(published.captions)
vocabulary = learn_words(texts)
bag = torch.zeros(len(texts), vocabulary.size)
for row, text in zip(bag, texts):
    row[vocabulary.encode(text)] = 1
share_a_word = bag @ bag.T > 0
group = dict(zip(everything.captions, everything.groups))
groups = sorted(set(group.values()))
of = torch.tensor([groups.index(group[text]) for text in texts])


# %%
def knows_groups(vectors):
    """How often the nearest caption without a common word is a relative.

    Where several are equally near, the share of them.
    """
    cosine = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).T
    cosine = cosine.masked_fill(share_a_word, -torch.inf)
    near = (cosine == cosine.amax(dim=1, keepdim=True)).double()
    return ((near * (of[:, None] == of)).sum(1) / near.sum(1)).mean().item()


# %% [markdown]
# Four encoders, each with the captions it can read:

# %%
emoji_tokens = tokens_of(emoji_recipe.config, texts)
with torch.no_grad():
    ours = emoji_net.encoder(emoji_tokens, emoji_tokens != 0).sum(dim=1)
    alone = emoji_net.encoder.token(emoji_tokens)
    alone = (alone * (emoji_tokens > 3)[:, :, None]).sum(dim=1)
found = {"words as they are": knows_groups(bag),
         "the drawing net's words": knows_groups(alone),
         "the drawing net's encoder": knows_groups(ours),
         "tiny CLIP's text tower": knows_groups(embed_captions(
             clip_recipe.config, clip_net, texts)),
         "MiniLM": knows_groups(published.vectors)}
for name, value in found.items():
    print(f"{name:26s} {value:.2f}")
by_chance = (of.bincount() / len(of)).square().sum()
print(f"{'chance':26s} {by_chance:.2f}")

# %% [markdown]
# Without a common word, words as they are find all others equally near: chance. A net that draws has learned meaning, and from pictures alone: nobody told it that a violin is like a trumpet, only what to draw. **Did you expect the next row?** CLIP was trained to tell captions apart, and that is another question than who belongs to whom. MiniLM has never seen a picture, but has read.

# %% [markdown]
# Now words that *no caption and no key word* has, 114 of them, chosen by hand before anything was measured:

# %%
words = clip["words"]
for word, near in list(words["examples"].items())[:6]:
    print(f"{word:12s} -> {', '.join(near)}")
print(f"the right caption first: MiniLM {words['synonyms']['within 1']:.2f}, "
      f"spelling {words['synonyms by spelling, within 1']:.2f}, chance "
      f"{words['chance within 1']:.4f}")

# %% [markdown]
# Our own encoders cannot take part: they drop what they do not know. That is why text-to-image models rent a reader. CLIP's text tower (Stable Diffusion), T5 (Imagen; Saharia et al. 2022, section 4.4, find that a larger text encoder helps more than a larger U-Net), or a language model: frozen, with a drawing net of some layers behind it. A cheap way to use it: draw the *nearest caption*.

# %%
from minidiff.evaluation.retrieval import nearest_captions

unknown = ["canine", "cosmonaut", "aircraft", "arachnid", "brolly"]
where = [list(published.synonyms).index(word) for word in unknown]
instead = [nearest_captions(published.synonym_vectors[i],
                            published.vectors, texts, 1)[0][0]
           for i in where]
helped = draw_emoji(instead, "noto", seed=1)
show_strip(helped, "Words that nobody drew, by way of a reader",
           [f"{word}\n({text})" for word, text in zip(unknown, instead)])
plt.show()
known = tokenizer(emoji_recipe.config)
print("known to the net:", [w for w in unknown if not known.unknown(w)])
print("read rightly:", [w for w, text in zip(unknown, instead)
                        if published.synonyms[w] == text])

# %% [markdown]
# ### Drawn, or copied?
#
# Some thousand pictures are few for millions of weights. **Does the net draw, or does it remember?** Beside each new picture the nearest of training:

# %%
from minidiff.evaluation.memory import nearest

seen = learned
distance, index = nearest(mine[:6], seen.pictures)

# %% [markdown]
# Near enough to be copies?

# %%
show_rows([mine[:6], seen.pictures[index]], "Drawn, and the nearest of "
          "training", ["drawn", "nearest"])
plt.show()
far = nearest(truth.pictures, seen.pictures)[0]
print(f"distances {distance.min():.0f} to {distance.max():.0f}; held-out "
      f"pictures to theirs: median {far.median():.0f}")

# %% [markdown]
# A purple cat has no picture to be copied from. The danger is where there *is* one: draw for *training* captions, and see how often the nearest picture is the very one that belongs to the caption and style. Over the run, with the errors that tell memory from skill:

# %%
copies = json.loads((BENCHMARKS / "copies.json").read_text())
run_rows = [row for row in copies["rows"] if row["images"] != "committed"]
seen_at = [row["images"] / 1000 for row in run_rows]
fig, (left, right_ax) = plt.subplots(1, 2, figsize=(9, 3.2))
for kind, style in (("training", "o-"), ("held out", "o--")):
    left.plot(seen_at, [row["error"][kind]["0.6"] for row in run_rows],
              style, label=kind)
    right_ax.plot(seen_at, [row[kind]["ratio"] for row in run_rows], style,
                  label=f"{kind} captions")
left.set(title="Error at $t = 0.6$", xlabel="thousand pictures seen",
         ylabel="error of $x_0$")
right_ax.set(title="Distance to training, over that of fresh ones",
             xlabel="thousand pictures seen", ylim=(0, None))
left.legend()
right_ax.legend()
plt.show()
end = copies["rows"][-1]
by_heart = end["training"]["nearest is its own"]
print(f"in the end: error {end['error']['training']['0.6']:.3f} and "
      f"{end['error']['held out']['0.6']:.3f}; drawn for training captions: "
      f"nearest is its own picture {by_heart:.2f}")

# %%
for kind in ("training", "held out"):
    row = end[kind]
    print(f"{kind:8s}: ratio {row['ratio']:.2f}, nearest of all "
          f"{row['least distance']:.1f} (of held-out pictures "
          f"{copies['held-out pictures']['least distance']:.1f})")

# %% [markdown]
# Three signs to hold apart. A gap between the two errors says that the net knows its training pictures better than others. A ratio near 1 says that what it draws is as far from training as fresh pictures are. And "its own picture" says that it draws what it was taught for that caption, which is no crime as long as it is not the same to the pixel. A net with more weights, or more hours, would copy: measure that before you publish one.

# %% [markdown]
# ## Myth check
#
# **"GLIDE was the first good text-to-image model with cross-attention."** *False* as it is told. GLIDE concatenates (exercise 11.7): its places attend to places *and* words in one softmax. Cross-attention is how latent diffusion reads (Rombach et al. 2022, in the same days). Count what a place reads in each:

# %%
from minidiff.models.cross_attention import CrossAttention2d, JointAttention2d

features, context = torch.zeros(1, 16, 4, 4), (
    torch.zeros(1, 6, 12), torch.ones(1, 6, dtype=torch.bool))
for layer in (CrossAttention2d(16, 12), JointAttention2d(16, 12)):
    keys = layer.attended(features, context)[1]
    print(f"{type(layer).__name__}: a place reads {keys.shape[2]} keys "
          f"(16 places, 6 words)")

# %% [markdown]
# **"GLIDE is DALL-E 2's predecessor."** *True*: unCLIP's decoder is GLIDE, told a vector more (Ramesh et al. 2022, section 2.1). DALL-E 1 was none: it drew tokens, one after the other.
#
# **"The more guidance, the better it obeys."** Look at the record: is the largest weight the best?

# %%
of_test = {row["guidance"]: row["whole"] for row in guided
           if row["split"] == "test"}
print(", ".join(f"w = {w:g}: {rate:.2f}" for w, rate in of_test.items()))
print("the largest is the best:",
      of_test[max(of_test)] == max(of_test.values()))

# %% [markdown] tags=["exercise-text"]
# **Exercise 11.11** (myth check, medium, 20 minutes). "CLIP guidance and classifier-free guidance are two ways to the same thing." (a) Which gradient does each follow, and under which assumption would they be equal? Use (11.7), (11.15) and chapter 10. (b) Name two reasons why they are not, in practice. (c) Which rows of the table in section 10 speak for your reasons?

# %% [markdown] minidiff={"exercise": "ch11.myth_1", "points": 3} nbgrader={"grade": true, "grade_id": "ch11-myth_1", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# (a) Classifier-free guidance follows $\nabla\log p(c \mid x_t)$, by the difference of two scores. CLIP guidance follows $\nabla_{x_t}\, s\,e(\hat x_0(x_t))\cdot f$. By (11.7) the scaled cosine is $\log p(c \mid x_0)$ up to a term of $x_0$ alone, if CLIP is perfect. They would be equal if that term were constant, and if $\log p(c\mid x_t)$ were $\log p(c \mid \hat x_0)$: if $x_t$ left nothing open.
#
# (b) $\log\mathbb E[p(c\mid x_0)\mid x_t]$ is not $\log p(c\mid\mathbb E[x_0\mid x_t])$. And CLIP is a net that can be pleased: there are directions in which its cosine grows and the picture does not change to the eye (the scratches of chapter 10).
#
# (c) With a large scale CLIP's own cosine is the highest of all rows, and the judge's rates are not.

# %% [markdown] tags=["exercise-text"]
# **Exercise 11.12** (experiment, hard, 40 minutes). How short is the short cut? `python benchmarks/binding.py captions` trains the small nets of section 8. Before you look at its record: what does the arm "long, with a mean" do to the loss, to "both colours", and to "as said", beside the arm "long"? Then train these two with half and with twice the pictures (`--images`; each number of pictures makes rows of its own). Does more training cure it?

# %% [markdown] minidiff={"exercise": "ch11.experiment_1", "points": 3} nbgrader={"grade": true, "grade_id": "ch11-experiment_1", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false} tags=["manual"]
# Read the rows with their errors: a share of 200 scenes is known to about 0.035, so two arms differ when they are 0.1 apart. The mean hands the net the colours early, as a bag does; the order of the words it gets only through what attention in the *encoder* has put into the vectors before they are averaged. Without a mean all must pass the cross-attention layers, which begin as the identity. So compare at equal pictures *and* at more of them: a short cut is recognised by a lead that comes early and does not grow. Whether more training cures it is what your rows say; one run for each arm cannot tell luck from law, so repeat it with another seed before you believe either answer.

# %%
# --- For the closing cells: rows to be merged, as comments --------------------
#
# ## What you should see (rows)
#
# | the judge, on clean pictures and with noise | section 7 | captions wrong in one point: refused |
# | all right, against the product of the parts | above it | (11.12): a lost object counts four times |
# | words swapped, the first net | hardly dearer than the right ones | no caption: dear |
# | the mean of another caption; words of another | dear; cheap | the short cut |
# | short captions, long ones, a bag of words | section 8 | a quarter lies right by chance |
# | maps of noise | $f / (2 - f)$ | (11.14) |
# | CLIP guidance: CLIP's cosine and the judge | not the same order | Goodhart |
# | own held-out truth among 154, in CLIP's vectors | section 11 | place 77.5 by chance |
# | one draw of the prior, mean of 16 | 0.787, 0.860 | root of the first: 0.887, (11.18) |
# | relatives without a common word | words 0.05 | MiniLM 0.55, chance 0.15 |
#
# ## Summary (lines)
#
# - The loss of the picture over the time (11.11). A judge by rule, held-out combinations, and what a product of rates
#   proves (11.12).
# - What words change is what a perfect denoiser loses without them (11.13): so binding is measured. A map against a
#   mask, and its chance (11.14).
# - A text guides by the empty caption (chapter 10), or by CLIP (11.15), who likes it best.
# - unCLIP: prior and decoder (11.16), what a map loses (11.17), and why a draw is no best guess (11.18).
# - A reader that has read more than captions knows words that nobody drew.
#
# ## References (lines)
#
# - Nichol et al. 2022, *GLIDE*: sections 2.3, 2.4. Ramesh et al. 2022, *Hierarchical text-conditional image generation
#   with CLIP latents* (unCLIP): section 2. Saharia et al. 2022, *Imagen*: section 4. Betker et al. 2023, *Improving
#   image generation with better captions* (DALL-E 3).
# - Okawa et al. 2023, *Compositional abilities emerge multiplicatively*. Hertz et al. 2022, *Prompt-to-prompt*.
# - Wang et al. 2020, *MiniLM*. Reimers, Gurevych 2019, *Sentence-BERT*. Jordan et al. 2024, *Muon*.
#
# ## Glossary rows of chapters/README.md (in papers | here | first in | from)
#
# | binding | whose colour is red | 11 | - |
# | shortcut learning | a short cut past the words | 11 | Geirhos et al. 2020 |   (only if the text uses the term)
# | unCLIP | a detour by the picture's vector | 11 | Ramesh et al. 2022 |
# | Goodhart | a score that is optimised | 11 | - |
# | Prompt-to-prompt | editing through maps of words | 11 | Hertz et al. 2022 |
#
# ## Notation rows of chapters/README.md (symbol | code | shape | range | counts from)
#
# | $e$, the vector of a picture; $f$, of a caption | `pictures`, `texts` of `info_nce` | (N, D) | of length 1 | - |
#   (first half has it, if it wrote such a row: the same letters)
