"""Formats whose artefact is a folder, and formats that this machine writes but cannot run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pixelwise.checkpoints.trained import load_trained
from pixelwise.deployment.card.candidates import ArtefactPlan, PlanResult
from pixelwise.deployment.card.images import ComparisonImages
from pixelwise.deployment.card.rows import artefact_row
from pixelwise.deployment.export.export import export
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.observer import SILENT
from pixelwise.prediction.loading import load
from pixelwise.reports.artefacts import describe_export
from pixelwise.runtimes import is_artefact, load_artefact, read_sidecar
from pixelwise.runtimes.targets import TARGETS, Engine, find_target
from pixelwise.storage import sha256_folder

SIZE = (48, 64)
ELSEWHERE = "it is for machines of another kind"


def write(network: object, folder: Path) -> list[Path]:
    """The graph of PyTorch within a folder, with a second file."""
    package = folder / "model.graphs"
    (package / "inner").mkdir(parents=True)
    find_target("torch-export").write(network, package / "inner")  # type: ignore[arg-type]
    (package / "about.txt").write_text("a graph", "utf-8")
    return [package]


def open_engine(file: Path, threads: int | None) -> Engine:
    return find_target("torch-export").open(file / "inner" / "model.pt2", threads)


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a target whose artefacts are folders."""
    target = msgspec.structs.replace(
        find_target("torch-export"),
        name="graphs", suffixes=(".graphs",), folder=True, write=write, open=open_engine, check=None, runs_code="",
    )  # fmt: skip
    monkeypatch.setitem(TARGETS, "graphs", target)
    return "graphs"


@pytest.fixture
def elsewhere(packaged: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same for another kind of machine."""
    monkeypatch.setitem(
        TARGETS, packaged, msgspec.structs.replace(find_target(packaged), not_here=lambda: ELSEWHERE, byte_arrays=False)
    )
    return packaged


def test_an_artefact_that_is_a_folder_is_verified_and_predicts(tmp_path: Path, small_run: Path, packaged: str) -> None:
    made = export(small_run, tmp_path / "out", packaged, size=SIZE)

    assert made.path == tmp_path / "out" / "model.graphs"
    assert made.sidecar.files == {"model.graphs": sha256_folder(made.path)}
    assert made.sidecar.verification is not None
    assert made.sidecar.verification.passed
    assert made.sidecar.unverified == ""
    for given in (made.path, made.path.parent, made.path.with_name("model.toml")):
        assert is_artefact(given) == (given.suffix != ".toml")
        assert read_sidecar(given) == (made.sidecar, made.path)
    image = np.zeros((*SIZE, 3), np.uint8)
    assert np.array_equal(load(made.path).predict(image).labels, load(small_run).predict(image).labels)
    assert "model.graphs (" in describe_export(made)

    inner = made.path / "about.txt"
    for text in ("another", None):
        inner.write_text(text, "utf-8") if text else inner.unlink()
        with pytest.raises(CheckpointError, match=r"K462.*model\.graphs has SHA-256"):
            read_sidecar(made.path)
    inner.symlink_to(made.path.with_name("model.toml"))
    with pytest.raises(CheckpointError, match=r"K462.*model\.graphs/about\.txt is a link"):
        read_sidecar(made.path)


def test_what_cannot_run_here_is_kept_and_says_that_it_is_not_verified(
    tmp_path: Path, small_run: Path, elsewhere: str
) -> None:
    told: list[tuple[str, str]] = []
    made = export(
        small_run, tmp_path / "out", elsewhere, size=SIZE, warn=lambda code, message: told.append((code, message))
    )

    sidecar, _ = read_sidecar(made.path)
    assert (sidecar.verification, sidecar.unverified) == (None, ELSEWHERE)
    ((code, message),) = told
    assert code == "W476"
    assert ELSEWHERE in message
    assert f"verified  no: {ELSEWHERE}" in describe_export(made)
    with pytest.raises(CheckpointError, match=ELSEWHERE) as caught:
        load_artefact(made.path)
    assert caught.value.code == "K473"


@pytest.mark.parametrize("options", [{"uint8_input": True}, {"argmax": True}, {"uint8_input": True, "argmax": True}])
def test_a_format_without_bytes_refuses_them(tmp_path: Path, small_run: Path, elsewhere: str, options: dict) -> None:
    with pytest.raises(RecipeError) as caught:
        export(small_run, tmp_path / "out", elsewhere, size=SIZE, **options)
    assert caught.value.code == "R244"
    assert all(f"`{name}`" in caught.value.help for name in options)
    assert not (tmp_path / "out").exists()


def test_a_card_has_a_row_without_scores_and_with_the_reason(
    tmp_path: Path, small_run: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = export(small_run, tmp_path / "out", elsewhere, size=SIZE, warn=lambda code, message: None)
    plan = ArtefactPlan(name="out", source=str(small_run), method="", options=ExportOptions(target=elsewhere))
    trained = load_trained(small_run)
    images = ComparisonImages(read=lambda: (), source="none", count=0, fixed=SIZE, latency_size=SIZE)
    row = artefact_row(PlanResult(plan=plan, exported=made), trained, images, tmp_path, SILENT)
    assert row.miou is None
    assert row.equal_pixels is None
    assert ELSEWHERE in row.reason
    assert row.size_bytes == sum(file.stat().st_size for file in made.path.rglob("*") if file.is_file())


@pytest.mark.heavy
@pytest.mark.skipif(importlib.util.find_spec("litert_torch") is None, reason="litert_torch is not installed")
@pytest.mark.parametrize("bytes_", [False, True])
def test_a_litert_artefact_predicts_like_its_run(tmp_path: Path, small_run: Path, bytes_: bool) -> None:
    made = export(small_run, tmp_path / "out", "litert", size=SIZE, uint8_input=bytes_, argmax=bytes_)

    assert made.sidecar.verification is not None
    assert made.sidecar.verification.passed
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    equal = load(made.path).predict(image).labels == load(small_run).predict(image).labels
    assert equal.mean() >= 0.999


@pytest.mark.heavy
@pytest.mark.skipif(importlib.util.find_spec("coremltools") is None, reason="coremltools is not installed")
def test_a_core_ml_package_is_verified_on_macos_alone(tmp_path: Path, small_run: Path) -> None:
    told: list[str] = []
    made = export(small_run, tmp_path / "out", "coreml", size=SIZE, warn=lambda code, message: told.append(code))

    on_macos = find_target("coreml").refusal() == ""
    assert (made.sidecar.verification is not None) == on_macos
    assert told == ([] if on_macos else ["W476"])
    assert sorted(file.name for file in made.path.parent.iterdir()) == ["model.mlpackage", "model.toml"]
