from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from pixelwise.deployment.card import candidates
from pixelwise.deployment.card.candidates import Shape, make_artefact, plan_artefacts
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.int8.options import QuantizeOptions
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.run_folder import RECIPE
from pixelwise.runtimes.targets import TARGETS, find_target
from pixelwise.storage import write_text

SHAPE = Shape(size=(48, 64), dynamic=False, uint8_input=True)


def plans(run: Path, *targets: str, **options: object) -> list:
    return plan_artefacts(run, DeployOptions(targets=targets, **options), SHAPE)  # type: ignore[arg-type]


def test_every_target_is_exported_in_the_order_that_is_asked_for_and_once(small_run: Path) -> None:
    found = plans(small_run, "openvino", "onnx", "openvino")
    assert [(plan.name, plan.runtime, plan.method) for plan in found] == [
        ("openvino", "openvino", ""),
        ("onnx", "onnx", ""),
    ]
    options = found[1].options
    assert (options.target, options.size, options.uint8_input, options.argmax) == ("onnx", (48, 64), True, False)
    assert found[1].source == str(small_run)


def test_what_has_a_quantizer_is_quantized_on_the_images_of_the_run(small_run: Path) -> None:
    found = plans(small_run, "onnx", "executorch", int8=("ptq",), data="town", images="x", calibration_images=4)
    assert [(plan.name, plan.method) for plan in found] == [("onnx", ""), ("executorch", ""), ("onnx-int8-ptq", "ptq")]
    options = found[-1].options
    assert isinstance(options, QuantizeOptions)
    assert (options.target, options.force, options.data, options.calibration_images) == ("onnx", True, "town", 4)
    # The run knows its own training images, so ranges do not come from those that are compared.
    assert options.images is None
    assert (options.size, options.uint8_input, options.dynamic) == ((48, 64), True, False)


def test_a_run_that_does_not_know_its_data_is_calibrated_on_the_images_that_are_given(
    small_recipe: Recipe, tmp_path: Path
) -> None:
    data = msgspec.structs.replace(small_recipe.data, dataset="folder")
    write_text(tmp_path / "run" / RECIPE, to_toml(msgspec.structs.replace(small_recipe, data=data)))
    assert plans(tmp_path / "run", "onnx", int8=("ptq",), images="photos")[-1].options.images == "photos"


def test_a_run_trained_in_8_bits_is_named_and_becomes_onnx(small_run: Path, trained_in_8_bits: Path) -> None:
    found = plans(small_run, "openvino", int8=("qat",), qat_run=trained_in_8_bits)
    assert [(plan.name, plan.runtime, plan.method, plan.source) for plan in found] == [
        ("openvino", "openvino", "", str(small_run)),
        ("onnx-int8-qat", "onnx", "qat", str(trained_in_8_bits)),
    ]


def test_a_run_that_was_trained_in_8_bits_itself_is_not_made_twice(trained_in_8_bits: Path) -> None:
    found = plans(trained_in_8_bits, "onnx", "openvino", int8=("qat",))
    assert [(plan.name, plan.method) for plan in found] == [("onnx", "qat"), ("openvino", "")]
    assert [plan.name for plan in plans(trained_in_8_bits, "openvino", int8=("qat",))] == ["openvino", "onnx-int8-qat"]


def test_targets_that_compute_in_int8_what_was_trained_so_are_all_made(
    small_run: Path, trained_in_8_bits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TARGETS, "mine", msgspec.structs.replace(find_target("onnx"), name="mine"))
    found = plans(small_run, "mine", "onnx", int8=("qat",), qat_run=trained_in_8_bits)
    assert [plan.name for plan in found] == ["mine", "onnx", "mine-int8-qat", "onnx-int8-qat"]


def test_the_run_that_is_named_has_8_bits_and_the_same_classes(
    small_run: Path, small_recipe: Recipe, trained_in_8_bits: Path, tmp_path: Path
) -> None:
    other = apply_overrides(small_recipe, ["quantization=x86-8bit", "data.dataset=cityscapes"])
    write_text(tmp_path / "other" / RECIPE, to_toml(other))
    for int8, named, pattern in (
        (("qat",), small_run, rf"qat in `int8` .*{re.escape(small_run.name)}.*\n.*`qat_run`"),
        (("qat",), tmp_path / "other", r"`qat_run`.*other .*road, sidewalk, building, \.\.\. \(19\)"),
        (("ptq",), trained_in_8_bits, r"`qat_run`.*`int8`"),
    ):
        with pytest.raises(RecipeError, match=pattern) as caught:
            plans(small_run, "onnx", int8=int8, qat_run=named)
        assert caught.value.code == "R248"


@pytest.mark.parametrize(
    ("targets", "int8", "code"),
    [
        (("onnx", "tflite"), (), "R250"),
        ((), (), "R248"),
        (("executorch",), ("ptq",), "R248"),
        (("onnx",), ("qat",), "R248"),
    ],
)
def test_what_cannot_be_planned_is_refused(small_run: Path, targets: tuple, int8: tuple, code: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plans(small_run, *targets, int8=int8)
    assert caught.value.code == code


def test_what_cannot_be_made_says_why_and_leaves_no_folder(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = msgspec.structs.replace(find_target("onnx"), name="missing", packages=("not_installed_anywhere",))
    monkeypatch.setitem(TARGETS, "missing", missing)
    (plan,) = plans(small_run, "missing")
    made = make_artefact(plan, tmp_path)
    assert made.exported is None
    assert made.reason.startswith("[R240] ")
    assert list(tmp_path.iterdir()) == []


def test_what_is_quantized_is_verified_on_the_split_of_the_card(small_run: Path) -> None:
    (quantized,) = [plan for plan in plans(small_run, "onnx", int8=("ptq",), data="x", split="dev") if plan.method]
    assert (quantized.options.data, quantized.options.split) == ("x", "dev")


def test_a_reason_does_not_advise_what_the_card_cannot_do(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*arguments: object, **options: object) -> None:
        raise CheckpointError("K465", "it differs", "keep it with `force`, or try another `target`")

    monkeypatch.setattr(candidates, "export", differs)
    reason = make_artefact(plans(small_run, "onnx")[0], tmp_path).reason
    assert reason.startswith("[K465] it differs; ")
    assert "`targets`" in reason
    assert not {"`force`", "`target`"} & set(reason.split())
