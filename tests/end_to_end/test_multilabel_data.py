"""Multi-label data (overlapping shapes) through check, training, evaluation, prediction and report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pixelwise
from pixelwise.checkpoints.checkpoint import newest_checkpoint, remove_later_checkpoints
from pixelwise.cli import app
from pixelwise.errors import RecipeError
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training.runs import resume, train

TINY = [
    "schedule.epochs=null", "schedule.iterations=4", "sampling.batch_size=2", "augment.crop=[32,32]",
    "selection.every_epochs=1", "schedule.warmup_iterations=0", "model.encoder=mobilenetv3_small_050",
    "model.decoder_channels=[8,8]", "augment.class_crop=0.5",
]  # fmt: skip


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten images of a disc and a bar that overlap; the bar is missing in every third one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "shapes"
    rows, columns = np.mgrid[:40, :48]
    for number in range(10):
        random = np.random.default_rng(number)
        disc = (rows - random.integers(10, 30)) ** 2 + (columns - random.integers(14, 34)) ** 2 < 90
        bar = (abs(columns - random.integers(10, 38)) < 5) & (number % 3 > 0)
        image = np.stack([80 + 150 * disc, 80 + 150 * bar, 80 + 0 * disc], -1) + random.integers(0, 20, (40, 48, 3))
        for folder, pixels in (("images", image), ("masks/disc", 255 * disc), ("masks/bar", 255 * bar)):
            if folder != "masks/bar" or bar.any():
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(root / folder / f"{number:02}.png")
    return root


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.heavy
def test_overlapping_shapes_go_from_folder_to_report(shapes: Path, tmp_path: Path):
    folder = tmp_path / "run"
    checked = json.loads(run("check", str(shapes), "--json"))
    assert (checked["multilabel"], checked["classes"]) == (True, ["bar", "disc"])
    assert list(checked["suggestions"]["class_weights"]) == ["inverse-sqrt"]
    run("check", str(shapes), "--html", str(tmp_path / "check.html"))
    assert re.search(r"\b10 images\b.*\bbar 6, disc 10\b", (tmp_path / "check.html").read_text("utf-8"))
    run("train", "unet-resnet18", "--data", str(shapes), "--output", str(folder), "--threads", "1", *TINY)
    assert "multilabel = true" in (folder / "recipe.toml").read_text()
    result = json.loads(run("evaluate", str(folder), "--json", "--split", "train"))
    assert [entry["name"] for entry in result["per_class"]] == ["bar", "disc"]
    assert result["confusion_matrix"] == []
    assert len(result["binary_counts"]) == 2
    # The scores of a prediction are those of the result: the same network, thresholded at the same place.
    run("predict", str(folder), str(shapes / "images"), "--output", str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir()) == ["bar", "disc"]
    with Image.open(tmp_path / "out" / "masks" / "disc" / "03.png") as mask:
        written = np.asarray(mask)
    prediction = pixelwise.load(folder).predict(shapes / "images" / "03.png")
    assert np.array_equal(written, 255 * prediction.labels[1])
    run("report", str(folder))
    page = (folder / "report.html").read_text("utf-8")
    assert "True positives" in page
    assert 'class="matrix' not in page
    assert "multi-label" in page.lower()


@pytest.mark.heavy
def test_an_interrupted_run_ends_as_one_that_was_not(shapes: Path, tmp_path: Path):
    def final(folder: Path) -> dict[str, str]:
        checkpoint = newest_checkpoint(folder / "checkpoints")
        assert checkpoint is not None
        return {name: file.sha256 for name, file in checkpoint.manifest.files.items() if name != "state.json"}

    options = [
        *TINY,
        "checkpoints.every_steps=1",
        "checkpoints.keep=9",
        "selection.every_epochs=0",
        "selection.weights=last",
    ]
    whole = train("unet-resnet18", shapes, tmp_path / "whole", overrides=options, device="cpu", threads=1)
    expected = final(whole)
    remove_later_checkpoints(whole / "checkpoints", 2)
    assert final(whole) != expected
    resume(whole, overrides=["data.workers=2"])
    assert final(whole) == expected


@pytest.mark.heavy
def test_dataset_toml_can_say_so_and_the_override_can(shapes: Path, tmp_path: Path):
    (shapes / "dataset.toml").write_text('classes = ["disc", "bar"]\nmultilabel = true\n')
    run_folder = train("unet-resnet18", shapes, tmp_path / "run", overrides=TINY, device="cpu", threads=1)
    data = msgspec.json.decode((run_folder / "data.json").read_bytes())
    assert data["classes"] == ["disc", "bar"]
    assert len(data["class_weights"]) == 2
    assert apply_overrides(pixelwise.recipe("unet-resnet18"), ["data.multilabel=true"]).data.multilabel


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("loss.lovasz=1", "loss.lovasz"),
        ("loss.boundary=1", "loss.boundary"),
        ("loss.class_weights=enet", "class_weights=enet"),
        ("augment.mix=classmix", "classmix"),
        ("augment.max_class_share=0.75", "max_class_share"),
    ],
)
def test_what_needs_one_class_per_pixel_is_refused_before_the_files_are_read(
    shapes: Path, tmp_path: Path, override: str, named: str
):
    (shapes / "images" / "00.png").write_bytes(b"damaged")
    with pytest.raises(RecipeError, match=named):
        train("unet-resnet18", shapes, tmp_path / "run", overrides=[*TINY, override], device="cpu")
    with pytest.raises(RecipeError, match=named):
        apply_overrides(pixelwise.recipe("unet-resnet18"), ["data.multilabel=true", override])
    assert not (tmp_path / "run").exists()
