"""The house style of every figure: what is learned is vermillion, what is fixed is blue, data are grey."""

import inspect
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

LEARNED, FIXED, DATA = "#D55E00", "#0072B2", "#7F7F7F"
SERIES = (FIXED, LEARNED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito: safe for all eyes


def use_house_style():
    """Set fonts, sizes and colours for all figures that follow."""
    plt.rcParams.update({
        "figure.figsize": (6.0, 3.4), "figure.dpi": 100, "savefig.dpi": 120, "font.size": 10, "axes.titlesize": 11,
        "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.alpha": 0.25, "legend.frameon": False, "lines.linewidth": 1.8, "figure.constrained_layout.use": True,
        "axes.prop_cycle": plt.cycler(color=SERIES), "image.cmap": "gray", "image.interpolation": "nearest",
    })


def show(obj):
    """Print the source of a function or class of the package, and where it lives."""
    print(f"# {obj.__module__}\n{inspect.getsource(obj).rstrip()}")


def show_strip(pictures, title, labels=None, ax=None):
    """Draw pictures in one row, each with its label below.

    pictures: (N, 1, H, W) or (N, 3, H, W) in [-1, 1], or a dict label -> (1, H, W). Returns the axes.
    """
    if isinstance(pictures, dict):
        labels, pictures = [str(k) for k in pictures], torch.stack(list(pictures.values()))
    N, H, W = len(pictures), *pictures.shape[-2:]
    ax = ax or plt.subplots(figsize=(min(10, 1.1 * N), 1.75))[1]
    _draw(ax, tile(pictures, columns=N), title)
    ax.set_xticks([(W + 2) * i + W / 2 + 0.5 for i in range(N)] if labels else [], labels)
    return ax


def show_grid(pictures, title, columns=10, ax=None):
    """Draw pictures (N, C, H, W) in [-1, 1] as a grid of `columns`. Returns the axes."""
    rows = -(-len(pictures) // columns)
    ax = ax or plt.subplots(figsize=(0.5 * columns, 0.5 * rows + 0.4))[1]
    _draw(ax, tile(pictures, columns), title)
    ax.set_xticks([])
    return ax


def show_rows(rows, title, labels):
    """Draw strips under each other, one a label: rows, a list of (N, C, H, W) of equal N. Returns the axes."""
    N, H = len(rows[0]), rows[0].shape[-2]
    ax = plt.subplots(figsize=(min(10, 0.8 * N + 1), 0.8 * len(rows) + 0.4))[1]
    _draw(ax, tile(torch.cat(list(rows)), columns=N), title)
    ax.set_xticks([])
    ax.set_yticks([(H + 2) * i + H / 2 + 0.5 for i in range(len(rows))], labels)
    return ax


def show_field(ax, points, vectors, title, colour=FIXED, scale=None):
    """Draw a vector field: points (N, 2), vectors (N, 2) as arrows on `ax`.

    scale: the length of a vector that would be as long as the axes are wide (twice that makes all arrows half as long).
    """
    ax.quiver(*points.T, *vectors.T, color=colour, angles="xy", scale=scale, width=0.004)
    ax.set(title=title, aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


def show_slope(ax, x, y, order, label):
    """Draw errors y over x on log-log axes, and the line of slope -order through the last point."""
    line, = ax.loglog(x, y, "o-", label=label, markersize=4)
    ax.loglog(x, [y[-1] * (x[-1] / u) ** order for u in x], ":", color=line.get_color(), label=f"slope {-order}")


def tile(pictures, columns):
    """Lay pictures (N, C, H, W) in [-1, 1] out as one image (rows (H+2)+1, columns (W+2)+1, C or none) in [0, 1]."""
    N, C, H, W = pictures.shape
    rows = -(-N // columns)
    sheet = np.full((rows * (H + 2) + 1, columns * (W + 2) + 1, C), 0.6)
    for i, picture in enumerate(pictures.detach().float().cpu().clamp(-1, 1).numpy()):
        top, left = i // columns * (H + 2) + 1, i % columns * (W + 2) + 1
        sheet[top:top + H, left:left + W] = (picture.transpose(1, 2, 0) + 1) / 2
    return sheet[..., 0] if C == 1 else sheet


def save_grid(pictures, file, columns=10, scale=3):
    """Write pictures (N, C, H, W) in [-1, 1] as one PNG, every pixel `scale` times as large.

    file: a path, or a file that is open for bytes. An error while the picture is made leaves no file.
    """
    sheet, content = tile(pictures, columns), io.BytesIO()
    plt.imsave(content, np.kron(sheet, np.ones((scale, scale) + (1,) * (sheet.ndim == 3))), cmap="gray", vmin=0, vmax=1,
               format="png")
    if hasattr(file, "write"):
        file.write(content.getvalue())
    else:
        Path(file).write_bytes(content.getvalue())


def _draw(ax, sheet, title):
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
