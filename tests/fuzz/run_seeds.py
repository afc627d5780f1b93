"""Recipes, run folders, checkpoints, artefacts, weights of other systems, and the cache."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from fuzz import annotation_seeds

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.formats.published.sbd import read_segmentation
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.explaining import explain
from pixelwise.recipes.files import load_toml
from pixelwise.recipes.schema.data import Data
from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays

OLD = 1_500_000_000
"""Modification time of files whose hashes are cached: long ago."""


class Seed(NamedTuple):
    """The fields of a case that need no knowledge of the others; `writes` are relative to its folder."""

    name: str
    build: Callable[[Path], None]
    read: Callable[[Path, int], Sequence[str]]
    mutates: Callable[[Path], bool] | None = None
    after: Callable[[Path, Path, Random], None] | None = None
    writes: tuple[str, ...] = ()


RECIPE = """# a recipe
base = "town-demo"
notes = "one"
[data]
classes = ["a", "b"]
palette = [[1, 2, 3], [4, 5, 6]]
label_map = { 0 = 0, 7 = 1 }
[optimizer]
lr = 0.01
[schedule]
epochs = 3
[augment]
crop = [32, 48]
scale = [0.5, 2.0]
"""


def _write_recipe(folder: Path) -> None:
    (folder / "recipe.toml").write_text(RECIPE, "utf-8")


def _read_recipe(folder: Path, number: int) -> list[str]:
    load_toml(folder / "recipe.toml")
    explain(folder / "recipe.toml")
    return []


def _write_records(folder: Path) -> None:
    from reports.run_folders import write_run_folder

    with tempfile.TemporaryDirectory() as scratch:
        write_run_folder(Path(scratch) / "run", steps=40)
        (Path(scratch) / "run").rename(folder / "run")
    problem = {"file": "a.png", "code": "D101", "message": "truncated", "help": "copy it"}
    (folder / "run" / "problems.jsonl").write_text(json.dumps(problem) + "\n", "utf-8")


def _read_records(folder: Path, number: int) -> list[str]:
    from pixelwise.api.report import write_report
    from pixelwise.records.evaluations import read_evaluations
    from pixelwise.records.problems import read_problems
    from pixelwise.reports.run.records import read_run

    run = folder / "run"
    read_run(run)
    read_evaluations(run)
    read_problems(run)
    if number % 2 == 0:
        write_report(run)
    return []


@functools.cache
def _network() -> tuple[Any, Any]:
    """A recipe and its training state."""
    import torch

    from pixelwise.models import build_model
    from pixelwise.recipes.catalog import recipe
    from pixelwise.recipes.overrides import apply_overrides
    from pixelwise.training.state import begin_state

    chosen = apply_overrides(recipe("enet-camvid"), ["ema.decay=0.9"])
    return chosen, begin_state(build_model(chosen), chosen, torch.device("cpu"))


def _write_checkpoint(folder: Path) -> None:
    from pixelwise.recipes.overrides import to_toml

    recipe, state = _network()
    for images in state.model.parameters():
        images.grad = images.detach() * 0.1
    state.optimizer.step()
    state.save(folder / "checkpoints", recipe)
    (folder / "recipe.toml").write_text(to_toml(recipe), "utf-8")


def _with_rewritten_manifest(folder: Path, changed: Path, dice: Random) -> None:
    """Make the manifest agree with the changed file, as whoever made the file could."""
    manifest = changed.parent / "manifest.json"
    if dice.random() < 0.8 and changed != manifest and manifest.is_file():
        content, data = json.loads(manifest.read_text("utf-8")), changed.read_bytes()
        if changed.name in content["files"]:
            content["files"][changed.name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            manifest.write_text(json.dumps(content), "utf-8")


def _read_checkpoint(folder: Path, number: int) -> list[str]:
    from pixelwise.checkpoints.checkpoint import best_checkpoint, list_checkpoints, newest_checkpoint
    from pixelwise.checkpoints.trained import load_trained
    from pixelwise.evaluation.runs import _training_cost
    from pixelwise.reports.run.records import _newest

    checkpoints = folder / "checkpoints"
    list_checkpoints(checkpoints)
    best_checkpoint(checkpoints)
    _newest(checkpoints)
    newest = newest_checkpoint(checkpoints)
    _training_cost(folder, _network()[0])
    if newest is not None:
        _network()[1].restore(newest)
    if number % 5 == 0:
        load_trained(folder)
    return []


def _write_artefact(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper
    from runtimes.descriptions import sidecar_of

    from pixelwise.runtimes.sidecar import Input, Output, write_sidecar

    weights = helper.make_tensor("w", TensorProto.FLOAT, (2, 3, 1, 1), [0.5, -1, 2, 1, 0.25, -0.5])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "w"], ["logits"])],
        "model",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2, 8, 8])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    described = sidecar_of(
        input=Input(name="images", dtype="float32", layout="NCHW", size=(8, 8), batch=1),
        output=Output(name="logits", dtype="float32", stride=1, align_corners=False),
        files={"model.onnx": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()},
    )
    write_sidecar(described, folder / "model.toml")


def _with_rewritten_hash(folder: Path, changed: Path, dice: Random) -> None:
    described = folder / "model.toml"
    if changed != described:
        lines = described.read_text("utf-8").splitlines(keepends=True)
        digest = hashlib.sha256(changed.read_bytes()).hexdigest()
        text = "".join(f'"model.onnx" = "{digest}"\n' if line.startswith('"model.onnx"') else line for line in lines)
        described.write_text(text, "utf-8")


def _read_artefact(folder: Path, number: int) -> list[str]:
    from pixelwise.runtimes.artefact import load_artefact

    model = load_artefact(folder, 1)
    model.run(np.zeros((1, 3, 8, 8), np.float32))
    return []


def _weights_written(save: Callable[[dict[str, Any], Path], None], name: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        import torch

        tensors = {"conv.weight": torch.randn(4, 3, 3, 3), "bn.running_mean": torch.zeros(4), "step": torch.tensor(7)}
        save(tensors, folder / name)

    return build


def _zipped(tensors: dict[str, Any], path: Path) -> None:
    import torch

    torch.save({"state_dict": tensors, "epoch": 3, "score": np.float64(0.5)}, path)


def _pickled(tensors: dict[str, Any], path: Path) -> None:
    import torch

    torch.save({"model": tensors}, path, _use_new_zipfile_serialization=False)


def _safetensors(tensors: dict[str, Any], path: Path) -> None:
    import safetensors.torch

    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def _read_weights(folder: Path, number: int) -> list[str]:
    from pixelwise.checkpoints.files.reading import read_weights

    read_weights(next(folder.iterdir()))
    return []


def _write_cache(folder: Path) -> None:
    annotation_seeds.coco_runs(folder / "data")
    for path in sorted((folder / "data").rglob("*")):
        os.utime(path, (OLD, OLD))
    _read_cache(folder, 0)


def _read_cache(folder: Path, number: int) -> list[str]:
    """What the cache holds makes no difference, whatever became of it."""
    before = os.environ["XDG_CACHE_HOME"]
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    try:
        found = audit(open_dataset(Data(), folder / "data"))
        return [finding.code for finding in found.errors]
    finally:
        os.environ["XDG_CACHE_HOME"] = before


def _in_cache(path: Path) -> bool:
    return path.parts[0] == "cache" and path.suffix != ".png"


def _write_array_file(folder: Path) -> None:
    rows = [(np.arange(60, dtype=np.uint8).reshape(4, 5, 3), np.full((4, 5), number, np.int64)) for number in range(3)]
    write_arrays(folder / "rows.bin", rows, {"key": "value"})


def _read_array_file(folder: Path, number: int) -> list[str]:
    try:
        rows = ArrayFile(folder / "rows.bin")
        for row in range(len(rows)):
            _ = rows[row]
    except (ValueError, OSError, DamagedArrayError):
        return ["damaged"]  # what its reader expects, which decodes the images again
    return []


def _read_matlab(folder: Path, number: int) -> list[str]:
    read_segmentation(folder / "mask.mat")
    return []


SEEDS: tuple[Seed, ...] = (
    Seed("recipe", _write_recipe, _read_recipe),
    Seed("run-records", _write_records, _read_records, writes=("run",)),
    Seed("checkpoint", _write_checkpoint, _read_checkpoint, after=_with_rewritten_manifest),
    Seed("artefact-onnx", _write_artefact, _read_artefact, after=_with_rewritten_hash),
    Seed("weights-zip", _weights_written(_zipped, "a.pth"), _read_weights),
    Seed("weights-pickle", _weights_written(_pickled, "a.pth"), _read_weights),
    Seed("weights-safetensors", _weights_written(_safetensors, "a.safetensors"), _read_weights),
    Seed("cache", _write_cache, _read_cache, _in_cache, writes=("cache",)),
    Seed("array-file", _write_array_file, _read_array_file),
    Seed("matlab-mask", lambda folder: annotation_seeds.matlab_mask(folder / "mask.mat"), _read_matlab),
)
