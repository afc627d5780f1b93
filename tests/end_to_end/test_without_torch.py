"""An exported network predicts the same masks where PyTorch cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtimes.descriptions import sidecar_of, small_sidecar
from videos import read_video, write_video

from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.runtimes.inference import Inference
from pixelwise.runtimes.sidecar import Input, Output, write_sidecar
from pixelwise.storage import sha256_file

BLOCKED = ("torch", "timm", "torchvision", "torchao", "huggingface_hub")
"""What is not installed without `pixelwise[train]`."""
CLASSES = ("road", "sky", "tree")
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); from pixelwise.cli import entry; entry()"


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process in which every import of PyTorch fails."""
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file of one convolution, which sees images through overlapping windows, with its description."""
    onnx = pytest.importorskip("onnx", reason="pip install 'pixelwise[runtime]'")
    folder = tmp_path_factory.mktemp("artefact")
    weights = np.random.default_rng(0).normal(size=(len(CLASSES), 3, 3, 3)).astype(np.float32)
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "weights"], ["logits"], pads=[1, 1, 1, 1])],
        "one",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", len(CLASSES), "h", "w"])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    sidecar = small_sidecar(
        classes=CLASSES,
        palette=((128, 64, 128), (70, 130, 180), (0, 90, 0)),
        input=Input(name="images", dtype="float32", layout="NCHW"),
        output=Output(name="logits", dtype="float32", stride=1, align_corners=False),
        preprocessing=Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
        inference=Inference(resize="area", size=(40, 60), window=(32, 48), window_stride=(24, 36), blend="logits"),
        scoring=sidecar_of().scoring,
        files={"model.onnx": sha256_file(folder / "model.onnx")},
    )
    write_sidecar(sidecar, folder / "model.toml")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(1)
    for number, size in enumerate([(48, 64), (48, 64), (70, 50), (33, 90)] * 3):
        small = generator.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(folder / f"{number:02}.png")
    return folder


def test_masks_are_the_same_byte_for_byte(artefact: Path, photos: Path, tmp_path: Path, run_cli: Callable):
    done = without_torch("predict", artefact / "model.onnx", photos, "-o", tmp_path / "light", "--probabilities")
    assert done.returncode == 0, done.stderr
    assert run_cli(["predict", artefact / "model.onnx", photos, "-o", tmp_path / "full", "--probabilities"]).code == 0

    files = sorted(path.relative_to(tmp_path / "full") for path in (tmp_path / "full").rglob("*.png"))
    assert len(files) == 12
    for file in files:
        assert (tmp_path / "light" / file).read_bytes() == (tmp_path / "full" / file).read_bytes(), file
    # Overlays and the probabilities in 255 steps are there, too.
    names = [
        sorted(path.relative_to(tmp_path / kind) for path in (tmp_path / kind).rglob("*.*"))
        for kind in ("light", "full")
    ]
    assert names[0] == names[1]


def test_a_video_is_predicted_without_pytorch(artefact: Path, photos: Path, tmp_path: Path, run_cli: Callable):
    images = [np.asarray(Image.open(path)) for path in sorted(photos.glob("*.png")) if Image.open(path).height == 48]
    clip = write_video(tmp_path / "clip.mkv", images)
    done = without_torch("predict", artefact / "model.onnx", clip, "-o", tmp_path / "light", "--video-masks", "ffv1")
    assert done.returncode == 0, done.stderr
    assert f"1 video ({len(images)} frames), 1 ok" in done.stdout
    assert run_cli(["predict", artefact / "model.onnx", clip, "-o", tmp_path / "full"]).code == 0

    found = read_video(tmp_path / "light" / "masks" / "clip" / "masks.mkv", "gray").frames
    masks = sorted((tmp_path / "full" / "masks" / "clip").glob("*.png"))
    assert len(found) == len(masks) == len(images)
    for frame, mask in zip(found, masks, strict=True):
        assert np.array_equal(frame, np.asarray(Image.open(mask)))


@pytest.mark.parametrize("arguments", [["train", "photos"], ["profile", "town-demo"]])
def test_what_needs_pytorch_says_how_to_get_it(arguments: list[str], tiny_data: Path):
    done = without_torch(*[str(tiny_data) if word == "photos" else word for word in arguments])
    assert done.returncode == 2, done.stderr
    assert "error[R240]" in done.stderr
    assert "pip install 'pixelwise[train]'" in done.stderr


@pytest.mark.heavy
def test_a_run_says_that_it_needs_pytorch(tmp_path: Path, photos: Path, tiny_run: Path):
    done = without_torch("predict", tiny_run, photos, "-o", tmp_path / "masks")
    assert done.returncode == 2
    assert "error[R240]" in done.stderr
    assert "exported" in done.stderr


def test_data_is_checked_without_it(tiny_data: Path):
    done = without_torch("check", tiny_data)
    assert done.returncode == 0, done.stderr


def test_names_of_the_package_say_so_too():
    code = f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); import pixelwise; pixelwise.train"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "pixelwise.train needs the package torch" in done.stderr
