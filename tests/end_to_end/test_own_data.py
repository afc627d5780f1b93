"""A data folder without a description, from check and training to a report."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pixelwise.cli import app
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.recipes.schema.recipe import Data

WriteOwn = Callable[..., Path]
TINY = [
    "schedule.epochs=null", "schedule.iterations=2", "sampling.batch_size=2", "augment.crop=[32,32]",
    "selection.every_epochs=1", "schedule.warmup_iterations=0", "model.encoder=mobilenetv3_small_050",
    "model.decoder_channels=[8,8]",
]  # fmt: skip


def discs(count: int = 8, size: tuple[int, int] = (40, 48)) -> list[np.ndarray]:
    """bool masks of one disc each, at different places."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return [(rows - 12 - i) ** 2 + (columns - 14 - 2 * i) ** 2 < 90 for i in range(count)]


@pytest.fixture
def write_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteOwn:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(image: Callable[[np.ndarray], np.ndarray], mask: Callable[[np.ndarray], np.ndarray], ending: str) -> Path:
        root = tmp_path / "own"
        for kind in ("images", "masks"):
            (root / kind).mkdir(parents=True)
        for i, disc in enumerate(discs()):
            Image.fromarray(image(disc)).save(root / "images" / f"sample {i}.{ending}")
            Image.fromarray(mask(disc)).save(root / "masks" / f"sample {i}.png")
        return root

    return write


def grey(disc: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(int(disc.argmax())).integers(0, 60, disc.shape)
    return (noise + 120 * disc).astype(np.uint8)


def black_and_white(disc: np.ndarray) -> np.ndarray:
    return disc.astype(np.uint8) * 255


def colored(disc: np.ndarray) -> np.ndarray:
    mask = np.zeros((*disc.shape, 3), np.uint8)
    mask[disc] = (255, 0, 0)
    mask[-6:] = (0, 128, 255)
    return mask


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("mask", "ending", "code", "classes"),
    [
        (black_and_white, "png", "W217", ["background", "object"]),
        (colored, "jpg", "W218", ["#000000", "#0080ff", "#ff0000"]),
    ],
)
def test_grey_images_with_black_and_white_or_colour_masks_go_from_folder_to_report(
    write_own: WriteOwn,
    tmp_path: Path,
    mask: Callable[[np.ndarray], np.ndarray],
    ending: str,
    code: str,
    classes: list[str],
):
    root = write_own(grey, mask, ending)
    checked = msgspec.json.decode(run("check", str(root), "--json"))
    assert [found["code"] for found in checked["findings"] if found["severity"] == "error"] == []
    assert code in [found["code"] for found in checked["findings"]]
    assert checked["classes"] == classes

    out = tmp_path / "run"
    run("train", "unet-resnet18", *TINY, "--data", str(root), "--output", str(out), "--device", "cpu")
    assert (out / "report.html").is_file()
    assert msgspec.json.decode((out / "data.json").read_bytes())["classes"] == classes


@pytest.mark.heavy
def test_annotations_go_from_folder_to_report_too(write_own: WriteOwn, tmp_path: Path):
    root = write_own(grey, black_and_white, "png")
    for mask in (root / "masks").iterdir():
        rows, columns = np.nonzero(np.asarray(Image.open(mask)))
        corners = [[int(columns.min()), int(rows.min())], [int(columns.max()), int(rows.max())]]
        shape = {"label": "disc", "points": corners, "shape_type": "rectangle"}
        file = {"shapes": [shape], "imagePath": mask.name, "imageHeight": 40, "imageWidth": 48}
        (root / "images" / mask.with_suffix(".json").name).write_bytes(msgspec.json.encode(file))
        mask.unlink()
    (root / "masks").rmdir()

    out = tmp_path / "run"
    run("check", str(root))
    run("train", "unet-resnet18", *TINY, "--data", str(root), "--output", str(out), "--device", "cpu")
    assert (out / "report.html").is_file()
    assert "disc = 1" in (out / "recipe.toml").read_text()
    assert run("evaluate", str(out), "--data", str(root), "--device", "cpu")


def test_the_settled_recipe_reads_the_same_labels(write_own: WriteOwn):
    root = write_own(grey, colored, "png")
    dataset = open_dataset(Data(), root)
    again = open_dataset(settled(Data(), dataset), root)
    assert again.label_table == dataset.label_table
    sample = dataset.samples("train")[0]
    assert np.array_equal(read_pair(sample, dataset)[1], read_pair(sample, again)[1])


def test_smoothed_edges_are_not_taken_for_classes(write_own: WriteOwn):
    def smoothed(disc: np.ndarray) -> np.ndarray:
        mask = Image.fromarray(colored(disc))
        return np.asarray(mask.resize((24, 20), Image.Resampling.BILINEAR).resize(mask.size, Image.Resampling.BILINEAR))

    dataset = open_dataset(Data(), write_own(grey, smoothed, "png"))
    assert dataset.classes == ()


def test_jpeg_masks_can_be_read_as_black_and_white(write_own: WriteOwn):
    root = write_own(grey, black_and_white, "png")
    for file in (root / "masks").iterdir():
        Image.open(file).convert("RGB").save(file.with_suffix(".jpg"), quality=80)
        file.unlink()
    dataset = open_dataset(Data(mask_threshold=128), root)
    assert dataset.classes == ("background", "object")
    for i, disc in enumerate(discs()):
        sample = next(s for found in dataset.splits.values() for s in found if s.id == f"sample {i}")
        assert np.array_equal(read_pair(sample, dataset)[1], disc.astype(np.uint8))


def test_class_times_1000_plus_instance_is_read_with_a_divisor(write_own: WriteOwn):
    def instances(disc: np.ndarray) -> np.ndarray:
        return np.where(disc, 1004, 0).astype(np.uint16)

    root = write_own(grey, instances, "png")
    assert [problem.code for problem in open_dataset(Data(), root).problems] == ["D204"]
    dataset = open_dataset(Data(instance_divisor=1000), root)
    assert (dataset.classes, dataset.problems) == (("class_0", "class_1"), ())
    sample = dataset.samples("train")[0]
    assert set(read_pair(sample, dataset)[1].ravel().tolist()) == {0, 1}
