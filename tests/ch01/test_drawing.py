"""Drawings of structures: boxes of the right colour, arrows from rim to rim, and skips between the right stages."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from minidiff.drawing import Box, arrow, box, canvas, label, mark, residual, u_net, way
from minidiff.plotting import FIXED, LEARNED, use_house_style


@pytest.fixture
def ax():
    use_house_style()
    yield canvas(6, 3, "title")
    plt.close("all")


def arrows(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]


def test_the_units_of_a_canvas_are_inches(ax):
    left, bottom = ax.transData.transform((0, 0))
    right, top = ax.transData.transform((6, 3))
    assert (right - left, top - bottom) == pytest.approx((6 * ax.figure.dpi, 3 * ax.figure.dpi))


@pytest.mark.parametrize("learned, colour", [(True, LEARNED), (False, FIXED)])
def test_what_learns_is_vermillion_and_what_is_fixed_blue(ax, learned, colour):
    box(ax, 1, 1, "conv", learned)
    (patch,) = [p for p in ax.patches if isinstance(p, FancyBboxPatch)]
    assert to_hex(patch.get_edgecolor()) == colour.lower()


@pytest.mark.parametrize("other, expected", [
    (Box(5, 1, 1, 1), (2.5, 1)), (Box(2, 4, 1, 1), (2, 1.25)), (Box(-1, 1, 1, 1), (1.5, 1)),
    (Box(3, 2, 0, 0), (2.25, 1.25)),
])
def test_an_arrow_leaves_a_box_at_its_rim(other, expected):
    assert Box(2, 1, 1, 0.5).edge(other) == pytest.approx(expected)


def test_two_boxes_in_one_place_have_no_arrow_between_them():
    with pytest.raises(ValueError, match="two places"):
        Box(1, 1, 1, 1).edge(Box(1, 1, 2, 2))


def test_an_arrow_goes_from_rim_to_rim(ax):
    arrow(ax, box(ax, 1, 1, "a", width=1), mark(ax, 4, 1, size=0.2), "x")
    (found,) = arrows(ax)
    assert found._posA_posB == [pytest.approx((1.5, 1)), pytest.approx((3.9, 1))]
    assert "x" in [text.get_text() for text in ax.texts]


def test_a_way_ends_at_the_rim_of_its_last_box_in_its_last_direction(ax):
    way(ax, [label(ax, 1, 1, "x", width=0.4), (1, 2), (4, 2), box(ax, 4, 1, "b", height=0.4)])
    (found,) = arrows(ax)
    assert found._posA_posB == [pytest.approx((4, 2)), pytest.approx((4, 1.2))]


@pytest.mark.parametrize("skip, boxes", [("identity", 4), ("", 3)])
def test_a_residual_row_ends_in_a_sum_that_the_way_past_it_reaches(skip, boxes):
    ax, row = residual([("a", True), ("b", False), ("c", True)], "title", skip)
    assert len(row) == 5 and [box.y for box in row] == [row[0].y] * 5
    assert sorted(box.x for box in row) == [box.x for box in row]
    assert len([p for p in ax.patches if isinstance(p, FancyBboxPatch)]) == boxes
    ends = [patch._posA_posB[1] for patch in arrows(ax)]
    assert sum(end == pytest.approx((row[-1].x, row[-1].y + row[-1].height / 2)) for end in ends) == 1
    plt.close("all")


@pytest.mark.parametrize("levels, blocks", [(3, 2), (2, 1), (4, 3)])
def test_every_stage_on_the_way_up_takes_the_skip_of_the_stage_that_mirrors_it(levels, blocks):
    use_house_style()
    ax = u_net("title", [f"level {i}" for i in range(levels)], blocks)
    skips = [line.get_xdata() for line in ax.lines if to_hex(line.get_color()) == FIXED.lower()]
    assert len(skips) == levels * blocks
    assert all(xs[0] + xs[-1] == pytest.approx(ax.get_xlim()[1]) for xs in skips)
    drawn = [text.get_text() for text in ax.texts]
    assert drawn.count("block") == 2 * levels * blocks + 2 and drawn.count("down") == drawn.count("up") == levels - 1
    plt.close("all")


def test_texts_stay_in_their_boxes_and_in_the_picture():
    use_house_style()
    ax = u_net("title", ["14 x 14", "7 x 7"], 2)
    residual([("GroupNorm", True), ("SiLU, dropout", False)], "title", "identity, or conv 1x1")
    for axes in (ax, plt.gca()):
        renderer = axes.figure.canvas.get_renderer()
        frames = {(round(p.get_x() + p.get_width() / 2, 6), round(p.get_y() + p.get_height() / 2, 6)): p
                  for p in axes.patches if isinstance(p, FancyBboxPatch)}
        for text in axes.texts:
            extent = text.get_window_extent(renderer).transformed(axes.transData.inverted())
            assert extent.x0 >= 0 and extent.y0 >= 0 and extent.x1 <= axes.get_xlim()[1], text.get_text()
            if frame := frames.get(tuple(round(u, 6) for u in text.get_position())):
                assert extent.width < frame.get_width() and extent.height < frame.get_height(), text.get_text()
    plt.close("all")
