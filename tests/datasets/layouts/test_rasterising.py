import resource
import time

import numpy as np
import pytest

from pixelwise.datasets.layouts.rasterising import decode_counts, draw_polygon, draw_runs, draw_segmentation


def drawn(segmentation: object, height: int = 4, width: int = 5) -> list[str]:
    mask = draw_segmentation(segmentation, height, width)
    assert mask.dtype == bool
    return ["".join(".#"[int(value)] for value in row) for row in mask]


def test_a_rectangle_covers_the_pixels_whose_centres_it_holds():
    assert drawn([[1, 1, 4, 1, 4, 3, 1, 3]]) == [".....", ".###.", ".###.", "....."]
    assert drawn([[1.4, 0.4, 3.4, 0.4, 3.4, 2.4, 1.4, 2.4]]) == [".##..", ".##..", ".....", "....."]


def test_the_direction_of_the_corners_does_not_matter():
    corners = [0.3, 0.2, 4.6, 1.1, 2.2, 3.9]
    backwards = [value for x, y in zip(corners[-2::-2], corners[::-2], strict=True) for value in (x, y)]
    assert drawn([corners]) == drawn([backwards])


def test_a_triangle_as_the_coco_api_draws_it():
    # Computed with pycocotools 2.0.11.
    assert drawn([[0, 0, 5, 0, 0, 4]]) == ["####.", "###..", "##...", "#...."]
    assert drawn([[0.3, 0.2, 4.6, 1.1, 2.2, 3.9]]) == [".#...", ".###.", "..#..", "..#.."]


def test_what_lies_outside_the_image_is_cut_off():
    assert drawn([[-3, -3, 9, -3, 9, 2, -3, 2]]) == ["#####", "#####", ".....", "....."]
    assert drawn([[7, 1, 9, 1, 9, 3, 7, 3]]) == ["....."] * 4


def test_several_polygons_are_one_object():
    assert drawn([[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 4, 1, 4, 3, 1, 3]]) == ["##...", "####.", ".###.", "....."]


def test_a_polygon_that_crosses_itself_has_a_hole_where_it_covers_twice():
    square = [0, 0, 5, 0, 5, 4, 0, 4]
    assert drawn([[*square, 0, 0, 2, 0, 2, 2, 0, 2]])[0] == "..###"


def test_an_uncompressed_run_length_code_goes_down_the_columns():
    assert drawn({"counts": [1, 2, 5, 12], "size": [4, 5]}) == ["..###", "#.###", "#.###", "..###"]


def test_a_compressed_code_holds_differences_in_five_bits():
    # pycocotools' text of [6, 1, 40, 22, 3]: from the fourth on, minus the number two before.
    assert decode_counts("61X1e0kN").tolist() == [6, 1, 40, 22, 3]
    assert drawn({"counts": "125:", "size": [4, 5]}) == drawn({"counts": [1, 2, 5, 12], "size": [4, 5]})


@pytest.mark.parametrize(
    ("segmentation", "named"),
    [
        ({"counts": [1, 2], "size": [4, 5]}, r"\b3 pixels\b.*\b20\b"),
        ({"counts": [20], "size": [5, 4]}, r"\[5, 4\].*\[4, 5\]"),
        ({"counts": [-1, 21], "size": [4, 5]}, "run-length"),
        ({"counts": "1z", "size": [4, 5]}, "'z'"),
        ({"counts": "X", "size": [4, 5]}, "run-length"),
        ({"size": [4, 5]}, "run-length"),
        ([[1, 2, 3]], r"polygon.*\b3\b"),
        ("text", r"\bstr\b"),
    ],
)
def test_an_outline_that_cannot_be_read_says_why(segmentation: object, named: str):
    with pytest.raises(ValueError, match=named):
        draw_segmentation(segmentation, 4, 5)


def test_a_code_of_one_run_is_nothing_or_everything():
    assert not draw_runs([20], [4, 5], 4, 5).any()
    assert draw_runs([0, 20], [4, 5], 4, 5).all()


def corners_of(rng: np.random.Generator, height: int, width: int) -> list[float]:
    """Round numbers, halves, stars and scribbles, inside the image, across its borders and far outside."""
    count = int(rng.integers(3, 60))
    scribble = rng.uniform(0, 1, (count, 2))
    angles, radii = np.sort(rng.uniform(0, 7, count)), rng.uniform(0.2, 0.5, count)
    star = 0.5 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    shapes = (
        scribble * (width, height),
        star * (width, height),
        np.round((1.4 * scribble - 0.2) * (width, height), 2),
        np.round(2 * star * (width, height)) / 2,
        np.round(scribble * (width + 6, height + 6) - 3),
        (40 * scribble[:9] - 20) * max(height, width),
    )
    return shapes[rng.integers(len(shapes))].ravel().tolist()


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_is_as_the_coco_api_draws_it(seed: int):
    api = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    for _ in range(250):
        height, width = rng.integers(1, rng.choice([9, 60, 300]), 2).tolist()
        corners = corners_of(rng, height, width)
        expected = api.decode(api.frPyObjects([corners], height, width))[..., 0]
        mask = np.zeros((height, width), bool)
        draw_polygon(corners, mask)
        np.testing.assert_array_equal(mask, expected)
        runs = api.encode(np.asfortranarray(expected ^ (rng.random(expected.shape) < rng.choice([0, 0.02, 0.5]))))
        text, size = runs["counts"].decode(), [height, width]
        drawn_runs = draw_runs(text, size, height, width)
        np.testing.assert_array_equal(drawn_runs, api.decode(runs))
        np.testing.assert_array_equal(draw_runs(decode_counts(text).tolist(), size, height, width), drawn_runs)


FAR = (np.random.default_rng(0).uniform(-20, 20, (100_000, 2)) * 5).ravel().tolist()
HOSTILE = {
    "not a number": [[0, 0, float("nan"), 5, 5, 5]],
    "infinite": [[0, 0, float("inf"), 5, -float("inf"), 5]],
    "beyond integers": [[0, 0, 1e300, 5, 5, 5]],
    "a long way": [[0, 0, 4e8, 5, 5, 5]],
    "a long outline": [FAR],
    "words": [["a"] * 6],
    "nothing": [[None] * 6],
    "lists": [[[1, 2]] * 6],
    "a number": [5],
    "no corners": [[]],
    "cut off": {"counts": "125", "size": [4, 5]},
    "empty": {"counts": "", "size": [4, 5]},
    "cut within": {"counts": "1" + "X" * 20, "size": [4, 5]},
    "never ending": {"counts": "P" * 1_000_000, "size": [4, 5]},
    "a long number": {"counts": "P" * 7 + "0", "size": [4, 5]},
    "many zeros": {"counts": "0" * 1_000_000, "size": [4, 5]},
    "negative": {"counts": "O", "size": [4, 5]},
    "negative in the sum": {"counts": "T1P", "size": [4, 5]},
    "other characters": {"counts": "\x00\xff\u20ac", "size": [4, 5]},
    "half a character": {"counts": "\ud800", "size": [4, 5]},
    "bytes": {"counts": b"125:", "size": [4, 5]},
    "another size": {"counts": "125:", "size": [5, 4]},
    "a huge size": {"counts": "125:", "size": [2**32, 2**32]},
    "a negative size": {"counts": "125:", "size": [-4, -5]},
    "no size": {"counts": "125:", "size": None},
    "a size of words": {"counts": "125:", "size": "45"},
    "a negative run": {"counts": [-1, 21], "size": [4, 5]},
    "a huge run": {"counts": [2**70], "size": [4, 5]},
    "a wrap of 32 bits": {"counts": [0, 2**31, 0, 2**31, 20], "size": [4, 5]},
    "a wrap of 64 bits": {"counts": [2**63, 2**63, 20], "size": [4, 5]},
    "too few": {"counts": [1, 2], "size": [4, 5]},
    "fractions": {"counts": [1.5, 18.5], "size": [4, 5]},
    "nested runs": {"counts": [[20]], "size": [4, 5]},
}


@pytest.mark.parametrize("outline", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_outline_is_refused_soon_and_in_little_memory(outline: object):
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((ValueError, TypeError)):
        draw_segmentation(outline, 4, 5)
    assert time.process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_an_image_without_pixels_has_none_drawn():
    for height, width in ((0, 0), (0, 5), (4, 0)):
        mask = np.zeros((height, width), bool)
        draw_polygon([0, 0, 0, 0, 0, 0], mask)
        assert draw_runs([], [height, width], height, width).shape == (height, width)
        assert draw_runs("", [height, width], height, width).shape == (height, width)


def test_mutated_codes_are_refused_or_drawn():
    rng = np.random.default_rng(5)
    text = "61X1e0kN125:0P1o2"
    for _ in range(3000):
        cut = list(text[: rng.integers(1, len(text))])
        for _ in range(rng.integers(0, 3)):
            cut[rng.integers(len(cut))] = chr(rng.integers(47, 113))
        try:
            mask = draw_runs("".join(cut), [8, 9], 8, 9)
        except ValueError:
            continue
        assert mask.shape == (8, 9)
