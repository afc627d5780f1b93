from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pixelwise.checkpoints.files.reading import read_weights
from pixelwise.checkpoints.importers.conversions import IMPORTERS, Conversion, Importer
from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.unet import UNetSpec

SHAPES: dict[str, list[int]] = json.loads((Path(__file__).parents[1] / "data" / "enet-seed.json").read_text())["keys"]
HEAD = "transposed_conv.weight"
State = dict[str, Any]


@pytest.fixture
def state() -> State:
    """Weights of an original ENet with 12 outputs, each tensor filled with numbers of its own."""
    sizes = {key: math.prod(shape) for key, shape in SHAPES.items()}
    return {
        key: (index + torch.arange(sizes[key]) / 1024).reshape(shape)
        for index, (key, shape) in enumerate(SHAPES.items())
    }


@pytest.fixture
def model() -> SegmentationModel:
    return build_model(ENetSpec(graph="overlapping"), num_classes=12)


def without_counters(state: State) -> State:
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"epoch": 160, "miou": 0.5, "state_dict": state, "optimizer": {"state": {}}},
        lambda state: {"model": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": {"state_dict": {f"module.{key}": value for key, value in state.items()}}},
    ],
    ids=["training-script", "model", "data-parallel", "nested"],
)
def test_wrapping_of_training_scripts_is_taken_off(
    model: SegmentationModel, state: State, wrap: Callable[[State], State]
) -> None:
    report = import_weights(model, wrap(state))

    assert len(report.mapped) == len(SHAPES)
    assert torch.equal(model.state_dict()["classifier.weight"], state[HEAD])


def test_old_files_without_counters_are_imported_and_the_report_says_so(model: SegmentationModel, state: State) -> None:
    report = import_weights(model, without_counters(state))

    assert len(report.mapped) + len(report.missing) == len(SHAPES)
    assert all(key.endswith("num_batches_tracked") for key in report.missing)
    assert f"{len(report.missing)} missing" in str(report)


def test_half_precision_weights_become_the_model_s(model: SegmentationModel, state: State) -> None:
    report = import_weights(model, {key: value.half() for key, value in state.items()})

    weight = model.state_dict()["classifier.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state[HEAD].half().float())
    assert "the file's float16 numbers became float32" in str(report)


def test_the_report_reads_as_sentences(model: SegmentationModel, state: State) -> None:
    assert str(import_weights(model, state)) == (
        "imported from pytorch-enet: 622 tensors mapped, 0 dropped, 0 missing, 0 mismatched\n"
        "  output 11 of the original means 'unlabelled'; the model keeps it as a class"
    )


def replaced(state: State, key: str, value: object) -> State:
    return {**state, key: value}


def without(state: State, key: str) -> State:
    return {name: value for name, value in state.items() if name != key}


REFUSED: dict[str, tuple[Callable[[State], State], str, str]] = {
    "another graph": (
        lambda state: replaced(state, "upsample4_0.ext_tconv1.weight", torch.zeros(32, 32, 2, 2)),
        "K402", "'any-size'.*'overlapping'",
    ),
    "another network": (
        lambda state: {"encoder.conv.weight": torch.zeros(1)},
        "K402", r"PyTorch-ENet.*'initial_block\.'.* encoder\.conv\.weight",
    ),
    "nothing": (lambda state: {}, "K404", "no named tensors, but an empty dict"),
    "an unexplained number of outputs": (
        lambda state: replaced(state, HEAD, torch.zeros(16, 15, 3, 3)),
        "K403", r"\b15 outputs.*\b12 classes",
    ),
    "one output more without an explanation": (
        lambda state: replaced(state, HEAD, torch.zeros(16, 13, 3, 3)),
        "K403", r"\b13 outputs.*\b12 classes",
    ),
    "a head that is no convolution": (
        lambda state: replaced(state, HEAD, torch.zeros(5)),
        "K403", r"\b0 outputs",
    ),
    "another shape": (
        lambda state: replaced(state, "regular1_1.ext_conv1.0.weight", torch.zeros(8, 64, 1, 1)),
        "K403", r"regular1_1\.ext_conv1\.0\.weight .*\[8, 64, 1, 1\].*stage1\.1\.reduce\.conv\.weight \[16, 64",
    ),
    "a missing tensor": (
        lambda state: without(state, "regular2_5.ext_conv3.1.bias"),
        "K404", r": 1 tensors .*: stage2\.5\.expand\.norm\.bias",
    ),
    "a missing head": (lambda state: without(state, HEAD), "K404", "classifier.weight"),
    "an extra tensor": (
        lambda state: replaced(state, "initial_block.out_prelu.weight", torch.zeros(1)),
        "K404", r": 1 keys .*: initial_block\.out_prelu\.weight",
    ),
    "two keys for one tensor": (
        lambda state: replaced(state, "dilated1_1.ext_conv1.0.weight", torch.zeros(16, 64, 1, 1)),
        "K404", "dilated1_1.ext_conv1.0.weight",
    ),
    "something that is no tensor": (
        lambda state: replaced(state, "initial_block.batch_norm.bias", [0.0] * 16),
        "K404", "initial_block.batch_norm.bias",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_do_not_fit_are_refused_and_the_model_is_untouched(
    model: SegmentationModel, state: State, case: str
) -> None:
    change, code, message = REFUSED[case]
    before = {key: value.clone() for key, value in model.state_dict().items()}

    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(model, change(state))

    assert caught.value.code == code
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_model_of_another_family_is_refused(state: State) -> None:
    unet = build_model(UNetSpec(decoder_channels=(8,)), num_classes=12)

    with pytest.raises(CheckpointError, match=r"pytorch-enet .*\benet; .*\bunet\b") as caught:
        import_weights(unet, state)

    assert caught.value.code == "K402"


def test_an_unknown_source_is_an_error_with_near_misses(model: SegmentationModel, state: State) -> None:
    with pytest.raises(CheckpointError, match=r"'pytorch_enet'.* 'pytorch-enet'") as caught:
        import_weights(model, state, source="pytorch_enet")

    assert caught.value.code == "K401"


def test_a_tensor_survives_the_way_through_a_file(tmp_path: Path, model: SegmentationModel, state: State) -> None:
    path = tmp_path / "ENet"
    torch.save({"state_dict": state}, path)

    import_weights(model, read_weights(str(path)).content)

    weight: Tensor = model.state_dict()["classifier.weight"]
    assert torch.equal(weight, state[HEAD])


class TestAnOptionalHead:
    """An auxiliary head, which inference does not run, may be absent or of another width; nothing else."""

    @pytest.fixture
    def fcn(self) -> SegmentationModel:
        return build_model(FCNSpec(encoder="resnet18", convolutions=1, channels=16, auxiliary_channels=8), 3)

    @pytest.fixture
    def theirs(self, fcn: SegmentationModel, monkeypatch: pytest.MonkeyPatch) -> State:
        """Our own keys behind a prefix, as a source of its own would have them."""
        conversion = Conversion(
            rules=((r"^theirs\.", ""),),
            classifiers=(("theirs.head.classifier.weight", 0), ("theirs.auxiliary.classifier.weight", 0)),
            optional=("auxiliary.",),
        )
        monkeypatch.setitem(IMPORTERS, "own/fcn", Importer("own", "fcn", lambda *_: conversion, swaps_average=False))
        return {f"theirs.{key}": torch.rand_like(value.float()) for key, value in fcn.state_dict().items()}

    def test_is_read_where_it_fits(self, fcn: SegmentationModel, theirs: State) -> None:
        report = import_weights(fcn, theirs, "own")
        assert (report.missing, report.dropped, report.mismatched, report.notes) == ((), (), (), ())

    def test_may_be_absent(self, fcn: SegmentationModel, theirs: State) -> None:
        state = {key: value for key, value in theirs.items() if ".auxiliary." not in key}
        report = import_weights(fcn, state, "own")
        assert all(key.startswith("auxiliary.") for key in report.missing)
        assert "auxiliary head" in report.notes[0]

    def test_of_another_width_is_dropped_and_named(self, fcn: SegmentationModel, theirs: State) -> None:
        wider = build_model(FCNSpec(encoder="resnet18", convolutions=1, channels=16, auxiliary_channels=12), 3)
        state = theirs | {
            f"theirs.{key}": value for key, value in wider.state_dict().items() if key.startswith("auxiliary.")
        }
        report = import_weights(fcn, state, "own")
        assert re.findall(r"\d+", report.notes[0]) == ["12", "8"]
        assert "auxiliary.classifier.weight" in report.mismatched
        assert "theirs.auxiliary.classifier.weight" in report.dropped

    @pytest.mark.parametrize("fault", ["incomplete", "unexplained", "other classes"])
    def test_is_refused_with_any_other_fault(self, fcn: SegmentationModel, theirs: State, fault: str) -> None:
        if fault == "incomplete":
            del theirs["theirs.auxiliary.classifier.bias"]
        elif fault == "unexplained":
            theirs["theirs.auxiliary.extra"] = torch.zeros(1)
        else:
            theirs["theirs.auxiliary.classifier.weight"] = torch.zeros(7, 8, 1, 1)
            theirs["theirs.auxiliary.classifier.bias"] = torch.zeros(7)
        with pytest.raises(CheckpointError, match="auxiliary") as caught:
            import_weights(fcn, theirs, "own")
        assert caught.value.code == ("K403" if fault == "other classes" else "K404")


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": {}, "state_dict_ema": state},
        lambda state: {"model_ema": {"n_averaged": torch.tensor(3), **{f"module.{k}": v for k, v in state.items()}}},
        lambda state: {"model": {key: value.numpy() for key, value in state.items()}},
    ],
    ids=["timm", "torch's AveragedModel", "numpy"],
)
def test_what_is_put_around_weights_is_taken_off(model: SegmentationModel, state: State, wrapped: Callable) -> None:
    report = import_weights(model, wrapped(state), "pytorch-enet")
    assert len(report.mapped) == len(state)


def test_something_that_is_no_dict_is_refused(model: SegmentationModel) -> None:
    with pytest.raises(CheckpointError, match=r"\blist\b.* dict\b") as caught:
        import_weights(model, [], "pytorch-enet")  # type: ignore[arg-type]
    assert caught.value.code == "K404"
