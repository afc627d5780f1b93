"""Which machine and which versions a number was measured with. No host name, no paths, no user."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pixelwise.machine.memory import peak_memory, total_memory
from pixelwise.machine.threads import usable_cores

if TYPE_CHECKING:
    import torch

PACKAGES = ("pixelwise", "torch", "timm", "numpy", "opencv-python-headless", "Pillow")
"""The packages whose version can change a result."""
FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm",
    "bf16", "sve",
)  # fmt: skip
"""Instructions for wide vectors, int8 and bfloat16, as Linux names them: they decide which number format is fast."""
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
CPU_DESCRIPTION = Path("/proc/cpuinfo")
_PROCESSOR_KEY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The hardware.

    Attributes:
        cpu: Model name of the processor.
        cores: Logical cores this process may use.
        threads: Threads that PyTorch uses for one operation.
        gpu: Name of the first GPU, None without one.
        memory_bytes: Main memory.
        platform: Operating system, its release and the instruction set.
        features: Those of `FEATURES` that the processor has; empty where the system does not say.
    """

    cpu: str
    cores: int
    threads: int
    gpu: str | None
    memory_bytes: int
    platform: str
    features: tuple[str, ...] = ()


def machine_facts() -> Machine:
    """Look at this machine."""
    import torch

    return Machine(
        cpu=_cpu_name(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        memory_bytes=total_memory(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        features=processor_features(),
    )


def processor_features(description: Path = CPU_DESCRIPTION) -> tuple[str, ...]:
    """Which of `FEATURES` the processor has, in their order.

    Args:
        description: What Linux says of the processor; where there is no such file nothing is known.
    """
    try:
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", description.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ()
    words = set(found[1].split()) if found else set()
    return tuple(feature for feature in FEATURES if feature in words)


def computes_bfloat16() -> bool:
    """Whether PyTorch's convolutions in bfloat16 are faster than in float32 on this processor.

    Without instructions for it they are emulated: measured, a convolution takes twice as long as in float32 on a
    processor with AVX-512, and fifty times as long on one without.
    """
    import torch

    # oneDNN knows what it was told to leave unused (ONEDNN_MAX_CPU_ISA), but counts AVX-512 alone as support.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and may_have_bfloat16(processor_features())


def may_have_bfloat16(features: Collection[str]) -> bool:
    """Whether a processor has instructions for bfloat16, or nothing is known of it.

    Args:
        features: As `processor_features` gives them.
    """
    return not features or not _BFLOAT16.isdisjoint(features)


def version_facts() -> dict[str, str]:
    """Versions of Python and of `PACKAGES`."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        # Some distributors ship OpenCV or Pillow under another package name.
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory used so far: on a GPU since its statistics were reset, else by this process ever."""
    if device.type != "cuda":
        return peak_memory()
    import torch

    return torch.cuda.max_memory_allocated(device)


def _cpu_name() -> str:
    """What the processor is called, as far as the system says it."""
    name = {"win32": _name_in_registry, "darwin": _name_by_sysctl}.get(sys.platform, _name_in_proc)()
    return name.strip() or platform.processor() or platform.machine()


def _name_in_proc() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", CPU_DESCRIPTION.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _name_in_registry() -> str:
    try:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _PROCESSOR_KEY) as key:  # type: ignore[attr-defined]
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])  # type: ignore[attr-defined]
    except (ImportError, OSError):
        return ""


def _name_by_sysctl() -> str:
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
