import json
from pathlib import Path

import msgspec
import pytest
from runtimes.descriptions import CONTENT, sidecar_of

from pixelwise.deployment.export.export import Exported
from pixelwise.deployment.int8.quantize import Quantized
from pixelwise.deployment.int8.sensitivity import LayerCost
from pixelwise.reports.artefacts import (
    describe_costs,
    describe_export,
    describe_quantized,
    show_exported,
    show_quantized,
)
from pixelwise.runtimes.inference import Inference
from pixelwise.runtimes.sidecar import Calibration, Output, Verification

COSTS = tuple(LayerCost(name=f"layer{index}", unequal_pixels=0.5 / (index + 1)) for index in range(22))


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    (tmp_path / "model.onnx").write_bytes(CONTENT * 100_000)
    verification = Verification(
        images=4, source="scenes", equal_pixels=0.99985, least_equal_pixels=0.9999, max_difference=0.012,
        logit_range=24.0, miou_pytorch=0.5, miou_artefact=0.4975,
    )  # fmt: skip
    return Exported(path=tmp_path / "model.onnx", sidecar=sidecar_of(verification=verification))


def test_an_export_says_what_was_written_and_how_far_it_agrees(exported: Exported):
    lines = describe_export(exported).splitlines()
    assert lines[0].endswith("model.onnx (1.6 MB)")
    assert (
        lines[1] == "input     images: uint8 RGB (N, H, W, 3), 64x48 (images of other sizes go through windows of it)"
    )
    assert lines[2] == "output    labels: uint8 (N, h, w), stride 1"
    assert "99.9850 %" in lines[3]
    assert "0.012" in lines[4]
    assert "24" in lines[4]
    assert "50.00" in lines[5]
    assert "49.75" in lines[5]
    assert "99.99 %" in lines[6]


@pytest.mark.parametrize(
    ("resize", "stride", "said"),
    [("fit", 8, "enlarge them once"), ("fit", 1, "enlarged twice"), ("none", 8, ""), ("none", 1, "")],
)
def test_an_export_says_how_logits_become_a_mask_if_the_run_resizes_images(
    exported: Exported, resize: str, stride: int, said: str
):
    sidecar = msgspec.structs.replace(
        exported.sidecar,
        inference=Inference(resize=resize, shorter_side=32 if resize == "fit" else None),  # type: ignore[arg-type]
        output=Output(name="logits", dtype="float32", stride=stride, align_corners=False, head_stride=8),
    )
    text = describe_export(msgspec.structs.replace(exported, sidecar=sidecar))
    assert (said in text) if said else ("enlarge" not in text)


def test_int8_says_where_its_ranges_come_from_and_what_stayed_in_float(exported: Exported):
    sidecar = msgspec.structs.replace(
        exported.sidecar,
        calibration=Calibration(images=2, source="two images", ranges="their means"),
        float_layers=("classifier", "stem"),
    )
    text = describe_quantized(msgspec.structs.replace(exported, sidecar=sidecar))
    assert "int8      ranges from two images: their means\n" in text
    assert text.endswith("in float  classifier, stem\n")


def test_the_layers_that_cost_most_are_listed_and_the_others_counted():
    lines = describe_costs(COSTS).splitlines()
    assert lines[2].split() == ["layer0", "-", "50.000"]
    assert len(lines) == 2 + 20 + 1
    assert lines[-1].startswith("and 2 more")
    (only,) = describe_costs([LayerCost(name="x", unequal_pixels=0.1, miou_drop=0.0123)]).splitlines()[2:]
    assert only.split() == ["x", "1.23", "10.000"]


def test_json_holds_the_description_without_the_recipe_and_all_layers(exported: Exported, capsys):
    show_exported(exported, as_json=True)
    plain = json.loads(capsys.readouterr().out)
    assert (plain["runtime"], plain["verification"]["images"], "recipe" in plain) == ("onnx", 4, False)
    show_quantized(Quantized(artefact=exported, layers=COSTS), as_json=True)
    both = json.loads(capsys.readouterr().out)
    assert [cost["name"] for cost in both.pop("sensitivity")] == [cost.name for cost in COSTS]
    assert both == plain


def test_layers_alone_are_a_table_alone(exported: Exported, capsys):
    show_quantized(Quantized(layers=COSTS), as_json=False)
    assert capsys.readouterr().out == describe_costs(COSTS)
    show_quantized(Quantized(artefact=exported), as_json=False)
    assert capsys.readouterr().out == describe_quantized(exported)
