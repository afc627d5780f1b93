import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.heavy
def test_the_card_is_printed_and_written(run_cli: Callable, tiny_run: Path, tmp_path: Path):
    arguments = ["deploy", tiny_run, "--targets", "onnx,openvino", "--rounds", "2", "--threads", "1,2"]
    found = run_cli([*arguments, "--output", tmp_path / "card", "--max-miou-drop", "0.5"])
    assert found.code == 0, found.stderr
    assert "OpenVINO" in found.stdout
    assert "Within the budget" in found.stdout
    assert found.stdout.rstrip().endswith("card.html")
    names = {path.name for path in (tmp_path / "card").iterdir()}
    assert {"card.html", "card.md", "card.json", "onnx", "openvino", "torch"} <= names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--targets", "tflite"], "error[R250]"),
        (["--int8", "qat"], "quantization=x86-8bit"),
        (["--int8", "qat"], "--qat-run"),
        (["--threads", "0"], "error[R260]: --threads"),
        (["--size", "12"], "error[R223]"),
    ],
)
def test_mistakes_are_explained_before_anything_is_made(
    run_cli: Callable, tiny_run: Path, tmp_path: Path, arguments: list[str], words: str
):
    found = run_cli(["deploy", tiny_run, "--output", tmp_path / "card", *arguments])
    assert found.code == 2
    assert words in found.stderr
    assert not (tmp_path / "card").exists()


@pytest.mark.heavy
def test_a_broken_budget_fails_after_the_card_was_written(
    run_cli: Callable, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from pixelwise.deployment.card import rows

    # As if the artefact had lost a point.
    score = rows.score_artefact
    monkeypatch.setattr(rows, "score_artefact", lambda *given, **named: score(*given, **named) - 0.01)
    found = run_cli(
        ["deploy", tiny_run, "--output", tmp_path / "card", "--targets", "onnx", "--rounds", "0",
         "--max-miou-drop", "0.5", "--json"]
    )  # fmt: skip
    assert found.code == 4
    assert "error[K468]" in found.stderr
    assert json.loads(found.stdout) == json.loads((tmp_path / "card" / "card.json").read_text())
    assert "Over the budget" in (tmp_path / "card" / "card.html").read_text()


@pytest.mark.heavy
def test_runtimes_are_timed_in_turns(run_cli: Callable):
    found = run_cli(
        ["profile", "town-demo", "--runtime", "torch,torch-channels-last", "--threads", "1", "--size", "32x48",
         "--batch", "2", "--rounds", "2", "--json"]
    )  # fmt: skip
    assert found.code == 0, found.stderr
    table = json.loads(found.stdout)
    assert [(row["runtime"], row["threads"]) for row in table["rows"]] == [
        ("torch", 1), ("torch-channels-last", 1),
    ]  # fmt: skip
    assert {(row["batch"], row["rounds"], *row["size"]) for row in table["rows"]} == {
        (2, 2, 48, 32)
    }  # --size is width x height
    assert table["machine"]["cores"] >= 1
    assert "torch" in table["versions"]


@pytest.mark.heavy
def test_an_artefact_is_timed_at_its_own_size(run_cli: Callable, tiny_run: Path, tmp_path: Path):
    exported = run_cli(["export", tiny_run, "--output", tmp_path / "onnx", "--size", "64x48"])
    assert exported.code == 0, exported.stderr
    found = run_cli(["profile", tmp_path / "onnx", "--runtime", "onnx", "--rounds", "2"])
    assert found.code == 0, found.stderr
    assert "1 image of 64x48 (W x H) per pass" in found.stdout
    assert run_cli(["profile", tmp_path / "onnx", "--runtime", "torch"]).code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runtime", "tensorrt"], "error[R250]"),
        (["--runtime", ","], "','"),
        (["--runtime", "torch", "--threads", "1,x"], "'1,x'"),
        (["--runtime", "torch", "--steps", "3"], "error[R251]: --steps"),
        (["--threads", "1,2"], "error[R251]"),
    ],
)
def test_mistakes_with_runtimes_are_explained(run_cli: Callable, arguments: list[str], words: str):
    found = run_cli(["profile", "town-demo", *arguments])
    assert found.code == 2
    assert words in " ".join(found.stderr.replace("│", " ").split())
