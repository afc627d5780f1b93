from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError
from pixelwise.records.tracking.marks import Mark, Position, mark_file, read_mark, without_secrets, write_mark


def test_a_mark_is_read_as_it_was_written_and_a_missing_one_knows_nothing(tmp_path: Path):
    assert read_mark(tmp_path, "mlflow") == Mark()
    mark = Mark(place="sqlite:///a.db", tracked="1", sent={"step": Position(7, 0), "warning": Position(7, 2)})
    write_mark(tmp_path, "mlflow", mark)
    assert mark_file(tmp_path, "mlflow") == tmp_path / "trackers" / "mlflow.json"
    assert read_mark(tmp_path, "mlflow") == mark
    assert (mark.step, Mark().step) == (7, 0)


def test_positions_are_ordered_by_step_and_then_by_number():
    assert Position(2, 0) < Position(2, 1) < Position(3, 0)


def test_a_damaged_mark_is_no_mark_of_a_new_run(tmp_path: Path):
    mark_file(tmp_path, "mlflow").parent.mkdir()
    mark_file(tmp_path, "mlflow").write_text('{"sent": 3}')
    with pytest.raises(CheckpointError, match=r"mlflow\.json") as caught:
        read_mark(tmp_path, "mlflow")
    assert (caught.value.code, "--to mlflow" in caught.value.help) == ("K423", True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pass@host/db is away", "postgresql://host/db is away"),
        ("at http://host:5000/?write_token=abc, twice", "at http://host:5000/ twice"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("a mail to me@home", "a mail to me@home"),
        ("the key 0123456789abcdef is refused", "the key *** is refused"),
        ("the name longername is shown", "the name longername is shown"),
    ],
)
def test_what_gives_access_is_left_out(text: str, shown: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("WANDB_NAME", "longername")
    assert without_secrets(text) == shown
