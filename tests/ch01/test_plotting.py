"""Figures: sheets of pictures, curves with slopes, colours, and the source of a function."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.plotting import (FIXED, LEARNED, SERIES, save_grid, show, show_field, show_grid, show_rows, show_slope,
                               show_strip, tile, use_house_style)
from minidiff.process.forward import snr


@pytest.fixture(autouse=True)
def no_window():
    with matplotlib.rc_context():
        plt.switch_backend("agg")
        yield
        plt.close("all")


@settings(max_examples=40, deadline=None)
@given(N=st.integers(1, 7), C=st.sampled_from([1, 3]), H=st.integers(1, 5), W=st.integers(1, 5),
       columns=st.integers(1, 5))
def test_every_picture_stands_at_its_place_in_the_sheet(N, C, H, W, columns):
    pictures = 2 * torch.rand(N, C, H, W, generator=torch.Generator().manual_seed(N)) - 1
    sheet = tile(pictures, columns).reshape(-1, columns * (W + 2) + 1, C)
    assert len(sheet) == -(-N // columns) * (H + 2) + 1
    for i, picture in enumerate(pictures):
        top, left = i // columns * (H + 2) + 1, i % columns * (W + 2) + 1
        seen = torch.tensor(sheet[top:top + H, left:left + W]).permute(2, 0, 1)
        assert torch.allclose(seen, (picture.double() + 1) / 2, atol=1e-6)
    assert (sheet == 0.6).sum() == sheet.size - pictures.numel()


def test_values_beyond_the_range_are_cut_and_neither_gradients_nor_halves_disturb():
    pictures = torch.tensor([-7.0, 0.0, 7.0]).reshape(3, 1, 1, 1).half().requires_grad_()
    sheet = tile(pictures, columns=3)
    assert sheet.ndim == 2 and sheet[1, [1, 4, 7]].tolist() == [0, 0.5, 1]


def test_a_strip_has_one_label_under_the_middle_of_each_picture():
    ax = show_strip({"t = 0": torch.zeros(1, 28, 28), "t = 9": torch.ones(1, 28, 28)}, "Two")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["t = 0", "t = 9"]
    assert ax.get_xticks().tolist() == [14.5, 44.5]


def test_a_strip_shows_what_it_is_given_on_a_fixed_scale():
    image = show_strip(torch.zeros(3, 1, 4, 4), "Grey").images[0]
    assert image.get_clim() == (0, 1) and image.get_array().shape == (7, 19)
    assert np.unique(image.get_array()).tolist() == [0.5, 0.6]


def test_pictures_are_grey_without_the_house_style():
    matplotlib.rcdefaults()
    for ax in (show_strip(torch.zeros(3, 1, 4, 4), "Strip"), show_grid(torch.zeros(3, 1, 4, 4), "Grid")):
        assert ax.images[0].get_cmap().name == "gray"


def test_grids_and_rows_hold_all_pictures():
    assert show_grid(torch.zeros(23, 1, 4, 4), "Digits").images[0].get_array().shape == (3 * 6 + 1, 10 * 6 + 1)
    ax = show_rows([torch.zeros(4, 1, 4, 4), torch.ones(4, 1, 4, 4)], "Two rows", ["true", "generated"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["true", "generated"]
    array = ax.images[0].get_array()
    assert array[2, 2] == 0.5 and array[8, 2] == 1


def test_a_slope_is_drawn_through_the_last_point_in_the_colour_of_its_curve():
    ax = plt.subplots()[1]
    show_slope(ax, [1, 10, 100], [5.0, 0.4, 0.03], order=2, label="Heun")
    curve, slope = ax.lines
    assert slope.get_ydata() == pytest.approx([300, 3, 0.03]) and slope.get_color() == curve.get_color()
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_a_field_is_fixed_blue_unless_it_is_learned():
    for colour, kwargs in ((FIXED, {}), (LEARNED, {"colour": LEARNED})):
        ax = plt.subplots()[1]
        show_field(ax, torch.zeros(3, 2), torch.ones(3, 2), "Field", **kwargs)
        seen = ax.collections[0].get_facecolor()[0]
        assert seen == pytest.approx(matplotlib.colors.to_rgba(colour))


def test_a_saved_grid_reads_back_as_it_was(tmp_path):
    pictures = torch.linspace(-1, 1, 8).reshape(2, 1, 2, 2)
    save_grid(pictures, tmp_path / "grid.png", columns=2, scale=3)
    read = plt.imread(tmp_path / "grid.png")[..., 0]
    assert read.shape == (15, 27)
    assert np.abs(read[1::3, 1::3] - tile(pictures, 2)).max() < 0.005
    save_grid(torch.zeros(2, 3, 2, 2), tmp_path / "colour.png", columns=2)
    assert plt.imread(tmp_path / "colour.png").shape[:2] == (15, 27)


def test_the_house_style_starts_with_fixed_then_learned():
    use_house_style()
    colours = [entry["color"] for entry in matplotlib.rcParams["axes.prop_cycle"]]
    assert colours == list(SERIES) and colours[:2] == [FIXED, LEARNED] and len(set(SERIES)) == 7


def test_colours_of_learned_and_fixed_differ_in_brightness_too():
    """So that a figure survives a printer without colours."""
    def luminance(colour):
        return np.dot([0.2126, 0.7152, 0.0722], matplotlib.colors.to_rgb(colour))

    assert abs(luminance(LEARNED) - luminance(FIXED)) > 0.05


def test_show_prints_the_source_and_where_it_lives(capsys):
    show(snr)
    printed = capsys.readouterr().out
    assert printed.startswith("# minidiff.process.forward\ndef snr(alpha_bar):\n")
    assert printed.endswith("    return alpha_bar / (1 - alpha_bar)\n")


def test_plotting_opens_no_figure_when_it_is_given_axes():
    ax = plt.subplots()[1]
    show_strip(torch.zeros(2, 1, 4, 4), "Here", ax=ax)
    show_grid(torch.zeros(2, 1, 4, 4), "Here", ax=ax)
    assert plt.get_fignums() == [1]
