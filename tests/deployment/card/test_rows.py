from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.deployment.card.candidates import ArtefactPlan, PlanResult
from pixelwise.deployment.card.rows import CardRow, artefact_row, with_drops
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.observer import SILENT


def row(name: str, miou: float | None) -> CardRow:
    return CardRow(name=name, runtime="torch", precision="float32", miou=miou)


def test_what_a_row_loses_is_against_the_first_one() -> None:
    found = with_drops([row("a", 0.5), row("b", 0.25), row("c", 0.75), row("d", None)])
    assert [one.miou_drop for one in found] == [0.0, 0.25, -0.25, None]
    assert [one.miou_drop for one in with_drops([row("a", None), row("b", 0.25)])] == [None, None]


@pytest.mark.parametrize(
    ("target", "method", "name", "precision"),
    [
        ("onnx", "", "ONNX Runtime", "float32"),
        ("openvino", "ptq", "OpenVINO, int8 after training", "int8"),
        ("onnx", "qat", "ONNX Runtime, int8 trained", "int8"),
    ],
)
def test_what_could_not_be_made_is_a_row_with_the_reason(target: str, method, name: str, precision: str) -> None:
    plan = ArtefactPlan(name="folder", source="run", method=method, options=ExportOptions(target=target))
    made = PlanResult(plan=plan, exported=None, reason="[R240] because")
    found = artefact_row(made, None, None, Path("folder"), SILENT)  # type: ignore[arg-type]
    assert msgspec.structs.asdict(found) == msgspec.structs.asdict(
        CardRow(name=name, runtime=target, precision=precision, method=method, folder="folder", reason="[R240] because")
    )
