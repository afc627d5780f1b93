from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.datasets.labels import table_of
from pixelwise.errors import DataError, RecipeError, ResourceError
from pixelwise.prediction.predict import predict_paths
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.class_sets.tables import CITYSCAPES

CITYSCAPES_IDS = np.array([7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33])
LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 8), np.uint8))


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(GreyModel(), palette=PALETTE)


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    for number, name in enumerate(("a.png", "day/b.png", "day/c.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image_of((LABELS + number) % 4)).save(folder / name)
    return folder


def written(output: Path) -> list[str]:
    """The files of a prediction, without its receipts."""
    names = (path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith(".receipts/"))


def problems(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "problems.jsonl").read_text().splitlines()]


def test_a_folder_becomes_the_same_tree_of_masks_and_overlays(segmenter, photos, tmp_path):
    summary = predict_paths(segmenter, [photos], tmp_path / "out")

    assert (summary.ok, summary.failed, summary.problems) == (3, 0, ())
    assert written(tmp_path / "out") == [
        "classes.json",
        "masks/a.png", "masks/day/b.png", "masks/day/c.png",
        "overlays/a.jpg", "overlays/day/b.jpg", "overlays/day/c.jpg",
    ]  # fmt: skip


def test_pixel_values_of_a_mask_are_class_ids_and_its_colours_the_palette(segmenter, photos, tmp_path):
    predict_paths(segmenter, [photos], tmp_path / "out")

    mask = Image.open(tmp_path / "out" / "masks" / "day" / "b.png")
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), (LABELS + 1) % 4)
    assert mask.convert("RGB").getpixel((0, 0)) == PALETTE[1]


def test_an_overlay_shows_image_and_colours(segmenter, photos, tmp_path):
    predict_paths(segmenter, [photos / "a.png"], tmp_path / "out", alpha=1.0, palette="cvd")

    overlay = np.asarray(Image.open(tmp_path / "out" / "overlays" / "a.jpg")).astype(int)
    assert overlay.shape == (16, 16, 3)
    assert np.abs(overlay[4, 4] - np.array(colorblind_palette(4)[0])).max() < 8


def test_the_meaning_of_the_ids_is_written_beside_them(segmenter, photos, tmp_path):
    predict_paths(segmenter, [photos], tmp_path / "out")

    facts = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert [entry["name"] for entry in facts["classes"]] == list(CLASSES)
    assert facts["classes"][0] == {"id": 0, "name": "grass", "color": "#008000"}
    assert facts["ignore"] == 255


def test_overlays_can_be_left_out(segmenter, photos, tmp_path):
    predict_paths(segmenter, [photos], tmp_path / "out", overlay=False)

    assert not (tmp_path / "out" / "overlays").exists()


def test_a_bad_file_is_skipped_and_written_down(segmenter, photos, tmp_path):
    (photos / "day" / "bad.jpg").write_bytes(b"<html>404</html>")

    summary = predict_paths(segmenter, [photos], tmp_path / "out")

    assert (summary.ok, summary.failed) == (3, 1)
    (problem,) = problems(tmp_path / "out")
    assert problem["file"].endswith("day/bad.jpg")
    assert problem["code"] == "D102"
    assert "a web page" in problem["message"]
    assert problem["help"]
    assert summary.problems[0].code == "D102"


def test_strict_stops_at_the_first_bad_file(segmenter, photos, tmp_path):
    (photos / "bad.jpg").write_bytes(b"")

    with pytest.raises(DataError, match=r"bad\.jpg"):
        predict_paths(segmenter, [photos], tmp_path / "out", strict=True)


def test_problems_of_an_earlier_call_are_forgotten(segmenter, photos, tmp_path):
    (photos / "bad.jpg").write_bytes(b"")
    predict_paths(segmenter, [photos], tmp_path / "out")
    (photos / "bad.jpg").unlink()

    predict_paths(segmenter, [photos], tmp_path / "out")

    assert not (tmp_path / "out" / "problems.jsonl").exists()


def test_a_second_call_writes_the_same_bytes(segmenter, photos, tmp_path):
    predict_paths(segmenter, [photos], tmp_path / "out")
    first = {name: (tmp_path / "out" / name).read_bytes() for name in written(tmp_path / "out")}

    predict_paths(segmenter, [photos], tmp_path / "out")

    assert {name: (tmp_path / "out" / name).read_bytes() for name in written(tmp_path / "out")} == first


def test_two_images_of_one_stem_get_two_masks(segmenter, photos, tmp_path):
    Image.fromarray(image_of(LABELS)).save(photos / "a.bmp")

    predict_paths(segmenter, [photos], tmp_path / "out", overlay=False)

    assert "masks/a.bmp.png" in written(tmp_path / "out")
    assert "masks/a.png.png" in written(tmp_path / "out")


def test_masks_of_the_user_are_never_written_over(segmenter, tmp_path):
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "masks").mkdir()
    Image.fromarray(image_of(LABELS)).save(data / "images" / "a.png")
    (data / "masks" / "a.png").write_bytes(b"weeks of work")

    with pytest.raises(RecipeError, match=r"classes\.json") as caught:
        predict_paths(segmenter, [data / "images"], data)

    assert caught.value.code == "R221"
    assert str(data / "masks") in caught.value.message
    assert (data / "masks" / "a.png").read_bytes() == b"weeks of work"
    assert written(data) == ["images/a.png", "masks/a.png"]


def test_the_input_is_left_as_it_was(segmenter, photos, tmp_path):
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}

    predict_paths(segmenter, [photos], tmp_path / "out")

    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before


def test_predictions_below_the_input_folder_are_not_predicted_again(segmenter, photos):
    predict_paths(segmenter, [photos], photos / "out")

    summary = predict_paths(segmenter, [photos], photos / "out")

    assert summary.ok == 3


def test_progress_counts_every_file(segmenter, photos, tmp_path):
    (photos / "bad.jpg").write_bytes(b"")
    seen = []

    predict_paths(segmenter, [photos], tmp_path / "out", progress=lambda *counts: seen.append(counts))

    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_full_disk_ends_the_work_with_what_is_missing(segmenter, photos, tmp_path, monkeypatch):
    def full(path, data):
        raise ResourceError("S601", f"{path}: not enough space", "free some")

    segmenter.predict(image_of(LABELS))
    monkeypatch.setattr("pixelwise.prediction.outcomes.write_bytes", full)

    with pytest.raises(ResourceError) as caught:
        predict_paths(segmenter, [photos], tmp_path / "out")

    assert caught.value.code == "S601"


@pytest.mark.parametrize("options", [{"alpha": 2.0}, {"palette": "neon"}])
def test_an_impossible_overlay_is_refused_before_anything_is_written(segmenter, photos, tmp_path, options):
    with pytest.raises(ValueError, match=r"alpha|palette"):
        predict_paths(segmenter, [photos], tmp_path / "out", **options)

    assert not (tmp_path / "out").exists()


def test_masks_can_be_written_for_a_benchmarks_server(photos, tmp_path):
    segmenter = Segmenter(GreyModel(CITYSCAPES.names))
    summary = predict_paths(segmenter, [photos / "a.png"], tmp_path / "out", mask_format="cityscapes")

    assert summary.ok == 1
    mask = Image.open(tmp_path / "out" / "masks" / "a.png")
    expected = segmenter.predict(photos / "a.png").labels
    assert mask.mode == "L"
    assert np.array_equal(CITYSCAPES_IDS[expected], np.asarray(mask))
    listed = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert [entry["id"] for entry in listed["classes"]] == CITYSCAPES_IDS.tolist()
    assert listed["ignore"] == 0


def test_a_format_of_other_classes_is_refused_before_anything_is_written(segmenter, photos, tmp_path):
    with pytest.raises(RecipeError, match="'voc'") as caught:
        predict_paths(segmenter, [photos], tmp_path / "out", mask_format="voc")

    assert caught.value.code == "R222"
    assert not (tmp_path / "out").exists()


def test_mask_names_are_valid_on_every_system(segmenter, tmp_path):
    for name in ("aux.png", "12:30.png", "plain.png"):
        Image.fromarray(image_of(LABELS)).save(tmp_path / name)
    summary = predict_paths(segmenter, [tmp_path], tmp_path / "out", overlay=False)
    assert summary.ok == 3
    assert written(tmp_path / "out" / "masks") == ["12_30.png", "aux_.png", "plain.png"]


POSITION = [
    (33550, "d", 3, (0.5, 0.5, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
]


def test_what_is_left_out_is_said(segmenter, photos, tmp_path):
    (photos / "photo.heic").write_bytes(b"x")
    frames = [Image.fromarray(image_of((LABELS + number) % 4)) for number in range(2)]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    tifffile.imwrite(
        photos / "turned.tif",
        image_of(LABELS),
        photometric="rgb",
        metadata=None,
        extratags=[*POSITION, (274, "H", 1, 6, True)],
    )
    told = []

    summary = predict_paths(segmenter, [photos], tmp_path / "out", warn=lambda code, text: told.append((code, text)))

    assert (summary.ok, summary.failed) == (5, 0)
    assert [(one.code, [Path(file).name for file in one.files]) for one in summary.warnings] == [
        ("W215", ["photo.heic"]),
        ("W107", ["moving.gif"]),
        ("W160", ["turned.tif"]),
    ]
    assert [code for code, _ in told] == ["W215", "W107", "W160"]
    assert "masks/turned.png" in written(tmp_path / "out")


def test_masks_can_have_the_values_of_the_training_data(segmenter, photos, tmp_path):
    said: list[str] = []
    segmenter.label_table = table_of({10: 0, 20: 1, 21: 1, 30: 2, 40: 3})
    out = tmp_path / "out"
    predict_paths(segmenter, [photos], out, mask_format="original", warn=lambda code, message: said.append(code))
    assert np.array_equal(np.asarray(Image.open(out / "masks" / "a.png")), np.array([10, 20, 30, 40])[LABELS])
    assert said == ["W161"]  # 20 and 21 are one class
    assert [one["id"] for one in json.loads((out / "classes.json").read_text())["classes"]] == [10, 20, 30, 40]
    segmenter.label_table = None
    with pytest.raises(RecipeError, match="labels were drawn") as caught:
        predict_paths(segmenter, [photos], tmp_path / "other", mask_format="original")
    assert caught.value.code == "R222"
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("kind", "files"),
    [("coco", ["polygons/annotations.json"]), ("labelme", ["polygons/a.json", "polygons/day/b.json"])],
)
def test_outlines_can_be_written_for_editors(segmenter, photos, tmp_path, kind, files):
    (photos / "day" / "c.png").write_bytes(b"no image")
    summary = predict_paths(segmenter, [photos], tmp_path / "out", polygons=kind, overlay=False)
    assert (summary.ok, summary.failed) == (2, 1)
    assert [name for name in written(tmp_path / "out") if name.startswith("polygons")] == files


def test_overlays_can_have_a_legend(segmenter, photos, tmp_path):
    predict_paths(segmenter, [photos / "a.png"], tmp_path / "out", legend=True)
    assert Image.open(tmp_path / "out" / "overlays" / "a.jpg").height > 16
