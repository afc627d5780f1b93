from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.prediction.labelling.encoding import Encoding, describe, encoding_of
from pixelwise.prediction.mask_formats import mask_code
from pixelwise.prediction.segmenter import Segmenter

IDS = Encoding("ids", (0, 1, 2, 3), 255)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (None, IDS),
        (LabelTable(colors={"#000000": 0, "#ffffff": 1, "#ff0000": 2, "#00ff00": 3}), IDS),
        (table_of({0: 0, 1: 1, 2: 2, 3: 3, 11: 255}), Encoding("original", (0, 1, 2, 3), 11)),
        (table_of({7: 0, 8: 1, 11: 2, 26: 3, 0: 255}), Encoding("original", (7, 8, 11, 26), 0)),
        (table_of({0: 0, 100: 1, 200: 2, 255: 3}), IDS),  # no value is left for open pixels
    ],
)
def test_masks_are_read_as_they_were_meant(tmp_path: Path, table: LabelTable | None, expected: Encoding):
    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    segmenter.label_table = table
    encoding = encoding_of(segmenter)
    assert encoding == expected
    labels = np.array([[0, 1, 2], [3, 255, 0]], np.uint8)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name in "abcdefgh":
        Image.fromarray(image_of(labels)).save(tmp_path / "images" / f"{name}.png")
        png = mask_code(encoding.format, CLASSES, PALETTE, table).png(labels)
        (tmp_path / "masks" / f"{name}.png").write_bytes(png)
    describe(tmp_path, segmenter, encoding)
    _, dataset = open_folder(tmp_path, ())
    assert dataset.classes == CLASSES
    assert tuple(dataset.palette) == PALETTE
    assert np.array_equal(read_labels(dataset.splits["train"][0], dataset), labels)
