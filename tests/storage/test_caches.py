from pathlib import Path

import pytest

from pixelwise.storage import cache_folder


def test_the_cache_is_where_the_user_says_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "pixelwise"
    assert cache_folder().stat().st_mode & 0o777 == 0o700
