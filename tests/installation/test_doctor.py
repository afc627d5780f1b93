"""The examination of this machine, and of one with made-up packages and a made-up driver."""

from __future__ import annotations

import getpass
import json
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from foreign_site import add, torch_version

from pixelwise.installation import doctor
from pixelwise.installation.imports import Trial

TORCH = """
class cuda:
    is_available = staticmethod(lambda: False)
    get_arch_list = staticmethod(list)
class backends:
    class mps:
        is_available = staticmethod(lambda: False)
"""


def examined(site: Path, tmp_path: Path, **variables: str) -> tuple[int, dict]:
    """Exit status and JSON of the verb in a process that sees further packages."""
    add(
        site,
        "torch",
        "2.10.0",
        files={"torch/version.py": torch_version("2.10.0+cpu", None), "torch/__init__.py": TORCH},
    )
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", ""), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache"), **variables}
    command = [sys.executable, "-m", "pixelwise", "doctor", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_two_opencvs_and_an_unused_gpu_are_wrong(tmp_path: Path):
    site = tmp_path / "site"
    add(site, "opencv-contrib-python", "5.0.0")
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\necho 'Driver Version: 570.1  CUDA Version: 12.8'\n", "utf-8")
    driver.chmod(0o755)
    secret = "hf_" + "s" * 20
    status, found = examined(
        site, tmp_path, PATH=f"{driver.parent}{os.pathsep}{os.environ['PATH']}", HF_TOKEN=secret, OMP_NUM_THREADS="1"
    )
    assert status == 1
    assert {"several-opencvs", "torch-without-cuda"} <= {one["name"] for one in found["problems"] if one["wrong"]}
    assert found["torch"]["driver"]["version"] == "570.1"
    assert found["torch"]["build"] == "CPU"
    assert secret not in json.dumps(found)


def test_this_machine_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
    monkeypatch.setattr(doctor.imports, "begin_torch", lambda: Trial("raise SystemExit('broken')"))
    found = doctor.doctor()
    assert found.python.endswith(platform.python_version())
    assert found.processor.cores == os.cpu_count()
    assert (found.processor.threads, found.processor.omp_num_threads) == (1, 1)
    assert found.memory.total == psutil.virtual_memory().total
    assert found.torch.failed == "broken"
    assert "torch-not-importable" in {one.name for one in found.problems}
    assert not found.is_well
    wrong = [one.wrong for one in found.problems]
    assert wrong == sorted(wrong, reverse=True)
    assert [one.purpose for one in found.folders] == ["current folder", "cache of Pixelwise", "weights from the hub"]


def test_neither_home_nor_host_nor_user_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert doctor.short(tmp_path / "a" / "b") == os.path.join("~", "a", "b")
    assert doctor.short("/elsewhere/a\n") == "/elsewhere/a\\n"
    monkeypatch.setattr(doctor.imports, "begin_torch", lambda: Trial("raise SystemExit('broken')"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = str(doctor.doctor())
    assert str(tmp_path) not in written
    assert not [name for name in (socket.gethostname(),) if name in written]
    assert getpass.getuser() == "root" or getpass.getuser() not in written


def test_a_cache_that_cannot_be_made_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(doctor.imports, "begin_torch", lambda: Trial("raise SystemExit('broken')"))
    found = doctor.doctor()
    assert "folder-not-writable" in {one.name for one in found.problems}
