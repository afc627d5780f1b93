from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import to_plain
from pixelwise.runtimes.sidecar import (
    Complexity,
    Input,
    Licence,
    Output,
    Score,
    Sidecar,
    Verification,
    read_sidecar,
    write_sidecar,
)
from pixelwise.storage import sha256_bytes

CONTENT = b"not a real graph"


def sidecar_of(**changes: object) -> Sidecar:
    sidecar = Sidecar(
        runtime="onnx",
        recipe_name="town-demo",
        recipe_hash="0" * 64,
        classes=("road", "sky"),
        palette=((128, 64, 128), (70, 130, 180)),
        preprocessing=Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)),
        input=Input(name="images", dtype="uint8", layout="NHWC", size=(48, 64), batch=1),
        output=Output(name="labels", dtype="uint8", stride=1, align_corners=False),
        protocol="native",
        complexity=Complexity(parameters=10, macs=1000, size=(48, 64)),
        licence=Licence(weights="none", code="MIT"),
        weights_sha256="",
        files={"model.onnx": sha256_bytes(CONTENT)},
        versions={"torch": "2.15.0"},
        score=Score(miou=0.5, protocol="native", split="val"),
        verification=Verification(images=4, source="scenes", equal_pixels=1.0, least_equal_pixels=0.9999),
        recipe=to_plain(recipe("town-demo")),
    )
    return msgspec.structs.replace(sidecar, **changes)


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(CONTENT)
    write_sidecar(sidecar_of(), tmp_path / "model.toml")
    return tmp_path


@pytest.mark.parametrize("given", ["", "model.onnx", "model.toml"])
def test_what_is_written_is_read_by_folder_or_file(artefact: Path, given: str) -> None:
    sidecar, file = read_sidecar(artefact / given)

    assert sidecar == sidecar_of()
    assert file == artefact / "model.onnx"


def test_the_recipe_comes_back(artefact: Path) -> None:
    sidecar, file = read_sidecar(artefact)

    assert sidecar.resolved_recipe(file) == recipe("town-demo")


def test_what_is_unset_is_an_absent_key(tmp_path: Path) -> None:
    write_sidecar(sidecar_of(score=None, verification=None), tmp_path / "model.toml")

    plain = tomllib.loads((tmp_path / "model.toml").read_text("utf-8"))
    assert "score" not in plain
    assert "verification" not in plain


def test_a_color_takes_one_line(artefact: Path) -> None:
    assert "[128, 64, 128]" in (artefact / "model.toml").read_text("utf-8")


def test_a_changed_byte_is_found(artefact: Path) -> None:
    (artefact / "model.onnx").write_bytes(CONTENT[:-1] + b"H")

    with pytest.raises(CheckpointError, match=r"model\.onnx has SHA-256 .*, expected") as caught:
        read_sidecar(artefact)
    assert caught.value.code == "K462"


def test_a_missing_file_is_named(artefact: Path) -> None:
    (artefact / "model.onnx").unlink()

    with pytest.raises(CheckpointError, match=r"model\.onnx is missing"):
        read_sidecar(artefact)


def test_an_artefact_without_its_description_is_refused(artefact: Path) -> None:
    (artefact / "model.toml").unlink()

    with pytest.raises(CheckpointError, match=r"model\.toml is not beside it"):
        read_sidecar(artefact / "model.onnx")


def test_an_artefact_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        read_sidecar(tmp_path / "other.onnx")


@pytest.mark.parametrize("text", ["classes = [", "format = 1\n", "\x00"])
def test_a_description_that_cannot_be_read_is_refused(artefact: Path, text: str) -> None:
    (artefact / "model.toml").write_text(text, "utf-8")

    with pytest.raises(CheckpointError, match=r"model\.toml cannot be read"):
        read_sidecar(artefact)


def test_a_newer_description_is_refused(artefact: Path) -> None:
    write_sidecar(sidecar_of(format=2), artefact / "model.toml")

    with pytest.raises(CheckpointError, match="has format 2, this version of pixelwise reads format 1"):
        read_sidecar(artefact)


def test_a_name_that_leads_out_of_the_folder_is_refused(artefact: Path) -> None:
    write_sidecar(sidecar_of(files={"../model.onnx": sha256_bytes(CONTENT)}), artefact / "model.toml")

    with pytest.raises(CheckpointError, match="not a plain file name"):
        read_sidecar(artefact)


def test_a_description_of_another_file_is_refused(artefact: Path) -> None:
    (artefact / "model.pt2").write_bytes(CONTENT)

    with pytest.raises(CheckpointError, match=r"model\.toml beside it is of model\.onnx"):
        read_sidecar(artefact / "model.pt2")


def test_passing_is_reaching_the_bound() -> None:
    just = Verification(images=1, source="", equal_pixels=0.99, least_equal_pixels=0.99)

    assert just.passed
    assert not msgspec.structs.replace(just, equal_pixels=0.98).passed
