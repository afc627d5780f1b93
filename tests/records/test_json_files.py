from pathlib import Path

import msgspec
import pytest

from pixelwise.errors import CheckpointError
from pixelwise.records.json_files import read_json


class Facts(msgspec.Struct, frozen=True):
    number: int = 1


def test_missing_files_give_defaults_and_unknown_fields_are_ignored(tmp_path: Path):
    assert read_json(tmp_path / "facts.json", Facts) == Facts(1)
    (tmp_path / "facts.json").write_text('{"number": 2, "later": []}')
    assert read_json(tmp_path / "facts.json", Facts) == Facts(2)


def test_an_unreadable_file_is_damaged(tmp_path: Path):
    (tmp_path / "facts.json").mkdir()
    with pytest.raises(CheckpointError, match=r"facts\.json") as caught:
        read_json(tmp_path / "facts.json", Facts)
    assert caught.value.code == "K423"
