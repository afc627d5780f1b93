import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.samples import Dataset, Reading
from pixelwise.pages.fixing.masks import UNKNOWN, Uneditable, open_mask, repainted

PATH = Path("a.png")
GREEN, RED, ODD = 0x00FF00, 0xFF0000, 0x123456


def data(table: LabelTable, classes: int = 2, **changes: object) -> Dataset:
    return Dataset(
        name="folder", root=Path("."), classes=tuple("abcdefghijkl"[:classes]),
        palette=tuple((0, 10 * place, 200) for place in range(classes)),
        label_table=table, splits={}, reading=Reading(), **changes,
    )  # fmt: skip


def png(values: list, mode: str, palette: list[int] | None = None, **options: object) -> bytes:
    dtype = {"I;16": np.uint16, "1": bool}.get(mode, np.uint8)
    image = Image.fromarray(np.array(values, dtype))
    if palette is not None:
        image.putpalette(palette)
    assert image.mode == mode
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def pixels(content: bytes) -> list:
    return np.asarray(Image.open(io.BytesIO(content))).tolist()


def painted(content: bytes, dataset: Dataset, class_id: int, first: int = 0, number: int = 1) -> bytes:
    mask = open_mask(content, PATH, dataset)
    return repainted(mask, np.array([[first, number, mask.paints[class_id]]]), PATH, dataset).content


def mode_of(content: bytes) -> str:
    return Image.open(io.BytesIO(content)).mode


def test_ids_are_painted_as_ids_and_values_without_a_meaning_stay():
    content = png([[0, 1, 77], [7, 7, 0]], "L")
    dataset = data(table_of({0: 0, 1: 1, 7: 1}))
    mask = open_mask(content, PATH, dataset)
    assert mask.meanings == {0: 0, 1: 1, 7: 1, 77: UNKNOWN}
    assert mask.paints == {0: 0, 1: 7, 255: 255}  # class b is mostly stored as 7 in this file
    assert pixels(painted(content, dataset, 1)) == [[7, 1, 77], [7, 7, 0]]
    assert pixels(painted(content, dataset, 255, 1, 2)) == [[0, 255, 255], [7, 7, 0]]


def test_sixteen_bits_stay_sixteen():
    content = png([[0, 1000]], "I;16")
    new = painted(content, data(table_of({0: 0, 1000: 1, 40000: 2}), 3), 2)
    assert (mode_of(new), pixels(new)) == ("I;16", [[40000, 1000]])


def test_a_palette_stays_and_gets_the_colours_that_it_lacks():
    content = png([[0, 1]], "P", [1, 2, 3, 4, 5, 6], bits=8)
    new = painted(content, data(table_of({number: number for number in range(4)}), 4), 3)
    read = Image.open(io.BytesIO(new))
    assert (read.mode, pixels(new), read.getpalette()) == ("P", [[3, 1]], [1, 2, 3, 4, 5, 6, 0, 20, 200, 0, 30, 200])


def test_a_palette_of_few_bits_gets_more_of_them_only_if_it_has_to():
    content = png([[0, 1]], "P", [1, 2, 3, 4, 5, 6], bits=1)
    dataset = data(table_of({number: number for number in range(4)}), 4)
    assert content[24] == 1
    assert painted(content, dataset, 1)[24] == 1
    wider = painted(content, dataset, 3)
    assert (wider[24], pixels(wider)) == (8, [[3, 1]])


def test_a_palette_that_is_read_by_its_colours():
    table = table_of({}, {"#00ff00": 0, "#ff0000": 1})
    content = png([[0, 1, 1]], "P", [9, 9, 9, 0, 255, 0])
    mask = open_mask(content, PATH, data(table))
    assert mask.meanings == {0: UNKNOWN, 1: 0}
    new = painted(content, data(table), 1, 2)
    assert (mode_of(new), pixels(new)) == ("P", [[0, 1, 2]])
    assert Image.open(io.BytesIO(new)).getpalette() == [9, 9, 9, 0, 255, 0, 255, 0, 0]


def test_colours_are_painted_as_colours_and_others_stay():
    table = table_of({}, {"#00ff00": 0, "#ff0000": 1, "#000000": 255})
    content = png([[[0, 255, 0], [0x12, 0x34, 0x56]]], "RGB")
    assert open_mask(content, PATH, data(table)).meanings == {GREEN: 0, ODD: UNKNOWN}
    new = painted(content, data(table), 1)
    assert (mode_of(new), pixels(new)) == ("RGB", [[[255, 0, 0], [0x12, 0x34, 0x56]]])
    assert pixels(painted(content, data(table), 255)) == [[[0, 0, 0], [0x12, 0x34, 0x56]]]


def test_grey_colours_that_are_read_as_ids():
    new = painted(png([[[0, 0, 0], [1, 1, 1]]], "RGB"), data(table_of({0: 0, 1: 1, 2: 2}), 3), 2)
    assert (mode_of(new), pixels(new)) == ("RGB", [[[2, 2, 2], [1, 1, 1]]])


@pytest.mark.parametrize(
    ("content", "table", "expected"),
    [
        (png([[0, 255]], "L"), table_of({0: 0, 255: 1}), [[255, 255]]),
        (png([[0, 0]], "L"), LabelTable(ids={0: 0, 1: 1}, threshold=128), [[255, 0]]),
        (png([[3, 200]], "L"), LabelTable(ids={0: 0, 1: 1}, threshold=128), [[200, 200]]),
        (png([[False, False]], "1"), table_of({0: 0, 1: 1}), [[True, False]]),
        (png([[False, False]], "1"), LabelTable(ids={0: 0, 1: 1}, threshold=128), [[True, False]]),
        (png([[0, 0]], "P", [0, 0, 0, 9, 9, 9, 255, 255, 255]), LabelTable(ids={0: 0, 1: 1}, threshold=128), [[2, 0]]),
    ],
)  # fmt: skip
def test_black_and_white_stays_black_and_white(content: bytes, table: LabelTable, expected: list):
    new = painted(content, data(table), 1)
    assert pixels(new) == expected
    assert mode_of(new) == mode_of(content)


FORMS = [
    ("L", table_of({0: 0, 3: 1})),
    ("P", table_of({0: 0, 3: 1})),
    ("P", table_of({}, {"#000000": 0, "#030303": 1})),
    ("I;16", table_of({0: 0, 3: 1})),
    ("RGB", table_of({}, {"#000000": 0, "#030201": 1})),
    ("RGB", table_of({0: 0, 3: 1}, {"#000000": 0, "#030201": 1})),
]


@given(st.sampled_from(FORMS), st.integers(0, 2**32 - 1))
def test_painting_and_undoing_gives_the_same_pixels(form: tuple[str, LabelTable], seed: int):
    mode, table = form
    random = np.random.default_rng(seed)
    size = (4, 5, 3) if mode == "RGB" else (4, 5)
    content = png(random.integers(0, 5, size).tolist(), mode, list(range(15)) if mode == "P" else None)
    dataset = data(table)
    mask = open_mask(content, PATH, dataset)
    assert repainted(mask, np.zeros((0, 3), np.int64), PATH, dataset) is mask
    class_id, first, number = random.choice(list(mask.paints)), int(random.integers(0, 15)), int(random.integers(1, 6))
    try:
        new = repainted(mask, np.array([[first, number, mask.paints[class_id]]]), PATH, dataset)
    except Uneditable:  # all pixels would be grey, and colours be read as numbers
        assert mode == "RGB"
        assert table.ids
        return
    places = np.arange(first, first + number)
    assert set(new.stored.flat[places].tolist()) == {mask.paints[class_id]}
    rest = np.delete(np.arange(20), places)
    assert np.array_equal(new.stored.flat[rest], mask.stored.flat[rest])
    undo = np.array([[place, 1, mask.stored.flat[place]] for place in places])
    back = repainted(new, undo, PATH, dataset, frozenset(mask.meanings))
    assert pixels(back.content) == pixels(content)
    assert mode_of(back.content) == mode


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([[0, 1, 5]], "The value 5 belongs to no class"),
        ([[5, 2, 1]], "outside"),
        ([[0, 0, 1]], "outside"),
        ([[0, 6, 1]] * 5, "four times"),
    ],
)
def test_changes_that_make_no_sense_are_refused(runs: list, reason: str):
    dataset = data(table_of({0: 0, 1: 1}))
    mask = open_mask(png([[0, 1, 0], [0, 0, 0]], "L"), PATH, dataset)
    with pytest.raises(Uneditable, match=reason):
        repainted(mask, np.array(runs), PATH, dataset)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label_table": LabelTable(ids={0: 0}, divisor=1000)}, "instances"),
        ({"label_table": LabelTable(ids={0: 0}, from_alpha=True)}, "transparency"),
        ({"label_table": LabelTable(ids={0: 0}, tolerance=3)}, "tolerance"),
    ],
)
def test_what_a_brush_cannot_say_is_refused(changes: dict, reason: str):
    with pytest.raises(Uneditable, match=reason):
        open_mask(png([[0]], "L"), PATH, data(**{"table": table_of({0: 0}), **_named(changes)}))


def _named(changes: dict) -> dict:
    return {"table" if name == "label_table" else name: value for name, value in changes.items()}


def test_a_mask_that_states_an_orientation_is_refused():
    exif = Image.Exif()
    exif[274] = 6
    with pytest.raises(Uneditable, match="orientation"):
        open_mask(png([[0, 0]], "L", exif=exif), PATH, data(table_of({0: 0})))
