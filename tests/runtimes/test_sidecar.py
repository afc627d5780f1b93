from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from runtimes.descriptions import sidecar_of

from pixelwise.records.environment import Ancestor, Licence
from pixelwise.runtimes.sidecar import Verification, write_sidecar
from pixelwise.storage import sha256_bytes


def test_what_is_unset_is_an_absent_key(tmp_path: Path) -> None:
    write_sidecar(sidecar_of(score=None, verification=None), tmp_path / "model.toml")

    plain = tomllib.loads((tmp_path / "model.toml").read_text("utf-8"))
    assert "score" not in plain
    assert "verification" not in plain


def test_what_the_weights_were_derived_from_is_read_back(tmp_path: Path) -> None:
    teacher = Ancestor(recipe="unet", step=3, weights_sha256="ab" * 32, encoder="resnet18", encoder_licence="MIT")
    licence = Licence(weights="unknown", code="MIT", derived_from=(teacher,))
    write_sidecar(sidecar_of(licence=licence), tmp_path / "model.toml")
    plain = tomllib.loads((tmp_path / "model.toml").read_text("utf-8"))["licence"]
    assert plain["derived_from"][0]["encoder_licence"] == "MIT"
    assert msgspec.convert(plain, Licence) == licence
    write_sidecar(sidecar_of(), tmp_path / "model.toml")
    assert set(tomllib.loads((tmp_path / "model.toml").read_text("utf-8"))["licence"]) == {"weights", "code"}


def test_a_color_takes_one_line(artefact: Path) -> None:
    assert "[128, 64, 128]" in (artefact / "model.toml").read_text("utf-8")


def test_passing_is_reaching_the_bound() -> None:
    just = Verification(images=1, source="", equal_pixels=0.99, least_equal_pixels=0.99)

    assert just.passed
    assert not msgspec.structs.replace(just, equal_pixels=0.98).passed


def test_the_loss_of_miou_counts_where_one_is_allowed() -> None:
    found = Verification(
        images=1, source="", equal_pixels=1.0, least_equal_pixels=0.0, miou_pytorch=0.50, miou_artefact=0.25
    )
    assert found.miou_drop == 0.25
    assert found.passed
    assert msgspec.structs.replace(found, max_miou_drop=0.25).passed
    assert not msgspec.structs.replace(found, max_miou_drop=0.125).passed
    assert not msgspec.structs.replace(found, miou_artefact=None, max_miou_drop=1.0).passed


def test_several_files_have_one_hash() -> None:
    assert sidecar_of(files={"model.onnx": "ab" * 32}).files_sha256 == "ab" * 32
    assert sidecar_of(files={"model.xml": "ab" * 32, "model.bin": "cd" * 32}).files_sha256 == sha256_bytes(
        b"ab" * 32 + b"cd" * 32
    )


def test_a_built_in_target_leaves_no_word_about_packages(tmp_path: Path) -> None:
    write_sidecar(sidecar_of(), tmp_path / "model.toml")
    assert "plugin" not in tomllib.loads((tmp_path / "model.toml").read_text("utf-8"))
