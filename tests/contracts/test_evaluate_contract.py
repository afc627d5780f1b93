"""Whatever `evaluate` takes is scored with every option of `evaluate`, or the option is refused by name.

The same network is scored as a run, as a folder of weights, as an artefact of every runtime and as a model in memory.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from subjects import IN_MEMORY, ONE_SIZE, small, subjects_in

import pixelwise
from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import DataError, RecipeError
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.models import SegmentationModel
from pixelwise.ranks.options import LaunchOptions
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.evaluations import EVALUATIONS
from pixelwise.records.result import Result, load_per_image, load_result, to_json
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.runtimes import ArtefactModel
from pixelwise.runtimes.targets import TARGETS
from pixelwise.storage import write_text

GROUP = "^0[01]|^0."  # the first two images of a split, and each further one, by their whole name
LIGHT = ("run", "weights", "onnx", "file", "memory", "artefact in memory")
HEAVY = ("class ids", "one size", *(runtime for runtime in TARGETS.own() if runtime not in LIGHT))
KINDS = [*LIGHT, *(pytest.param(kind, marks=pytest.mark.heavy) for kind in HEAVY)]
# A `torch.export` artefact is opened only with it; nothing else is changed by it.
evaluate = functools.partial(pixelwise.evaluate, trust=True)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Callable[[str], Any]:
    """Subjects of `evaluate` by kind, created on first use."""
    return subjects_in(tmp_path_factory.mktemp("kinds"), tiny_data)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind of thing that can be scored."""
    return request.param


def kept(subject: Path, split: str, protocol: str) -> Path:
    """Where its result is kept."""
    folder = subject if subject.is_dir() else subject.parent
    return folder / EVALUATIONS / f"{split}-{protocol}"


def test_every_option_of_evaluate_is_tried_here() -> None:
    tried = {"data", "split", "protocol", "options", "observer", "changes"}
    assert set(inspect.signature(pixelwise.evaluate).parameters) - {"model_or_run"} == tried
    # Several processes are tested in tests/api/test_together.py and tests/evaluation/test_evaluate_over_ranks.py.
    assert set(EvaluateOptions.__struct_fields__) - set(LaunchOptions.__struct_fields__) == {
        "device",
        "boundary",
        "calibration",
        "metrics",
        "group",
        "overrides",
        "trust",
        "shard",
        "engine",
        "workers",
        "gpus_per_worker",
        "address",
        "output",
    }


@pytest.mark.heavy
def test_units_with_receipts_give_the_same_result(
    subjects: Callable[[str], Any], kind: str, tiny_data: Path, tmp_path: Path
) -> None:
    """By `output`, as by `shard`; `engine` and its options are tested in tests/prediction/shards/test_ray_engine.py."""
    if kind in IN_MEMORY:
        with pytest.raises(RecipeError) as caught:
            evaluate(subjects(kind), tiny_data, "test", "native", output=tmp_path / "scores")
        assert caught.value.code == "R251"
        return

    found = evaluate(subjects(kind), tiny_data, "test", "native", output=tmp_path / "scores")
    expected = evaluate(subjects(kind), tiny_data, "test", "native")
    assert isinstance(found, Result)
    assert found.confusion_matrix == expected.confusion_matrix
    assert (tmp_path / "scores" / "receipts").is_dir()


@pytest.mark.heavy
def test_groups_are_scored(subjects: Callable[[str], Any], kind: str, tiny_data: Path) -> None:
    result = evaluate(subjects(kind), tiny_data, "test", "native", group=GROUP)

    assert [(group.name, group.images) for group in result.groups] == [("00", 1), ("01", 1), ("02", 1)]
    expected = evaluate(subjects("run"), tiny_data, "test", "native", group=GROUP)
    for found, group in zip(result.groups, expected.groups, strict=True):
        assert found.miou == pytest.approx(group.miou, abs=1e-3)
        assert found.pixel_accuracy == pytest.approx(group.pixel_accuracy, abs=1e-3)


@pytest.mark.heavy
def test_a_pattern_that_is_none_is_refused(subjects: Callable[[str], Any], kind: str, tiny_data: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        evaluate(subjects(kind), tiny_data, "test", "native", group="(")
    assert caught.value.code == "R203"


@pytest.mark.heavy
def test_everything_else_that_was_asked_for_is_in_the_result(
    subjects: Callable[[str], Any], kind: str, tiny_data: Path
) -> None:
    seen: list[tuple[int, int]] = []
    protocols = ["native"] if kind in ONE_SIZE else ["slide-32x32", "native"]
    asked: dict[str, Any] = {"protocol": protocols, "boundary": False, "calibration": kind != "class ids"}

    results = evaluate(
        subjects(kind), tiny_data, "val", device="cpu", progress=lambda *counts: seen.append(counts), **asked
    )
    expected = evaluate(subjects("run"), tiny_data, "val", device="cpu", **asked)

    assert [result.protocol for result in results] == protocols
    for result, reference in zip(results, expected, strict=True):
        assert (result.split, result.images, result.groups) == ("val", 3, ())
        assert math.isnan(result.boundary_miou)
        assert math.isnan(result.calibration_error) == (kind == "class ids")
        assert result.miou_interval is not None
        assert result.data_fingerprint == reference.data_fingerprint
        assert result.miou == pytest.approx(reference.miou, abs=0.02 if kind == "class ids" else 1e-3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    boundary = evaluate(subjects(kind), tiny_data, "val", "native")
    assert boundary.boundary_miou == pytest.approx(
        evaluate(subjects("run"), tiny_data, "val", "native").boundary_miou, abs=1e-3
    )


def test_a_metric_is_measured_by_its_name_or_refused(
    subjects: Callable[[str], Any], kind: str, tiny_data: Path
) -> None:
    result = evaluate(subjects(kind), tiny_data, "val", "native", boundary=False, metrics=["boundary_iou"])
    assert 0 < result.boundary_miou <= 1
    with pytest.raises(RecipeError) as caught:
        evaluate(subjects(kind), tiny_data, "val", "native", metrics=("boundary",))
    assert caught.value.code == "R225"
    assert "'boundary_iou'" in caught.value.message


@pytest.mark.heavy
def test_the_calibration_of_class_ids_is_refused(subjects: Callable[[str], Any], tiny_data: Path) -> None:
    with pytest.raises(RecipeError, match="class ids") as caught:
        evaluate(subjects("class ids"), tiny_data, "val", "native", calibration=True)
    assert caught.value.code == "R203"


@pytest.mark.heavy
def test_a_protocol_that_shows_another_size_is_seen_through_windows_and_said_so(
    subjects: Callable[[str], Any], tiny_data: Path
) -> None:
    told: list[str] = []
    result = evaluate(subjects("one size"), tiny_data, "val", "slide-32x32", warn=lambda code, _: told.append(code))
    assert 0 <= result.miou <= 1
    assert "W471" in told


def test_another_device_is_used_or_refused(subjects: Callable[[str], Any], kind: str, tiny_data: Path) -> None:
    # `meta` exists everywhere; a network on it has no values, so that it cannot be scored either.
    with pytest.raises((RecipeError, NotImplementedError, RuntimeError)) as caught:
        evaluate(copy.deepcopy(subjects(kind)), tiny_data, "test", "native", device="meta")
    if kind not in ("run", "weights", "memory"):
        assert isinstance(caught.value, RecipeError)
        assert caught.value.code == "R214"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in IN_MEMORY])
def test_the_result_is_kept_with_the_command_that_measures_it_again(
    subjects: Callable[[str], Any], kind: str, tiny_data: Path, run_cli: Callable[..., Any]
) -> None:
    subject = subjects(kind)
    folder = kept(subject, "val", "native")
    shutil.rmtree(folder.parent, ignore_errors=True)  # what earlier tests measured would be kept
    result = evaluate(subject, tiny_data, "val", "native", group="^(0)1", boundary=False)

    # NaN equals nothing, JSON's null does.
    assert to_json(load_result(folder)) == to_json(result)
    assert msgspec.json.encode(load_per_image(folder)) == msgspec.json.encode(result.per_image)
    assert [image.id for image in result.per_image] == ["00", "01", "02"]
    assert (folder / "per_class.csv").is_file()
    assert (folder / "samples").is_dir() == (kind in ("run", "weights"))

    (folder / "result.json").unlink()
    program, *words = shlex.split(result.command)
    assert (program, run_cli([*words, "--device", "cpu"]).code) == ("pixelwise", 0)
    again = load_result(folder)
    assert again.command == result.command
    assert same(again) == same(result)
    assert [group.name for group in again.groups] == ["0", "00", "02"]


def same(result: Result) -> tuple[object, ...]:
    """The part of a result that must not change between measurements."""
    scores = (result.miou, result.confusion_matrix, result.groups, result.miou_interval, result.data_fingerprint)
    return (*scores, result.recipe_hash, result.weights_sha256, result.weights, result.step, result.training)


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_a_model_in_memory_has_no_command_and_no_folder(
    subjects: Callable[[str], Any], kind: str, tiny_data: Path
) -> None:
    before = sorted(tiny_data.rglob("*"))
    model: SegmentationModel = subjects(kind)
    result = evaluate(model, tiny_data, "val", group=GROUP)
    assert (result.command, result.recipe, result.protocol) == ("", "", "native")
    assert sorted(tiny_data.rglob("*")) == before
    assert isinstance(model, ArtefactModel) == (kind != "memory")


def test_only_a_run_knows_its_data(subjects: Callable[[str], Any], kind: str) -> None:
    if kind == "run":
        assert evaluate(subjects(kind)).images == 3
        return
    with pytest.raises(DataError) as caught:
        evaluate(subjects(kind))
    assert caught.value.code == "D222"


@pytest.mark.heavy
def test_a_damaged_checkpoint_that_is_passed_over_is_said(
    tmp_path: Path, subjects: Callable[[str], Any], tiny_data: Path
) -> None:
    folder = tmp_path / "run"
    tensors = {"model": load_trained(subjects("run")).model.state_dict()}
    for step in (3, 9):
        save_checkpoint(folder / CHECKPOINTS, step=step, tensors=tensors, state={}, miou=None, metadata={})
    write_text(folder / RECIPE, to_toml(small()))
    newest = next((folder / CHECKPOINTS).glob("step-*9")) / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    said: list[str] = []

    result = evaluate(folder, tiny_data, warn=lambda code, message: said.append(code))

    assert (result.step, len(said)) == (3, 1)
