import pytest

from pixelwise.datasets.layouts.rasterising import decode_counts, draw_runs, draw_segmentation


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
    assert decode_counts("61X1e0kN") == [6, 1, 40, 22, 3]
    assert drawn({"counts": "125:", "size": [4, 5]}) == drawn({"counts": [1, 2, 5, 12], "size": [4, 5]})


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"counts": [1, 2], "size": [4, 5]}, "covers 3 pixels; expected 20"),
        ({"counts": [20], "size": [5, 4]}, r"of size \[5, 4\]; expected \[4, 5\]"),
        ({"counts": [-1, 21], "size": [4, 5]}, "neither text nor a list"),
        ({"counts": "1z", "size": [4, 5]}, "holds the character 'z'"),
        ({"counts": "X", "size": [4, 5]}, "ends within a number"),
        ({"size": [4, 5]}, "neither text nor a list"),
        ([[1, 2, 3]], "a polygon has 3 values"),
        ("text", "the outline is a str"),
    ],
)
def test_an_outline_that_cannot_be_read_says_why(segmentation: object, message: str):
    with pytest.raises(ValueError, match=message):
        draw_segmentation(segmentation, 4, 5)


def test_a_code_of_one_run_is_nothing_or_everything():
    assert not draw_runs([20], [4, 5], 4, 5).any()
    assert draw_runs([0, 20], [4, 5], 4, 5).all()
