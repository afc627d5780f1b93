"""Images of other bands than RGB, from a folder to a report, by the same commands as photos."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from pixelwise.cli import app

TINY = [
    "--weights", "none", "--device", "cpu", "schedule.epochs=null", "schedule.iterations=2", "sampling.batch_size=2",
    "augment.crop=[32,32]", "selection.every_epochs=1", "schedule.warmup_iterations=0",
    "model.encoder=mobilenetv3_small_050", "model.decoder_channels=[8,8]",
]  # fmt: skip
SIZE = (40, 48)


def disc(index: int) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (rows - 12 - index) ** 2 + (columns - 14 - 2 * index) ** 2 < 90


def sensor(index: int) -> np.ndarray:
    """uint16 (H, W, 5): a disc that is bright in the fourth band alone."""
    bands = np.random.default_rng(index).normal(900, 100, (*SIZE, 5))
    bands[..., 3] += 1500 * disc(index)
    return bands.astype(np.uint16)


def write(root: Path, save: Callable[[Path, int], None]) -> Path:
    for split, indices in (("train", range(6)), ("val", range(6, 9))):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in indices:
            save(root / "images" / split / f"{index}", index)
            Image.fromarray(disc(index).astype(np.uint8)).save(root / "masks" / split / f"{index}.png")
    return root


def tiff(path: Path, index: int) -> None:
    bands = np.moveaxis(sensor(index), 2, 0)
    tifffile.imwrite(path.with_suffix(".tif"), bands, photometric="minisblack", planarconfig="separate")


def thermal(path: Path, index: int) -> None:
    np.save(path.with_suffix(".npy"), sensor(index)[..., 3].astype(np.float32))


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.heavy
@pytest.mark.parametrize(("save", "channels"), [(tiff, (3, 2, 1, 0, 4)), (thermal, (0,))])
def test_bands_go_from_folder_to_report(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[[Path, int], None],
    channels: tuple[int, ...],
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root, out = write(tmp_path / "own", save), tmp_path / "run"
    read = [f"data.channels={list(channels)}", "data.input_range=[0,4000]"]
    bytes_of = np.stack([np.clip(sensor(i) * (255 / 4000) + 0.5, 0, 255).astype(np.uint8) for i in range(6)]) / 255
    pixels = bytes_of[..., list(channels) if len(channels) > 1 else [3]].reshape(-1, len(channels))

    run("check", str(root), code=3)  # nobody said which bands
    page, recipe = tmp_path / "check.html", tmp_path / "own.toml"
    run("check", str(root), *read, "--html", str(page), "--write", str(recipe))
    assert page.read_text().count("data:image/jpeg") == 9
    assert f"mean = [{', '.join(f'{value:.4f}' for value in pixels.mean(0))}]" in recipe.read_text()
    measured = msgspec.json.decode(run("data", "stats", str(root), *read, "--json"))["suggestions"]
    assert measured["std"] == pytest.approx(pixels.std(0), abs=1e-6)

    said = run("train", "unet-resnet18", *TINY, *read, "--data", str(root), "--output", str(out))
    assert re.search(rf"model\.preprocessing .*?\b{len(channels)}\b.*?\btrain\b", said, re.DOTALL)
    normalised = msgspec.toml.decode((out / "recipe.toml").read_bytes())["model"]["preprocessing"]
    assert normalised["mean"] == pytest.approx(pixels.mean(0), abs=1e-6)
    assert (out / "report.html").read_text().count("data:image/jpeg") == 3

    run("resume", str(out), "schedule.iterations=3", "--device", "cpu")
    assert msgspec.toml.decode((out / "recipe.toml").read_bytes())["model"]["preprocessing"] == normalised
    run("evaluate", str(out), "--device", "cpu", "--protocol", "slide-1024x1024")
    run("predict", str(out), str(root / "images" / "val"), "--output", str(tmp_path / "masks"), "--window", "24x16")
    assert len(list((tmp_path / "masks" / "masks").iterdir())) == 3
    with Image.open(tmp_path / "masks" / "overlays" / "6.jpg") as overlay:
        assert (overlay.mode, overlay.size) == ("RGB", (SIZE[1], SIZE[0]))
