from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from observers import Told

import pixelwise
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.models import build_model


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished run without scores and report that may be written into."""
    return Path(
        shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluations", "report.html"))
    )


def test_the_report_of_a_run_shows_its_new_score(run: Path):
    result = pixelwise.evaluate(run, split="val")
    page = (run / "report.html").read_text("utf-8")
    assert f"{100 * result.miou:.2f}" in page
    assert result.data_fingerprint[:16] in page


@pytest.mark.heavy
def test_a_name_gives_a_result_and_several_names_a_list(run: Path):
    alone = pixelwise.evaluate(run, None, "val", "native")
    assert isinstance(alone, pixelwise.Result)
    (listed,) = pixelwise.evaluate(run, None, "val", protocol=("native",))
    assert listed.miou == alone.miou


@pytest.mark.heavy
def test_options_are_a_struct_or_keywords_and_keywords_win(run: Path):
    quiet = EvaluateOptions(boundary=False, device="cpu")
    assert pixelwise.evaluate(run, options=quiet).command.endswith("--no-boundary")
    assert not pixelwise.evaluate(run, options=quiet, boundary=True).command.endswith("--no-boundary")
    with pytest.raises(TypeError, match="boundry"):
        pixelwise.evaluate(run, boundry=False)


@pytest.mark.heavy
def test_an_observer_or_progress_functions_are_called(run: Path):
    seen: list[tuple[int, int]] = []
    told: list[tuple[str, int, int | None]] = []
    pixelwise.evaluate(run, progress=lambda done, total: seen.append((done, total)))
    phases: list[str] = []
    observer = Told(phase=phases.append, progress=lambda *progress: told.append(progress))
    pixelwise.evaluate(run, observer=observer)
    scored, drawn = [(1, 3), (2, 3), (3, 3)], [(1, 3), (2, 3), (3, 3)]
    assert seen == scored
    assert told == [*(("evaluating", *one) for one in scored), *(("drawing pictures", *one) for one in drawn)]
    assert phases == ["evaluating", "drawing pictures", "writing the report"]


def test_a_model_in_memory_writes_nothing(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    pixelwise.evaluate(build_model("enet-camvid-2021", num_classes=3), tiny_data)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_list_of_protocols_is_refused(run: Path):
    with pytest.raises(ValueError, match="protocols"):
        pixelwise.evaluate(run, protocol=[])


def test_overrides_by_name_are_recorded_with_their_values(run: Path):
    result = pixelwise.evaluate(run, overrides={"data.exif": "ignore"}, boundary=False)
    assert result.variant == "data.exif=ignore"
    assert "data.exif=ignore" in result.command
