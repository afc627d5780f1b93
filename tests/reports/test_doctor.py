"""What `pixelwise doctor` prints."""

from __future__ import annotations

import json

import msgspec
import pytest

from pixelwise.installation.examination import Examination, Folder, Memory, Problem, Processor, Torch
from pixelwise.installation.imports import Gpu
from pixelwise.installation.packages import Extra, Package
from pixelwise.machine.facts import Driver
from pixelwise.machine.files import Room
from pixelwise.reports.doctor import print_examination

GIB = 1 << 30
FOUND = Examination(
    version="1.0",
    python="CPython 3.12.0",
    executable="~/venv/bin/python",
    location="~/venv/lib/pixelwise",
    system="Linux 6 x86_64",
    torch=Torch(
        version="2.10.0", build="CUDA 12.8", failed="", gpus=(Gpu(name="NVIDIA H200", memory_bytes=140 * GIB),),
        mps=False, architectures=("sm_90",), said=(), driver=Driver(version="570.1", cuda="12.8"),
    ),
    processor=Processor(
        name="EPYC", features=("avx2",), cores=64, scheduled=64, quota=2.5, usable=3, threads=4, omp_num_threads=4
    ),
    memory=Memory(total=8 * GIB, available=3 * GIB, limit=4 * GIB, between_processes=Room(64 << 20, 32 << 20)),
    needed=(Package(name="torch", version="2.10.0", wanted=">=2.10", fits=True),),
    extras=(
        Extra(name="maps", packages=(
            Package(name="shapes", version="1.9", wanted=">=2", fits=False),
            Package(name="lines", version="3.0", wanted="", fits=True),
            Package(name="gone", version=None, wanted="", fits=False),
        )),
        Extra(name="none", packages=(Package(name="gone", version=None, wanted="", fits=False),)),
    ),
    plugins={"acme": "1.2"},
    folders=(Folder(purpose="cache of Pixelwise", path="~/.cache/pixelwise", bytes=5 << 20, room=Room(GIB, GIB)),),
    problems=(
        Problem(name="several-opencvs", wrong=True, found="two are installed", help="remove one", source="https://a.b"),
        Problem(name="fewer-cores", wrong=False, found="3 of 64 cores may be used", help="ask for more"),
    ),
)  # fmt: skip


def test_everything_is_said_on_lines_of_eighty_characters(capsys: pytest.CaptureFixture, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    print_examination(FOUND)
    shown = capsys.readouterr().out
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert "\x1b" not in shown
    for words in (
        "2.10.0, built for CUDA 12.8",
        "NVIDIA 570.1, CUDA up to 12.8",
        "NVIDIA H200, 140.0 GiB",
        "3 of 64 usable (affinity 64, quota 2.5)",
        "4 (OMP_NUM_THREADS=4)",
        "3.0 GiB of 8.0 GiB available, limit 4.0 GiB",
        "32 MiB of 64 MiB free",
        "lines 3.0, missing: shapes 1.9 (wants >=2), gone",
        "not installed",
        "~/.cache/pixelwise: 5 MiB; 1.0 GiB free",
        "wrong[several-opencvs]: two are installed\nhelp: remove one\nsee: https://a.b\n",
        "note[fewer-cores]: 3 of 64",
        "1 thing is wrong",
    ):
        assert words in shown


def test_a_machine_without_faults_is_called_so(capsys: pytest.CaptureFixture):
    print_examination(msgspec.structs.replace(FOUND, problems=FOUND.problems[1:], needed=(), plugins={}))
    assert capsys.readouterr().out.endswith("\nnothing is wrong\n")


def test_json_holds_every_field(capsys: pytest.CaptureFixture):
    print_examination(FOUND, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(msgspec.json.encode(FOUND))
