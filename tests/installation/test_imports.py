"""Imports that succeed, fail, crash, print and hang, in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pixelwise.installation.imports import Trial, begin_libraries, begin_torch, failed_library, torch_seen

GPU = """
class cuda:
    is_available = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    get_arch_list = staticmethod(lambda: ["sm_80", "sm_90"])
    get_device_properties = staticmethod(lambda n: type("P", (), dict(name="T4", total_memory=5, major=7, minor=5)))
class backends:
    class mps:
        is_available = staticmethod(lambda: False)
import warnings
warnings.warn("T4 is old\\n  and slow")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def test_what_pytorch_sees_is_read_with_its_warnings(site: Path):
    (site / "torch.py").write_text(GPU, "utf-8")
    seen = torch_seen(begin_torch())
    assert [(one.name, one.memory_bytes, one.capability) for one in seen.gpus] == [("T4", 5, "7.5")]
    assert (seen.mps, seen.architectures, seen.said, seen.failed) == (
        False,
        ("sm_80", "sm_90"),
        ("T4 is old and slow",),
        "",
    )


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "ImportError: libcudart.so.12"),
        ("import os; os._exit(3)", "status 3"),
        ("import os, sys; sys.stdout.write('hello'); sys.stdout.flush(); os._exit(0)", "prints when it is imported"),
    ],
)
def test_a_pytorch_that_cannot_be_imported_is_described(site: Path, text: str, failed: str):
    (site / "torch.py").write_text(text, "utf-8")
    assert failed in torch_seen(begin_torch()).failed


def test_the_library_that_fails_is_named(site: Path):
    (site / "acme_good.py").write_text("", "utf-8")
    (site / "acme_bad.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')", "utf-8")
    assert failed_library(begin_libraries(("acme_good", "acme_bad"))) == (
        "acme_bad",
        "ImportError: libGL.so.1: cannot open shared object file",
    )
    assert failed_library(begin_libraries(("acme_good",))) is None


def test_a_file_in_the_current_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "acme_here.py").write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)
    found = failed_library(begin_libraries(("acme_here",)))
    assert found is not None
    assert "No module named 'acme_here'" in found[1]


def test_an_import_that_hangs_is_ended():
    assert Trial("import time; time.sleep(600)").result(0.2)[1] == "it did not end within 0 s"
