from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pixelwise.deployment.card.card import DeployCard, make_card
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.records.result import load_result

SIZE = (48, 64)


@pytest.mark.heavy
def test_the_card_has_pytorch_first_and_a_row_per_format(card: tuple[DeployCard, Path]) -> None:
    made, _ = card
    names = [row.name for row in made.rows if row.runtime != "torch-bf16"]
    assert names == ["PyTorch", "PyTorch, channels last", "ONNX Runtime", "Missing"]
    assert (made.split, made.protocol, made.images, made.seen_size) == ("val", "native", 2, SIZE)
    assert {"pixelwise", "torch", "onnxruntime"} <= set(made.versions)


def test_what_was_exported_is_scored_like_pytorch_and_its_results_are_kept(card: tuple[DeployCard, Path]) -> None:
    made, output = card
    reference, onnx = made.rows[0], next(row for row in made.rows if row.runtime == "onnx")
    assert reference.miou is not None
    assert reference.miou == load_result(output / "torch" / "evaluations" / "val-native").miou
    assert onnx.miou == load_result(output / "onnx" / "evaluations" / "val-native").miou
    assert onnx.miou == pytest.approx(reference.miou, abs=1e-3)
    assert onnx.miou_drop == reference.miou - onnx.miou
    assert onnx.equal_pixels is not None
    assert onnx.equal_pixels > 0.999
    assert onnx.size_bytes == (output / "onnx" / "model.onnx").stat().st_size


def test_a_format_whose_package_is_missing_is_a_row_with_the_reason(card: tuple[DeployCard, Path]) -> None:
    made, output = card
    row = made.rows[-1]
    assert row.reason.startswith("[R240] exporting to missing needs the package not_installed_anywhere")
    assert (row.size_bytes, row.miou, row.equal_pixels, row.latencies) == (None, None, None, ())
    assert not (output / "missing").exists()


def test_a_second_card_does_not_go_into_the_same_folder(card: tuple[DeployCard, Path], small_run: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        make_card(small_run, card[1])
    assert caught.value.code == "R243"


def test_the_budget_fails_for_more_than_it_allows_and_names_the_row(card: tuple[DeployCard, Path]) -> None:
    made, _ = card
    made.check_budget()

    def with_drop(drop: float) -> DeployCard:
        onnx = next(row for row in made.rows if row.runtime == "onnx")
        return msgspec.structs.replace(made, rows=(made.rows[0], msgspec.structs.replace(onnx, miou_drop=drop)))

    with_drop(0.005).check_budget()
    msgspec.structs.replace(with_drop(0.5), max_miou_drop=None).check_budget()
    with pytest.raises(CheckpointError, match=r"ONNX Runtime 0\.60") as caught:
        with_drop(0.006).check_budget()
    assert (caught.value.code, caught.value.exit_code) == ("K468", 4)


def test_a_card_survives_json(card: tuple[DeployCard, Path]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(card[0]), type=DeployCard) == card[0]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"images": "here", "max_miou_drop": 0.5}, "R249"),
        ({"threads": ()}, "R248"),
        ({"threads": (0,)}, "R260"),
        ({"int8": ("int4",)}, "R260"),
        ({"targets": ("tflite",)}, "R250"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_made(
    small_run: Path, tmp_path: Path, options: dict, code: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        make_card(small_run, tmp_path / "card", **options)
    assert caught.value.code == code
    assert not (tmp_path / "card").exists()


@pytest.mark.heavy
def test_images_without_labels_give_agreement_alone(small_run: Path, small_town: Path, tmp_path: Path) -> None:
    made = make_card(
        small_run, tmp_path / "card", targets=("onnx", "openvino"), images=small_town / "images" / "val", size=SIZE,
        rounds=1, threads=(1, 2), uint8_input=True, argmax=True,
    )  # fmt: skip
    assert (made.split, made.protocol, made.images) == ("", "", 2)
    assert all(row.miou is None and row.miou_drop is None for row in made.rows)
    assert all(row.equal_pixels is not None and row.equal_pixels > 0.99 for row in made.rows)
    for row in made.rows:
        assert [(latency.runtime, latency.threads) for latency in row.latencies] == [(row.runtime, 1), (row.runtime, 2)]
        assert {(latency.batch, latency.size, latency.rounds) for latency in row.latencies} == {(1, SIZE, 1)}
    with pytest.raises(DataError, match=r"D223.*nothing"):
        make_card(small_run, tmp_path / "other", images=tmp_path / "nothing", size=SIZE)


def test_images_without_labels_are_not_a_split(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        make_card("no run", tmp_path / "card", images=tmp_path, split="val")
    assert caught.value.code == "R251"
