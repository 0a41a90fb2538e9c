"""Drawing: each pixel's coverage is the area that a shape has in it, and what lies on top hides what is below."""

import numpy as np
import pytest

from minidiff.data.shapes_draw import EXTENT, PALETTE, SIDE, coverage, distance, paint
from minidiff.data.shapes_words import COLOURS, SHAPES

FINE = 16  # points a pixel along each side, to count the area in it


def counted(shape, x, y, r):
    """The coverage (SIDE, SIDE) by counting points."""
    points = (np.arange(SIDE * FINE) + 0.5) / FINE
    inside = distance(shape, points[None, :] - x, points[:, None] - y, r) <= 0
    return inside.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3))


@pytest.mark.parametrize("shape", range(6), ids=SHAPES)
@pytest.mark.parametrize("x, y, r", [(16, 16, 5.6), (12.3, 17.8, 3.7), (20.5, 9.9, 4.4)])
def test_coverage_is_the_area_in_each_pixel(shape, x, y, r):
    drawn, truth = coverage([shape], [[x, y]], [r])[0], counted(SHAPES[shape], x, y, r)
    assert abs(drawn - truth).max() < 0.4  # tips: narrower than a pixel
    assert abs(drawn - truth).mean() < 0.002
    assert drawn.sum() == pytest.approx(truth.sum(), rel=0.025)


@pytest.mark.parametrize("shape, area", [
    ("circle", np.pi), ("square", 1.78**2), ("triangle", 1.2 * 2.08), ("heart", (2 + np.pi / 2) * 0.93**2),
    ("cross", 8 * 1.05 * 0.38 - 4 * 0.38**2)])
def test_areas_are_those_of_the_formulas(shape, area):
    assert counted(shape, 16, 16, 8).mean() * SIDE**2 == pytest.approx(area * 64, rel=4e-3)


@pytest.mark.parametrize("shape", range(6), ids=SHAPES)
def test_a_shape_fills_its_box_and_its_centre_is_the_box_s(shape):
    covered = counted(SHAPES[shape], 16, 16, 8) > 0
    for axis in (0, 1):
        where = np.flatnonzero(covered.any(axis))
        half = 8 * EXTENT[shape, axis]
        assert abs(16 - half - where[0]) <= 1 and abs(16 + half - where[-1] - 1) <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_symmetric_to_the_left_and_the_right(shape):
    x, y = np.random.default_rng(0).uniform(-9, 9, (2, 500))
    np.testing.assert_allclose(distance(shape, x, y, 5.0), distance(shape, -x, y, 5.0), atol=1e-9)


def test_a_star_points_upwards_and_a_heart_and_a_triangle_as_one_expects():
    for shape, up in (("star", True), ("triangle", True), ("heart", False)):
        rows = counted(shape, 16, 16, 8).sum(axis=1)
        assert (rows[8:11].sum() < rows[21:24].sum()) == up


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="shape must be one of .*, got 'ring'"):
        distance("ring", 0, 0, 1)


def test_the_last_object_lies_on_top_and_what_is_seen_adds_up():
    covered = coverage([0, 1, 3], [[14, 14], [17, 15], [15, 18]], [5.6, 5, 4])[None]
    picture, seen = paint(covered, PALETTE[None, [0, 4, 3]])
    np.testing.assert_array_equal(seen[0, 2], covered[0, 2])
    np.testing.assert_allclose(seen[0, 1], covered[0, 1] * (1 - covered[0, 2]), atol=1e-6)
    np.testing.assert_allclose(1 - seen[0].sum(axis=0), np.prod(1 - covered[0], axis=0), atol=1e-6)
    for k, colour in enumerate((0, 4, 3)):
        assert abs(picture[0][:, seen[0, k] == 1] - PALETTE[colour, :, None]).max() <= 1 / 255
    assert (picture[0][:, seen[0].sum(axis=0) == 0] == 1).all()


def test_pictures_have_256_levels():
    picture, _ = paint(coverage([3], [[16, 16]], [5.5])[None], PALETTE[None, [2]])
    levels = (picture + 1) * 127.5
    assert abs(levels - levels.round()).max() < 1e-4


def test_colours_are_told_apart_by_three_standard_deviations_of_the_noise_that_the_judge_bears():
    gaps = np.linalg.norm(PALETTE[:, None] - PALETTE[None], axis=-1)[np.triu_indices(len(COLOURS), 1)]
    assert gaps.min() / 2 > 3 * 0.1
    assert np.linalg.norm(1 - PALETTE, axis=-1).min() > 1.2  # and white from each of them
