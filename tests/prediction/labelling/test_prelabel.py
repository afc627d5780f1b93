import json
from pathlib import Path

import numpy as np
import pytest
from evaluation.color_model import CLASSES, PALETTE, GreyModel, image_of
from PIL import Image
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.datasets.opening import open_folder
from pixelwise.errors import DataError, RecipeError
from pixelwise.prediction.labelling.prelabel import prelabel_paths
from pixelwise.prediction.segmenter import Segmenter

LABELS = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((8, 8), np.uint8))


class SharpModel(GreyModel):
    """As certain as a trained network: grey values between those of two classes give them equal probabilities."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (400 * super().head_logits(images)[0],)


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(SharpModel(), palette=PALETTE)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images that are clear, and one whose upper left quarter is between the first two classes."""
    folder = tmp_path / "photos"
    (folder / "day").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "day/unclear.png")):
        image = image_of((LABELS + number) % 4)
        if number == 2:
            image[:8, :8] = 30
        Image.fromarray(image).save(folder / name)
    return folder


def mask(output: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(output / "masks" / f"{name}.png"))


def test_a_data_set_with_open_pixels_is_written(segmenter: Segmenter, photos: Path, tmp_path: Path):
    output = tmp_path / "out"
    summary = prelabel_paths(segmenter, [photos], output)
    assert (summary.predicted.ok, summary.corrected, summary.queued) == (3, 0, 3)
    assert (summary.pixels, summary.kept) == (3 * 256, 3 * 256 - 64)
    assert summary.open_share == pytest.approx(1 / 12)
    assert np.array_equal(mask(output, "a"), LABELS)
    expected = (LABELS + 2) % 4
    expected[:8, :8] = 255
    assert np.array_equal(mask(output, "day/unclear"), expected)
    assert (output / "images" / "a.png").read_bytes() == (photos / "a.png").read_bytes()
    assert sorted(path.name for path in output.iterdir() if path.name[0] != ".") == [
        "dataset.toml", "images", "masks", "prelabel.json", "queue.json",
    ]  # fmt: skip
    _, dataset = open_folder(output, ())
    assert dataset.classes == CLASSES
    assert sum(len(samples) for samples in dataset.splits.values()) == 3
    queue = json.loads((output / "queue.json").read_text())
    assert queue["images"][0]["image"] == "images/day/unclear.png"
    assert "undecided between grass and path" in queue["images"][0]["reasons"][1]


def test_the_same_call_again_predicts_nothing_and_orders_as_before(segmenter: Segmenter, photos: Path, tmp_path: Path):
    prelabel_paths(segmenter, [photos], tmp_path / "out")
    queue = (tmp_path / "out" / "queue.json").read_bytes()
    segmenter.model.sizes.clear()
    again = prelabel_paths(segmenter, [photos], tmp_path / "out")
    assert (again.predicted.ok, again.predicted.kept, segmenter.model.sizes) == (3, 3, [])
    assert (tmp_path / "out" / "queue.json").read_bytes() == queue


def test_another_threshold_makes_masks_again_but_for_corrected_ones(segmenter: Segmenter, photos: Path, tmp_path: Path):
    output = tmp_path / "out"
    prelabel_paths(segmenter, [photos], output)
    corrected = np.full((16, 16), 3, np.uint8)
    Image.fromarray(corrected).save(output / "masks" / "a.png")
    for options in ({"sure": 0.25}, {"sure": 0.25, "again": True}):
        summary = prelabel_paths(segmenter, [photos], output, **options)
        assert (summary.predicted.ok, summary.predicted.kept, summary.corrected, summary.queued) == (2, 0, 1, 2)
        assert np.array_equal(mask(output, "a"), corrected)
        assert summary.kept == summary.pixels == 2 * 256
    assert json.loads((output / "queue.json").read_text())["corrected"] == 1


def test_a_mask_that_somebody_put_there_is_corrected(segmenter: Segmenter, photos: Path, tmp_path: Path):
    output = tmp_path / "out"
    prelabel_paths(segmenter, [photos / "b.png"], output)
    Image.fromarray(LABELS).save(output / "masks" / "a.png")
    before = (output / "masks" / "a.png").read_bytes()
    assert prelabel_paths(segmenter, [photos], output).corrected == 1
    assert (output / "masks" / "a.png").read_bytes() == before


@pytest.mark.parametrize("there", ["masks/a.png", "images/a.png", "dataset.toml"])
def test_labels_of_somebody_are_not_taken_for_pre_labels(
    segmenter: Segmenter, photos: Path, tmp_path: Path, there: str
):
    path = tmp_path / "out" / there
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weeks of work")
    with pytest.raises(RecipeError, match="not pre-labels") as refused:
        prelabel_paths(segmenter, [photos], tmp_path / "out")
    assert refused.value.code == "R221"
    assert path.read_bytes() == b"weeks of work"


def test_masks_of_other_classes_are_not_mixed(segmenter: Segmenter, photos: Path, tmp_path: Path):
    prelabel_paths(segmenter, [photos], tmp_path / "out")
    other = Segmenter(SharpModel(("wood", "path", "pond", "hut")), palette=PALETTE)
    with pytest.raises(RecipeError, match="pre-labels of other classes or values: grass, path"):
        prelabel_paths(other, [photos], tmp_path / "out")


def test_networks_that_have_no_pre_labels_are_refused(segmenter: Segmenter, photos: Path, tmp_path: Path):
    segmenter.model.multilabel = True
    with pytest.raises(RecipeError, match="multi-label") as refused:
        prelabel_paths(segmenter, [photos], tmp_path / "out")
    assert refused.value.code == "R222"
    assert not (tmp_path / "out").exists()


def test_bad_files_are_listed_and_tried_again(segmenter: Segmenter, photos: Path, tmp_path: Path):
    good = (photos / "a.png").read_bytes()
    (photos / "a.png").write_bytes(good[:40])
    summary = prelabel_paths(segmenter, [photos], tmp_path / "out")
    assert (summary.predicted.ok, summary.predicted.failed, summary.queued) == (2, 1, 2)
    assert "a.png" in (tmp_path / "out" / "problems.jsonl").read_text()
    with pytest.raises(DataError):
        prelabel_paths(segmenter, [photos], tmp_path / "out", strict=True)
    (photos / "a.png").write_bytes(good)
    summary = prelabel_paths(segmenter, [photos], tmp_path / "out")
    assert (summary.predicted.ok, summary.predicted.kept, summary.queued) == (3, 2, 3)


class Halves(Encoder):
    """An encoder whose coarsest map holds the grey value of the image, and the half of it."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        grey = images.mean(1, keepdim=True)
        return [images, grey.expand(-1, 2, -1, -1) * images.new_tensor([1.0, 0.5]).view(1, 2, 1, 1)]


class Encoding(SharpModel):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = Halves()

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        self.encoder(images)
        return super().head_logits(images)


def test_an_encoder_says_how_an_image_looks_and_is_left_as_it_was(photos: Path, tmp_path: Path):
    segmenter = Segmenter(Encoding(), palette=PALETTE)
    prelabel_paths(segmenter, [photos], tmp_path / "out")
    first = json.loads((tmp_path / "out" / ".signals" / "a.json").read_text())["features"]
    assert len(first) == 2
    assert first[0] == pytest.approx(2 * first[1], rel=1e-3)
    assert not segmenter.model.encoder._forward_hooks
    assert "predict" not in vars(segmenter)
