from pathlib import Path

from pixelwise.errors import DataError
from pixelwise.records.exits import Exit, read_exit, remove_exit, write_exit


def test_how_a_run_ended_is_read_back(tmp_path: Path):
    assert read_exit(tmp_path) is None
    write_exit(tmp_path, None)
    assert read_exit(tmp_path) == Exit()
    write_exit(tmp_path, DataError("D101", "a.png cannot be read", "look at it"))
    assert read_exit(tmp_path) == Exit(exit_code=3, code="D101", message="a.png cannot be read", help="look at it")
    remove_exit(tmp_path)
    assert read_exit(tmp_path) is None
    remove_exit(tmp_path)


def test_a_damaged_file_says_nothing(tmp_path: Path):
    (tmp_path / "exit.json").write_text("{")
    assert read_exit(tmp_path) is None
