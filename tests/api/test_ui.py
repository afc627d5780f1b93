import os
from collections.abc import Callable
from pathlib import Path

import pytest
from observers import Told

import pixelwise
from pixelwise.errors import DataError, RecipeError


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Path], int, list[Path]]]:
    """What was to be served; nothing is."""
    calls = []

    def serve(folders: list[Path], port: int, ready: Callable[[str], None], data: list[Path], edit: bool) -> None:
        calls.append((folders, port, data, "edit") if edit else (folders, port, data))
        ready("http://127.0.0.1:1/runs?token=x")

    monkeypatch.setattr("pixelwise.pages.serving.serve", serve)
    return calls


def test_the_address_is_told(served: list, tmp_path: Path):
    said: list[str] = []
    told: list[str] = []
    pixelwise.ui(tmp_path, observer=Told(phase=said.append), ready=told.append, port=0)
    assert served == [([tmp_path], 0, [])]
    assert told == ["http://127.0.0.1:1/runs?token=x"]
    assert said == [f"showing {tmp_path} at {told[0]} (Ctrl-C ends it)"]


def test_a_browser_is_opened_only_if_it_may(served: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []

    class Thread:
        def __init__(self, args: tuple[str], **_: object) -> None:
            opened.extend(args)

        def start(self) -> None: ...

    monkeypatch.setattr("pixelwise.api.ui.threading.Thread", Thread)
    pixelwise.ui([tmp_path, os.fspath(tmp_path)], browser=False)
    assert opened == []
    pixelwise.ui(tmp_path)
    assert opened == ["http://127.0.0.1:1/runs?token=x"]
    assert served == [([tmp_path, tmp_path], 8765, []), ([tmp_path], 8765, [])]


def test_data_is_shown_without_runs(served: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    pixelwise.ui(data=["photos", "town", "s3://bucket/shards"], browser=False)
    (tmp_path / "runs").mkdir()
    pixelwise.ui(data="photos", browser=False)
    named = [Path("photos"), Path("town"), Path("s3://bucket/shards")]
    assert served == [([], 8765, named), ([Path("runs")], 8765, [Path("photos")])]


def test_masks_are_edited_only_of_data_that_is_named(served: list, tmp_path: Path):
    pixelwise.ui(tmp_path, data=tmp_path, edit=True, browser=False)
    assert served == [([tmp_path], 8765, [tmp_path], "edit")]
    with pytest.raises(RecipeError, match="`edit` is set without `data`") as refused:
        pixelwise.ui(tmp_path, edit=True)
    assert refused.value.code == "R260"


def test_what_cannot_be_shown_is_refused(served: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError) as missing:
        pixelwise.ui(tmp_path / "nowhere")
    assert missing.value.code == "D222"
    with pytest.raises(DataError) as missing:
        pixelwise.ui(tmp_path, data="nowhere")
    assert missing.value.code == "D222"
    with pytest.raises(RecipeError) as wrong:
        pixelwise.ui(tmp_path, port=70000)
    assert wrong.value.code == "R260"
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(RecipeError, match="needs the package uvicorn") as lacking:
        pixelwise.ui(tmp_path)
    assert (lacking.value.code, lacking.value.help) == ("R240", "install it: pip install 'pixelwise[ui]'")
    assert served == []


def test_the_verb_shows_the_folder_runs(served: list, run_cli: Callable, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run_cli(["ui", "--no-browser"])
    assert code == 3
    assert "runs is not a folder" in stderr
    (tmp_path / "runs").mkdir()
    code, _, stderr = run_cli(["ui", "--no-browser", "--port", "0"])
    assert (code, served) == (0, [([Path("runs")], 0, [])]), stderr
    assert "http://127.0.0.1:1/runs?token=x" in stderr
