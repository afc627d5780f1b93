"""The folder of a page: what it holds, what it refuses, and what it may load."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pixelwise.deployment.export.export as exporting
from pixelwise.deployment.export.export import Exported, export
from pixelwise.deployment.web.page import page_files, refuse_unsuitable
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.runtimes.reading import read_sidecar
from pixelwise.storage import sha256_file

SIZE = (48, 64)
RUNTIME = {"ort.wasm.bundle.min.mjs": b"export {};", "ort-wasm-simd-threaded.wasm": b"\0asm"}


@pytest.fixture(scope="module")
def page(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The page of a small run, with a stand-in for the runtime."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "runtime_files", lambda *_, **__: RUNTIME)
        return export(small_run, tmp_path_factory.mktemp("web") / "page", "web", uint8_input=True, size=SIZE)


def described(folder: Path) -> dict[str, Any]:
    text = (folder / "description.js").read_text("utf-8")
    return json.loads(text.removeprefix("const PIXELWISE = ").rstrip(";\n"))


@pytest.mark.heavy
def test_the_folder_is_an_artefact_that_predicts(page: Exported) -> None:
    sidecar, file = read_sidecar(page.path.parent)

    assert page.page == page.path.with_name("index.html")
    assert (sidecar.runtime, file.name) == ("onnx", "model.onnx")
    assert {one.name for one in page.path.parent.iterdir()} == {*page_files(), "model.onnx", "model.toml"}


@pytest.mark.heavy
def test_the_scripts_get_the_content_of_model_toml(page: Exported) -> None:
    found, sidecar = described(page.path.parent), page.sidecar

    assert found["model"]["classes"] == list(sidecar.classes)
    assert found["model"]["input"] == {
        "name": "images",
        "dtype": "uint8",
        "layout": "NHWC",
        "size": [48, 64],
        "batch": 1,
    }
    assert "shorter_side" not in found["model"]["inference"]
    assert ["Licences", f"weights: {sidecar.licence.weights}; original code: {sidecar.licence.code}"] in found["about"]


@pytest.mark.heavy
def test_what_pages_from_files_load_is_what_others_load(page: Exported) -> None:
    folder = page.path.parent
    files = described(folder)["files"]

    assert set(files) == {"images.js", "resizing.js", "worker.js", "model.onnx", *RUNTIME}
    for name, expected in files.items():
        text = (folder / f"{name}.js").read_text("utf-8")
        found = re.fullmatch(r'PIXELWISE\.contents\["(.+)"\] = "([A-Za-z0-9+/=]+)";\n', text)
        assert found is not None
        assert found[1] == name
        assert gzip.decompress(base64.b64decode(found[2])) == (folder / name).read_bytes()
        assert sha256_file(folder / name) == expected


@pytest.mark.heavy
def test_the_page_loads_nothing_from_elsewhere(page: Exported) -> None:
    text = (page.path.parent / "index.html").read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)

    assert not re.search(r"https?:|//|style=|<style|\son[a-z]+=", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'; ")
    names = set(re.findall(r'(?:src|href)="([^"#:]+)"', text))
    assert all((page.path.parent / name).is_file() for name in names), names


def test_no_file_of_the_user_is_overwritten(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine", "utf-8")

    with pytest.raises(RecipeError, match=re.escape("already holds index.html")) as caught:
        export(small_run, tmp_path, "web", size=SIZE)

    assert (caught.value.code, (tmp_path / "index.html").read_text("utf-8")) == ("R243", "mine")


def test_a_runtime_is_for_pages_alone(small_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="`runtime`") as caught:
        export(small_run, tmp_path, "onnx", runtime="x", size=SIZE)

    assert caught.value.code == "R251"


def test_networks_that_a_page_cannot_show_are_refused(small_recipe: Recipe) -> None:
    model = build_model(small_recipe)
    refuse_unsuitable(small_recipe, model)

    selecting = msgspec.structs.replace(
        small_recipe, data=msgspec.structs.replace(small_recipe.data, channels=(2, 1, 0))
    )
    with pytest.raises(RecipeError, match=re.escape("3 channels that data.channels selects")) as caught:
        refuse_unsuitable(selecting, model)
    assert caught.value.code == "R244"

    model.multilabel = True
    with pytest.raises(RecipeError, match="multi-label"):
        refuse_unsuitable(small_recipe, model)
