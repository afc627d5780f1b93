"""Known bad combinations, each found in an otherwise healthy machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pixelwise.installation import known
from pixelwise.installation.examination import Examination, Folder, Memory, Problem, Processor, Torch
from pixelwise.installation.imports import Gpu
from pixelwise.installation.known import problems
from pixelwise.installation.packages import Package, Unmet
from pixelwise.machine.facts import Driver
from pixelwise.machine.files import Room

WELL = Examination(
    version="1.0",
    python="CPython 3.12.0",
    executable="~/venv/bin/python",
    location="~/venv/lib/pixelwise",
    system="Linux 6 x86_64",
    torch=Torch(version="2.10.0", build="CPU", failed="", gpus=(), mps=False, architectures=(), said=(), driver=None),
    processor=Processor(
        name="a", features=(), cores=8, scheduled=8, quota=None, usable=8, threads=8, omp_num_threads=None
    ),
    memory=Memory(total=1 << 34, available=1 << 33, limit=None, between_processes=Room(1 << 33, 1 << 33)),
    needed=(Package(name="torch", version="2.10.0", wanted=">=2.10", fits=True),),
    extras=(),
    plugins={},
    folders=(Folder(purpose="cache of Pixelwise", path="~/.cache/pixelwise", bytes=0, room=Room(1 << 40, 1 << 39)),),
)
H200 = Driver(version="570.1", cuda="12.8", gpus=("NVIDIA H200",))
INCOMPATIBLE = "T4 with CUDA capability sm_75 is not compatible with the current PyTorch installation."


def found_in(
    names: Any = (), unmet: Any = (), failed: tuple[str, str] | None = None, **parts: dict[str, Any]
) -> list[Problem]:
    """The problems of the healthy machine with changed parts."""
    changed = {name: msgspec.structs.replace(getattr(WELL, name), **values) for name, values in parts.items()}
    return problems(msgspec.structs.replace(WELL, **changed), names, unmet, failed)


def test_nothing_is_said_of_a_healthy_machine():
    assert found_in() == []
    used = {
        "build": "CUDA 12.6",
        "driver": H200,
        "torchvision_cuda": "12.4",
        "gpus": (Gpu(name="H200", memory_bytes=1),),
    }
    assert found_in(names={"opencv-python-headless", "onnxruntime-gpu"}, torch=used) == []


@pytest.mark.parametrize(
    ("name", "words", "given"),
    [
        (
            "unmet-requirement", ("timm needs torch>=2", "1.13", "pip install 'torch>=2'"),
            {"unmet": [Unmet(by="timm", requirement="torch>=2", name="torch", version="1.13")]},
        ),
        (
            "unmet-requirement", ("not installed",),
            {"unmet": [Unmet(by="timm", requirement="torch>=2", name="torch", version=None)]},
        ),
        ("torch-not-importable", ("libcudart",), {"torch": {"failed": "ImportError: libcudart.so"}}),
        ("module-not-importable", ("cv2", "libGL"), {"failed": ("cv2", "libGL.so.1: cannot open")}),
        (
            "several-opencvs", ("opencv-python and opencv-python-headless", "uninstall -y opencv-python opencv-"),
            {"names": {"opencv-python", "opencv-python-headless", "numpy"}},
        ),
        (
            "several-onnxruntimes", ("pip install onnxruntime-gpu",),
            {"names": {"onnxruntime", "onnxruntime-gpu"}},
        ),
        ("torch-without-cuda", ("NVIDIA H200 is not used", "CUDA 12.8 or older"), {"torch": {"driver": H200}}),
        (
            "driver-too-old", ("CUDA 13.0", "570.1", "up to 12.8"),
            {"torch": {"driver": H200, "build": "CUDA 13.0"}},
        ),
        (
            "gpu-not-usable", ("CUDA initialization: CUDA unknown error",),
            {"torch": {"driver": H200, "build": "CUDA 12.6", "said": ("CUDA initialization: CUDA unknown error",)}},
        ),
        (
            "gpu-not-built-for", ("sm_75",),
            {"torch": {"build": "CUDA 12.6", "said": (INCOMPATIBLE,), "gpus": (Gpu(name="T4", memory_bytes=1),)}},
        ),
        ("more-threads-than-cores", ("OMP_NUM_THREADS is 64", "8 cores"), {"processor": {"omp_num_threads": 64}}),
        (
            "little-shared-memory", ("64 MiB", "--shm-size", "data.workers=0"),
            {"memory": {"between_processes": Room(64 << 20, 64 << 20)}},
        ),
    ],
)  # fmt: skip
def test_a_bad_combination_is_named_with_what_to_do(name: str, words: tuple[str, ...], given: dict[str, Any]):
    [problem] = found_in(**given)
    assert (problem.name, problem.wrong) == (name, True)
    assert [word for word in words if word not in f"{problem.found} {problem.help}"] == []


def test_fewer_cores_are_a_remark():
    [problem] = found_in(processor={"cores": 64, "quota": 2.5, "usable": 3, "threads": 3})
    assert (problem.name, problem.wrong) == ("fewer-cores", False)
    assert "3 of 64 cores" in problem.found
    assert "quota of 2.5" in problem.found
    [problem] = found_in(processor={"cores": 64, "scheduled": 4, "usable": 4})
    assert "affinity" in problem.found


def test_wheels_for_different_cuda_are_told_apart():
    used = {"build": "CUDA 12.8", "gpus": (Gpu(name="H200", memory_bytes=1),)}
    for other, expected in (("11.8", ["torchvision-for-other-cuda"]), ("12.6", []), (None, [])):
        assert [one.name for one in found_in(torch=used | {"torchvision_cuda": other})] == expected


def test_folders_that_are_full_or_of_others_are_named():
    full = Folder(purpose="current folder", path="~/a", bytes=None, room=Room(1 << 40, 5 << 20))
    locked = Folder(purpose="weights from the hub", path="~/b", bytes=0, room=None, failed="no permission")
    found = problems(msgspec.structs.replace(WELL, folders=(full, locked)), (), (), None)
    assert [one.name for one in found] == ["little-disk-space", "folder-not-writable"]
    assert "5 MiB" in found[0].found
    assert "HF_HOME" in found[1].help


def test_a_clone_that_is_not_installed_is_a_remark():
    [found] = problems(msgspec.structs.replace(WELL, needed=()), (), (), None)
    assert (found.name, found.wrong) == ("not-installed", False)


def test_every_problem_has_a_stable_name_and_a_way_out():
    names = re.findall(r'name="([^"]+)"', Path(known.__file__).read_text("utf-8"))
    assert len(names) >= 12
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
