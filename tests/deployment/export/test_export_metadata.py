"""The description in the ONNX file itself: alone, beside `model.toml`, and against it."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tomli_w

import pixelwise
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported, sealed
from pixelwise.errors import CheckpointError
from pixelwise.prediction.loading import load
from pixelwise.runtimes.reading import read_sidecar
from pixelwise.runtimes.sidecar import write_sidecar
from pixelwise.runtimes.targets import find_target
from pixelwise.storage import sha256_file

onnx = pytest.importorskip("onnx")
SCENE = draw_scene(0, 1, (75, 110))[0]


@pytest.fixture
def alone(any_size: Exported, tmp_path: Path) -> Path:
    """The ONNX file without anything beside it, under another name."""
    return Path(shutil.copy(any_size.path, tmp_path / "street.onnx"))


@pytest.fixture
def copied(any_size: Exported, tmp_path: Path) -> Path:
    return Path(shutil.copytree(any_size.path.parent, tmp_path / "copy"))


@pytest.mark.heavy
def test_the_file_alone_predicts_the_same(any_size: Exported, alone: Path, run_cli: Any) -> None:
    ours, theirs = load(any_size.path), load(alone)
    assert np.array_equal(ours.predict(SCENE).labels, theirs.predict(SCENE).labels)
    assert (theirs.classes, theirs.palette, theirs.reading) == (ours.classes, ours.palette, ours.reading)
    sidecar, file = read_sidecar(alone)
    assert file == alone
    expected = msgspec.structs.replace(any_size.sidecar, verification=None, files=sidecar.files)
    assert sidecar == expected
    assert list(sidecar.files) == ["street.onnx"]


@pytest.mark.heavy
def test_the_file_alone_is_scored_the_same(any_size: Exported, alone: Path, small_town: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(any_size.path.parent, tmp_path / "folder"))
    found = [pixelwise.evaluate(path, data=small_town, split="val", boundary=False) for path in (folder, alone)]
    assert found[0].confusion_matrix == found[1].confusion_matrix


@pytest.mark.heavy
def test_the_metadata_is_documented_json_that_any_tool_reads(any_size: Exported) -> None:
    found = {entry.key: entry.value for entry in onnx.load(any_size.path).metadata_props}
    beside = tomllib.loads((any_size.path.parent / "model.toml").read_text("utf-8"))
    assert set(found) == {f"pixelwise.{key}" for key in beside if key not in ("files", "verification", "unverified")}
    for key, text in found.items():
        assert msgspec.json.decode(text) == beside[key.removeprefix("pixelwise.")]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", [f"class {index}" for index in range(11)]),
        ("weights_sha256", "0" * 64),
        ("preprocessing", {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.25, 0.3]}),
        ("recipe_hash", "0" * 64),
        ("licence", {"weights": "MIT", "code": "MIT"}),
    ],
)
def test_two_descriptions_that_disagree_are_refused(copied: Path, key: str, value: Any) -> None:
    description = copied / "model.toml"
    plain = tomllib.loads(description.read_text("utf-8"))
    assert plain[key] != value
    description.write_text(tomli_w.dumps(plain | {key: value}), "utf-8")
    for given in (copied, copied / "model.onnx"):
        with pytest.raises(CheckpointError, match=f"`{key}`") as caught:
            load(given)
        assert caught.value.code == "K470"
    # The way out that the error names.
    description.unlink()
    assert load(copied / "model.onnx").classes != tuple(value)


@pytest.mark.heavy
def test_a_field_that_only_one_of_them_has_is_a_disagreement(copied: Path) -> None:
    description = copied / "model.toml"
    plain = tomllib.loads(description.read_text("utf-8"))
    del plain["score"]
    description.write_text(tomli_w.dumps(plain), "utf-8")
    with pytest.raises(CheckpointError, match=r"K470.*`score`"):
        load(copied)


@pytest.mark.heavy
def test_metadata_that_is_no_description_is_said_so(copied: Path) -> None:
    (copied / "model.toml").unlink()
    target = find_target("onnx")
    assert target.embed is not None
    target.embed(copied / "model.onnx", {"pixelwise.classes": "["})
    with pytest.raises(CheckpointError, match=r"K462.*metadata"):
        load(copied / "model.onnx")
    target.embed(copied / "model.onnx", {"pixelwise.classes": '["road"]'})
    with pytest.raises(CheckpointError, match=r"K462.*metadata"):
        load(copied / "model.onnx")


def test_another_onnx_file_without_a_description_is_said_so(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "foreign.onnx")
    with pytest.raises(CheckpointError, match=r"K462.*foreign\.toml.*no description"):
        load(tmp_path / "foreign.onnx")


@pytest.mark.heavy
def test_an_artefact_of_the_first_format_predicts_as_it_did_and_says_how_it_differs(
    one_size: Exported, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(one_size.path.parent, tmp_path / "old"))
    proto = onnx.load(folder / "model.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, folder / "model.onnx")
    files = {"model.onnx": sha256_file(folder / "model.onnx")}
    old = msgspec.structs.replace(one_size.sidecar, format=1, inference=None, scoring=None, files=files)
    write_sidecar(old, folder / "model.toml")
    told: list[str] = []
    segmenter = load(folder, warn=lambda code, _: told.append(code))
    # Such artefacts brought every image to their only size.
    assert segmenter.seen_size((75, 110)) == (48, 64)
    assert segmenter.predict(SCENE).labels.shape == (75, 110)
    assert segmenter.predict(SCENE).labels.shape == (75, 110)
    assert told == ["W474"]


@pytest.mark.heavy
def test_an_artefact_needs_no_plug_in_that_its_training_needed(
    any_size: Exported, copied: Path, small_town: Path
) -> None:
    recipe = dict(any_size.sidecar.recipe)
    recipe["model"] = {"family": "of-a-missing-package", "depth": 3}
    recipe["loss"] = {"missing_term": {"weight": 1.0}}
    recipe["evaluation"] = {"protocols": ["missing-protocol"], "split": "val"}
    recipe["a_section_of_a_later_version"] = {"x": 1}
    sidecar = msgspec.structs.replace(any_size.sidecar, recipe=recipe, protocol="missing-protocol", files={})
    write_sidecar(sealed(sidecar, find_target("onnx"), [copied / "model.onnx"]), copied / "model.toml")
    assert np.array_equal(load(copied).predict(SCENE).labels, load(any_size.path).predict(SCENE).labels)
    assert 0 <= pixelwise.evaluate(copied, data=small_town, split="val", boundary=False).miou <= 1
