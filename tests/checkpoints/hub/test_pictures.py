from __future__ import annotations

import io
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from pixelwise.checkpoints.hub.pictures import sample_pictures
from pixelwise.records.details import SavedSample, SavedSamples
from pixelwise.records.scores import ImageScore


def kept(folder: Path, kinds: list[str]) -> Path:
    """An evaluation that has kept an image of each kind: photo red, labels green, prediction blue."""
    samples = folder / "samples"
    samples.mkdir(parents=True)
    saved = []
    for number, kind in enumerate(kinds):
        names = {part: f"{number:02d}-{part}.png" for part in ("photo", "truth", "prediction")}
        for color, name in zip(((255, 0, 0), (0, 255, 0), (0, 0, 255)), names.values(), strict=True):
            Image.fromarray(np.full((30, 60, 3), color, np.uint8)).save(samples / name)
        score = ImageScore(id=f"patient-{number}", miou=0.5, pixel_accuracy=0.5, labelled_pixels=3, iou=(0.5,))
        saved.append(SavedSample(kind=kind, score=score, height=30, width=60, **names))  # type: ignore[arg-type]
    listed = SavedSamples(classes=("a",), palette=((1, 2, 3),), samples=tuple(saved))
    (samples / "samples.json").write_bytes(msgspec.json.encode(listed))
    return folder


def test_photo_labels_and_prediction_stand_side_by_side(tmp_path: Path):
    [(name, content)] = sample_pictures(kept(tmp_path, ["worst"])).items()
    assert name == "samples/worst-1.jpg"
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (3 * 480 + 8, 240)
    assert picture.getexif() == {}
    for place, channel in ((240, 0), (724, 1), (1208, 2)):
        pixel = picture.getpixel((place, 120))
        assert isinstance(pixel, tuple)
        assert np.argmax(pixel) == channel


def test_few_images_of_every_kind_are_chosen_under_names_that_say_nothing(tmp_path: Path):
    kinds = ["worst"] * 4 + ["median"] * 3 + ["best"] * 5 + ["spread"] * 9
    found = sample_pictures(kept(tmp_path, kinds))
    assert list(found) == [f"samples/{kind}-{number}.jpg" for kind in ("worst", "median", "best") for number in (1, 2)]


def test_an_evaluation_that_kept_none_has_none(tmp_path: Path):
    assert sample_pictures(tmp_path) == {}
