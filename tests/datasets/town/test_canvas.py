import numpy as np
import pytest

from pixelwise.datasets.town.canvas import LABEL, Camera, Canvas, jitter, mix, scale
from pixelwise.recipes.class_sets.tables import CAMVID

WHITE = (255.0, 255.0, 255.0)


@pytest.fixture
def canvas() -> Canvas:
    return Canvas((40, 60), Camera(20, 30, 60, 1.5), haze=(100, 100, 100), visibility=50)


def test_labels_are_camvids_raw_ids_with_11_for_void():
    assert [LABEL[name] for name in CAMVID.names] == list(range(11))
    assert LABEL["void"] == 11


def test_the_camera_projects_as_a_pinhole(canvas: Canvas):
    # 3 m ahead, 1 m right, on the ground: 60 / 3 = 20 pixels per metre.
    assert canvas.point(1, 0, 3) == (30 + 20, 20 + 30)
    assert canvas.project([[1, 0, 3], [0, 1.5, 9]]).tolist() == [[50, 50], [30, 20]]
    assert canvas.pixels(2, 3) == 40


def test_a_bend_moves_distant_points_sideways():
    bent = Canvas((40, 60), Camera(20, 30, 60, 1.5, 0.01), haze=WHITE, visibility=50)
    assert bent.point(0, 0, 10)[0] == pytest.approx(30 + 60 * 0.01 * 10)


def test_image_and_labels_get_the_same_pixels(canvas: Canvas):
    canvas.polygon([(5, 5), (20, 6), (12, 30)], WHITE, 3)
    canvas.ellipse((40, 20), (6, 9), WHITE, 3, angle=30)
    canvas.line([(2, 2), (50, 38)], 3, WHITE, 3)
    painted = canvas.image.any(axis=2)
    assert painted.any()
    assert np.array_equal(painted, canvas.labels == 3)


def test_without_a_label_the_labels_below_stay(canvas: Canvas):
    canvas.polygon([(5, 5), (20, 6), (12, 30)], WHITE)
    canvas.details([[(30, 30), (35, 30), (35, 35)]], WHITE)
    assert canvas.image.any()
    assert (canvas.labels == LABEL["void"]).all()


def test_colours_fade_to_the_haze_with_distance(canvas: Canvas):
    assert canvas.faded(WHITE, 0) == WHITE
    assert canvas.faded(WHITE, 1e6) == pytest.approx((100, 100, 100))
    assert mix((0, 0, 0), (10, 20, 30), 0.5) == (5, 10, 15)
    assert scale((1, 2, 3), 2) == (2, 4, 6)


def test_what_lies_beside_the_picture_is_not_visible(canvas: Canvas):
    assert canvas.is_visible(0, 5, 0.5)
    assert not canvas.is_visible(50, 5, 0.5)


def test_jitter_depends_on_the_generator_alone():
    first, second = (jitter(np.random.default_rng(3), WHITE, 0.2) for _ in range(2))
    assert first == second
    assert jitter(np.random.default_rng(3), WHITE, 0) == WHITE
