from __future__ import annotations

from pathlib import Path

import pytest
from runtimes.descriptions import CONTENT, sidecar_of

from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.runtimes.reading import holds_artefact, is_artefact, read_sidecar
from pixelwise.runtimes.sidecar import write_sidecar
from pixelwise.storage import sha256_bytes


@pytest.mark.parametrize("given", ["", "model.onnx", "model.toml"])
def test_what_is_written_is_read_by_folder_or_file(artefact: Path, given: str) -> None:
    sidecar, file = read_sidecar(artefact / given)

    assert sidecar == sidecar_of()
    assert file == artefact / "model.onnx"


def test_the_recipe_comes_back(artefact: Path) -> None:
    sidecar, file = read_sidecar(artefact)

    assert sidecar.resolved_recipe(file) == recipe("town-demo")


def test_a_changed_byte_is_found(artefact: Path) -> None:
    (artefact / "model.onnx").write_bytes(CONTENT[:-1] + b"H")

    with pytest.raises(CheckpointError, match=r"model\.onnx .*SHA-256 \w{12}\.\.\.") as caught:
        read_sidecar(artefact)
    assert caught.value.code == "K462"
    assert sha256_bytes(CONTENT)[:12] in caught.value.message


def test_a_missing_file_is_named(artefact: Path) -> None:
    (artefact / "model.onnx").unlink()

    with pytest.raises(CheckpointError, match=r"K462.*: model\.onnx"):
        read_sidecar(artefact)


def test_an_artefact_without_its_description_is_refused(artefact: Path) -> None:
    (artefact / "model.toml").unlink()

    with pytest.raises(CheckpointError, match=r"K462.*model\.onnx .*: model\.toml"):
        read_sidecar(artefact / "model.onnx")


def test_an_artefact_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"K462.*other\.onnx"):
        read_sidecar(tmp_path / "other.onnx")


@pytest.mark.parametrize("text", ["classes = [", "format = 1\n", "\x00"])
def test_a_description_that_cannot_be_read_is_refused(artefact: Path, text: str) -> None:
    (artefact / "model.toml").write_text(text, "utf-8")

    with pytest.raises(CheckpointError, match=r"K462.*: model\.toml"):
        read_sidecar(artefact)


def test_a_newer_description_is_refused(artefact: Path) -> None:
    write_sidecar(sidecar_of(format=3), artefact / "model.toml")

    with pytest.raises(CheckpointError, match=r"K462.*model\.toml .*\bformat 3\b.* format 1 and 2\b"):
        read_sidecar(artefact)


def test_a_name_that_leads_out_of_the_folder_is_refused(artefact: Path) -> None:
    write_sidecar(sidecar_of(files={"../model.onnx": sha256_bytes(CONTENT)}), artefact / "model.toml")

    with pytest.raises(CheckpointError, match=r"K462.*model\.toml .*'\.\./model\.onnx'"):
        read_sidecar(artefact)


def test_a_description_of_another_file_is_refused(artefact: Path) -> None:
    (artefact / "model.pt2").write_bytes(CONTENT)

    with pytest.raises(CheckpointError, match=r"K462.*model\.pt2 .*model\.toml .*model\.onnx"):
        read_sidecar(artefact / "model.pt2")


@pytest.mark.parametrize(("plugin", "help_"), [("acme-npz 1.2", "pip install 'acme-npz'"), (None, "torch-export")])
def test_what_nothing_here_runs_names_the_package_that_does(artefact: Path, plugin: str | None, help_: str) -> None:
    write_sidecar(sidecar_of(runtime="acme-npz", plugin=plugin), artefact / "model.toml")

    with pytest.raises(CheckpointError) as caught:
        read_sidecar(artefact)
    assert caught.value.code == "K469"
    assert "'acme-npz'" in caught.value.message
    assert help_ in caught.value.help


def test_an_artefact_is_its_folder_or_the_file_that_is_opened(artefact: Path) -> None:
    assert is_artefact(artefact)
    assert is_artefact(artefact / "model.onnx")
    assert is_artefact(artefact / "missing.xml")
    assert not is_artefact(artefact / "model.bin.txt")
    assert not is_artefact(artefact.parent)


def test_a_file_with_the_ending_of_an_unknown_format_has_a_description_beside_it(artefact: Path) -> None:
    assert is_artefact(artefact / "model.npz")
    assert not is_artefact(artefact / "model.toml")
    (artefact / "model.toml").unlink()
    assert not is_artefact(artefact / "model.npz")


@pytest.mark.parametrize("name", ["model.toml", "model.bin", "model.pte"])
def test_a_folder_holds_an_artefact_by_any_file_of_one(tmp_path: Path, name: str) -> None:
    assert not holds_artefact(tmp_path)
    (tmp_path / name).touch()
    assert holds_artefact(tmp_path)
