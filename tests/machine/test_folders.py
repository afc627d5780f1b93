import sys
from pathlib import Path

import pytest

from pixelwise.machine.folders import intel_folder


def test_the_folder_of_intels_programs_depends_on_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert intel_folder() == tmp_path / "intel"
    monkeypatch.setattr(sys, "platform", "win32")
    assert intel_folder() == tmp_path / "local" / "Intel Corporation"
    monkeypatch.delenv("LOCALAPPDATA")
    with pytest.raises(KeyError):
        intel_folder()
