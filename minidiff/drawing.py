"""Drawings of structures in the house style: boxes, arrows between them, and the marks where two ways meet."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minidiff.plotting import FIXED, LEARNED

PLAIN = "#444444"  # for what neither learns nor is chosen: arrows, sums


@dataclass(frozen=True)
class Box:
    """A box or a mark that was drawn: its centre and its size, in inches of the canvas."""

    x: float
    y: float
    width: float
    height: float

    def edge(self, towards):
        """The point of its rim in the direction of another box: an end of the arrow between the two."""
        dx, dy = towards.x - self.x, towards.y - self.y
        if dx == dy == 0:
            raise ValueError(f"an arrow needs two places, and both boxes lie at {self.x}, {self.y}")
        shrink = min(part / 2 / abs(d) for part, d in ((self.width, dx), (self.height, dy)) if d)
        return self.x + shrink * dx, self.y + shrink * dy


def canvas(width, height, title):
    """An empty drawing of that many inches, whose units are inches, with no axes. Returns the axes."""
    figure = plt.figure(figsize=(width, height))
    figure.set_layout_engine("none")  # what is drawn in inches stays where it is put
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    ax.text(0.1, height - 0.1, title, va="top", fontsize=plt.rcParams["axes.titlesize"])
    return ax


def box(ax, x, y, text, learned=True, width=1.1, height=0.34):
    """A rounded box around (x, y), vermillion if it holds weights, blue if it is fixed. Returns its `Box`."""
    colour = LEARNED if learned else FIXED
    ax.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, facecolor=colour + "22",
                                boxstyle="round,pad=0,rounding_size=0.06", edgecolor=colour, linewidth=1.2))
    ax.text(x, y, text, ha="center", va="center", fontsize=8.5)
    return Box(x, y, width, height)


def label(ax, x, y, text, width=0.8, height=0.24):
    """Text without a frame, from which and to which arrows go. Returns its `Box`, of the size that is given."""
    ax.text(x, y, text, ha="center", va="center", fontsize=8.5, color=PLAIN)
    return Box(x, y, width, height)


def mark(ax, x, y, sign="+", size=0.22):
    """A small circle in which two ways meet: "+" for a sum, "×" for a product, "c" for channels side by side."""
    ax.add_patch(plt.Circle((x, y), size / 2, facecolor="white", edgecolor=PLAIN, linewidth=1.1))
    ax.text(x, y, sign, ha="center", va="center", fontsize=9, color=PLAIN)
    return Box(x, y, size, size)


def arrow(ax, start, end, text=""):
    """An arrow from the rim of one `Box` to that of another, with a text over its middle."""
    a, b = start.edge(end), end.edge(start)
    ax.add_patch(FancyArrowPatch(a, b, arrowstyle="-|>", mutation_scale=9, shrinkA=1, shrinkB=1, color=PLAIN,
                                 linewidth=1.1))
    if text:
        ax.text((a[0] + b[0]) / 2, (a[1] + b[1]) / 2 + 0.09, text, ha="center", fontsize=7.5, color=PLAIN)


def way(ax, points, colour=PLAIN):
    """An arrow along straight pieces through points [(x, y), ...]; from and to the rims where `Box`es stand."""
    ends = [points[0].edge(_place(points[1])) if isinstance(points[0], Box) else points[0],
            points[-1].edge(_place(points[-2])) if isinstance(points[-1], Box) else points[-1]]
    inner = [(p.x, p.y) if isinstance(p, Box) else p for p in points[1:-1]]
    path = [ends[0], *inner, ends[1]]
    ax.plot(*zip(*path[:-1]), color=colour, linewidth=1.1, solid_capstyle="butt")
    ax.add_patch(FancyArrowPatch(path[-2], path[-1], arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=1,
                                 color=colour, linewidth=1.1))


def residual(parts, title, skip=""):
    """A row of boxes from x to a sum, and the way past them, x + f(x). Below it is room for what comes from outside.

    parts: [(text, learned), ...] from left to right; skip: the text of a box on the way past, or "" for none. Returns
    the axes and the `Box`es of the row: x, the parts, the sum.
    """
    y, step = 1.2, 1.13
    ax = canvas(step * len(parts) + 1.7, 2.4, title)
    row = [label(ax, 0.3, y, "$x$", width=0.3)]
    row += [box(ax, 1.1 + step * i, y, text, learned, width=0.95) for i, (text, learned) in enumerate(parts)]
    row.append(mark(ax, 0.9 + step * len(parts), y))
    for a, b in zip(row, row[1:]):
        arrow(ax, a, b)
    arrow(ax, row[-1], label(ax, row[-1].x + 0.55, y, "$y$", width=0.3))
    bend = [(row[0].x, y + 0.55), (row[-1].x, y + 0.55)]
    if skip:
        past = box(ax, (row[0].x + row[-1].x) / 2, y + 0.55, skip, width=1.7)
        way(ax, [row[0], bend[0], past])
        way(ax, [past, bend[1], row[-1]])
    else:
        way(ax, [row[0], *bend, row[-1]])
    return ax, row


def u_net(title, levels, blocks, middle=("block", "attend", "block"), ends=("$x_t$", "$\\hat\\varepsilon$")):
    """A U-Net: the levels under each other, `blocks` stages down on the left and up on the right, and the skips.

    levels: the text of each level, such as "14 x 14, 48 channels", from full resolution down. A stage on the way up
    takes the skip of the stage that mirrors it: the last one kept is the first one used. Returns the axes.
    """
    last, step = len(levels) - 1, 0.66
    wide = 2 * (1.6 + (len(levels) - 1 + blocks) * step) + 1.3
    ax = canvas(wide, 1.12 * len(levels) + 0.3, title)
    down, up = [], []
    for level, text in enumerate(levels):
        y = 1.12 * (last - level) + 0.35
        down.append([box(ax, 1.6 + (level + i) * step, y, "block", width=0.54) for i in range(blocks)])
        up.append([box(ax, wide - b.x, y, "block", width=0.54) for b in reversed(down[-1])])
        for i, (a, b) in enumerate(zip(down[-1], reversed(up[-1]))):
            over = y + 0.25 + 0.1 * (blocks - 1 - i)
            top = y + a.height / 2
            way(ax, [(a.x + 0.16, top), (a.x + 0.16, over), (b.x - 0.16, over), (b.x - 0.16, top)], colour=FIXED)
        if level < last:
            ax.text(wide / 2, y, text, ha="center", va="center", fontsize=8.5)
    inner = [box(ax, wide / 2 + (i - (len(middle) - 1) / 2) * step, 0.35, text, width=0.58)
             for i, text in enumerate(middle)]
    ax.text(wide / 2, 0.06, levels[-1], ha="center", va="center", fontsize=8.5)
    chain = [label(ax, 0.25, down[0][0].y, ends[0], 0.3), box(ax, 0.85, down[0][0].y, "conv", width=0.54)]
    for level, stages in enumerate(down):
        chain += stages + ([box(ax, stages[-1].x, stages[-1].y - 0.48, "down", width=0.54, height=0.26)]
                           if level < last else [])
    chain += inner
    for level, stages in reversed(list(enumerate(up))):
        chain += stages + ([box(ax, stages[-1].x, stages[-1].y + 0.64, "up", width=0.54, height=0.26)] if level else [])
    chain += [box(ax, wide - 0.85, up[0][-1].y, "conv", width=0.54), label(ax, wide - 0.25, up[0][-1].y, ends[1], 0.3)]
    for a, b in zip(chain, chain[1:]):
        arrow(ax, a, b)
    return ax


def _place(point):
    return point if isinstance(point, Box) else Box(*point, 0, 0)
