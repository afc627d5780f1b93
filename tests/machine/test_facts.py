from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import torch

from pixelwise.machine import facts
from pixelwise.machine.facts import (
    PACKAGES,
    gpu_memory_in_use,
    machine_facts,
    may_have_bfloat16,
    nvidia_driver,
    peak_memory_bytes,
    processor_features,
    version_facts,
)


def test_the_machine_is_described():
    machine = machine_facts()

    assert machine.cpu
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.threads == torch.get_num_threads()
    assert machine.memory_bytes > 1 << 28
    assert platform.system() in machine.platform


def test_the_features_of_the_processor_are_those_that_linux_names(tmp_path):
    for text, expected in (
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 avx512f vaes\n", ("avx2", "avx512f", "avx512_bf16")),
        ("Features\t: fp asimd bf16\n", ("asimd", "bf16")),
        ("model name\t: avx2\nflags\t\t: fpu\n", ()),
    ):
        (tmp_path / "cpuinfo").write_text(text)
        assert processor_features(tmp_path / "cpuinfo") == expected
    assert processor_features(tmp_path / "missing") == ()


def test_the_processor_is_called_as_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: EPYC 9\n")
    monkeypatch.setattr(facts, "CPU_DESCRIPTION", tmp_path / "cpuinfo")
    monkeypatch.setattr(sys, "platform", "linux")
    assert machine_facts().cpu == "EPYC 9"
    monkeypatch.setattr(facts, "CPU_DESCRIPTION", tmp_path / "missing")
    assert machine_facts().cpu in (platform.processor(), platform.machine())

    monkeypatch.setattr(sys, "platform", "darwin")
    sysctl = tmp_path / "sysctl"
    sysctl.write_text("#!/bin/sh\necho Apple M9; echo $* >&2\n")
    sysctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert machine_facts().cpu == "Apple M9"
    sysctl.write_text("#!/bin/sh\nexit 1\n")
    assert machine_facts().cpu in (platform.processor(), platform.machine())


HEADER = "| NVIDIA-SMI 535.104 {0} Driver Version: 535.104.05 {0} CUDA Version: 12.2 |"


def test_the_driver_is_described_by_its_own_program(tmp_path: Path):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        f"#!/bin/sh\nif [ $# = 0 ]; then echo '{HEADER}'; else echo 'NVIDIA H200'; echo 'Tesla T4'; fi\n", "utf-8"
    )
    program.chmod(0o755)
    found = nvidia_driver(str(program))
    assert found is not None
    assert (found.version, found.cuda, found.gpus) == ("535.104.05", "12.2", ("NVIDIA H200", "Tesla T4"))
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate'; exit 9\n", "utf-8")
    assert nvidia_driver(str(program)) is None
    assert nvidia_driver(str(tmp_path / "missing")) is None


def test_windows_keeps_the_processor_s_name_in_its_registry(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class Registry(ModuleType):
        HKEY_LOCAL_MACHINE = 1

        def OpenKey(self, root: int, name: str) -> contextlib.nullcontext[str]:
            asked.append((root, name))
            return contextlib.nullcontext(name)

        def QueryValueEx(self, key: str, name: str) -> tuple[str, int]:
            asked.append((key, name))
            return "Core i99 \0".rstrip("\0"), 1

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "winreg", Registry("winreg"))
    assert machine_facts().cpu == "Core i99"
    key = "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0"
    assert asked == [(1, key), (key, "ProcessorNameString")]
    monkeypatch.setitem(sys.modules, "winreg", None)
    assert machine_facts().cpu in (platform.processor(), platform.machine())


def test_bfloat16_needs_its_own_instructions_where_they_are_known():
    assert may_have_bfloat16(("avx512f", "avx512_bf16"))
    assert may_have_bfloat16(("asimd", "bf16"))
    assert may_have_bfloat16(("avx2", "amx_bf16"))
    assert not may_have_bfloat16(("avx2", "avx512f"))
    assert may_have_bfloat16(())


@pytest.mark.heavy
def test_instructions_that_pytorch_may_not_use_do_not_count():
    script = "from pixelwise.machine.facts import computes_bfloat16; print(computes_bfloat16())"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_neither_host_nor_user_nor_paths_are_recorded():
    text = msgspec.json.encode(machine_facts()).decode() + str(version_facts())

    assert platform.node() not in text
    assert os.path.expanduser("~") not in text


def test_the_versions_of_all_relevant_packages_are_recorded():
    versions = version_facts()

    assert set(versions) == {"python", *PACKAGES}
    assert versions["torch"] == torch.__version__.partition("+")[0] or versions["torch"] == torch.__version__


def test_a_package_under_another_name_is_unknown(monkeypatch):
    monkeypatch.setattr("pixelwise.machine.facts.PACKAGES", ("no-such-package",))

    assert version_facts()["no-such-package"] == "unknown"


def test_peak_memory_grows_with_what_is_used():
    before = peak_memory_bytes(torch.device("cpu"))

    block = torch.ones(200_000_000, dtype=torch.uint8)

    assert peak_memory_bytes(torch.device("cpu")) >= before
    assert peak_memory_bytes(torch.device("cpu")) > block.numel()


def test_processes_that_share_the_work_are_counted(monkeypatch: pytest.MonkeyPatch):
    assert (machine_facts().processes, machine_facts().hosts) == (1, 1)
    for name, value in (("WORLD_SIZE", "4"), ("RANK", "2"), ("LOCAL_WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    assert (machine_facts().processes, machine_facts().hosts) == (4, 2)


def test_memory_of_a_gpu_is_that_which_pytorch_holds(monkeypatch: pytest.MonkeyPatch):
    if not torch.cuda.is_available():
        assert gpu_memory_in_use() is None
    monkeypatch.delitem(sys.modules, "torch")
    assert gpu_memory_in_use() is None
