"""The snippet of docs/deployment.md: an artefact needs neither PyTorch nor this package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from deployment.export.documented import snippet
from PIL import Image

from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported
from pixelwise.prediction.loading import load

ALLOWED = ("onnxruntime", "numpy", "Pillow")
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "pixelwise", "cv2", "timm"}:
            raise ModuleNotFoundError("blocked: " + name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(draw_scene(0, 2, (75, 110))[0]).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def check(python: list[str], code: str, exported: Exported, photo: Path) -> None:
    script, output = photo.with_name("run.py"), photo.with_name("mask.png")
    script.write_text(code, "utf-8")
    done = subprocess.run(
        [*python, script, exported.path.parent, photo, output], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    expected = load(exported.path).predict(photo)
    mask = Image.open(output)
    assert (np.asarray(mask) == expected.labels).mean() >= 0.9999
    palette = mask.getpalette() or []
    assert tuple(palette[:3]) == expected.palette[0]


def test_the_snippet_is_short() -> None:
    assert len(snippet().splitlines()) < 90


def test_the_snippet_runs_where_torch_cannot_be_imported(any_size: Exported, photo: Path) -> None:
    check([sys.executable], BLOCKER + snippet(), any_size, photo)


def test_the_snippet_runs_an_artefact_of_one_size_with_float_input(one_size: Exported, photo: Path) -> None:
    check([sys.executable], BLOCKER + snippet(), one_size, photo)


def test_the_snippet_refuses_a_damaged_file(any_size: Exported, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "model.toml").write_bytes((any_size.path.parent / "model.toml").read_bytes())
    (folder / "model.onnx").write_bytes(any_size.path.read_bytes()[:-1])
    script = tmp_path / "run.py"
    script.write_text(snippet(), "utf-8")

    done = subprocess.run(
        [sys.executable, script, folder, photo, tmp_path / "mask.png"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "model.onnx" in done.stderr.strip().splitlines()[-1]


@pytest.mark.heavy
def test_the_snippet_runs_in_an_environment_of_three_packages(
    any_size: Exported, photo: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = str(environment / "bin" / "python")
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", *ALLOWED], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"pip cannot install {', '.join(ALLOWED)}: {installed.stderr.strip()[-200:]}")
    for absent in ("torch", "pixelwise"):
        assert (
            subprocess.run([python, "-I", "-c", f"import {absent}"], capture_output=True, check=False).returncode == 1
        )

    check([python, "-I"], snippet(), any_size, photo)
