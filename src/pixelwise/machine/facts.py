"""Hardware and package versions that a result was measured with; no host name, user name or paths."""

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

from pixelwise.machine.launched import hosts, world_size
from pixelwise.machine.memory import peak_memory, total_memory
from pixelwise.machine.threads import usable_cores

if TYPE_CHECKING:
    import torch


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """The driver of NVIDIA's GPUs, as its own program describes it.

    Attributes:
        version: Version of the driver.
        cuda: Newest CUDA that it supports, such as `12.8`; empty if it does not say.
        gpus: Names of the GPUs.
    """

    version: str
    cuda: str = ""
    gpus: tuple[str, ...] = ()


PACKAGES = ("pixelwise", "torch", "timm", "numpy", "opencv-python-headless", "Pillow")
"""Packages whose version can change a result."""
FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "asimddp", "i8mm",
    "bf16", "sve",
)  # fmt: skip
"""Vector, int8 and bfloat16 instruction sets by their Linux names; they decide which data type is fast."""
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
CPU_DESCRIPTION = Path("/proc/cpuinfo")
_PROCESSOR_KEY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The hardware.

    Attributes:
        cpu: Model name of the processor.
        cores: Logical cores available to this process.
        threads: Threads that PyTorch uses for one operation.
        gpu: Name of the first GPU; None without one.
        memory_bytes: Size of the main memory in bytes.
        platform: Operating system, its release and the processor architecture.
        features: The processor's instruction sets among `FEATURES`; empty if the system does not report them.
        processes: Processes that shared the work, each with its threads or its GPU.
        hosts: Machines on which they ran.
    """

    cpu: str
    cores: int
    threads: int
    gpu: str | None
    memory_bytes: int
    platform: str
    features: tuple[str, ...] = ()
    processes: int = 1
    hosts: int = 1


def machine_facts() -> Machine:
    """Describe this machine."""
    import torch

    return Machine(
        cpu=processor_name(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        memory_bytes=total_memory(),
        platform=system_name(),
        features=processor_features(),
        processes=world_size(),
        hosts=hosts(),
    )


def system_name() -> str:
    """Operating system, its release and the processor architecture: `Linux 6.8.0 x86_64`."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def processor_features(description: Path = CPU_DESCRIPTION) -> tuple[str, ...]:
    """Those of `FEATURES` that the processor has, in their order.

    Args:
        description: Linux's description of the processor; if the file does not exist, the result is empty.
    """
    try:
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", description.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ()
    words = set(found[1].split()) if found else set()
    return tuple(feature for feature in FEATURES if feature in words)


def computes_bfloat16() -> bool:
    """Whether PyTorch's convolutions are faster in bfloat16 than in float32 on this processor.

    Without bfloat16 instructions they are emulated: in our measurements a convolution took twice as long as in float32
    on a processor with AVX-512, and fifty times as long on one without.
    """
    import torch

    # oneDNN respects ONEDNN_MAX_CPU_ISA, but reports support for bfloat16 on any processor with AVX-512.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and may_have_bfloat16(processor_features())


def may_have_bfloat16(features: Collection[str]) -> bool:
    """Whether a processor has bfloat16 instructions; True as well if its features are unknown.

    Args:
        features: Result of `processor_features`; empty if unknown.
    """
    return not features or not _BFLOAT16.isdisjoint(features)


def version_facts() -> dict[str, str]:
    """Versions of Python and of `PACKAGES`."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        # Some distributions ship OpenCV or Pillow under another package name.
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions


def peak_memory_bytes(device: torch.device) -> int:
    """Peak memory in bytes: on a GPU since its statistics were reset, otherwise of this process since it began."""
    if device.type != "cuda":
        return peak_memory()
    import torch

    return torch.cuda.max_memory_allocated(device)


def gpu_memory_in_use() -> int | None:
    """Memory that PyTorch holds on the GPUs at the moment, in bytes; None if this process has not used a GPU."""
    if "torch" not in sys.modules:
        return None
    import torch

    if not torch.cuda.is_initialized():
        return None
    return sum(torch.cuda.memory_reserved(number) for number in range(torch.cuda.device_count()))


def nvidia_driver(program: str = "nvidia-smi") -> Driver | None:
    """The driver of NVIDIA's GPUs; None without one, or if its program does not answer.

    Args:
        program: Name or path of the driver's program, which comes with it on every system.
    """
    table, names = _printed([program]), _printed([program, "--query-gpu=name", "--format=csv,noheader"])
    version = re.search(r"Driver Version:\s*([\d.]+)", table)
    if version is None:
        return None
    cuda = re.search(r"CUDA(?: UMD)? Version:\s*([\d.]+)", table)
    gpus = tuple(line.strip() for line in names.splitlines() if line.strip())
    return Driver(version=version[1], cuda=cuda[1] if cuda else "", gpus=gpus)


def _printed(command: list[str]) -> str:
    """What a program prints; empty if there is none, it fails or does not answer."""
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""


def is_macos() -> bool:
    """Whether this is macOS."""
    return sys.platform == "darwin"


def processor_name() -> str:
    """Model name of the processor, or its architecture if the system does not report the name."""
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
    return _printed(["sysctl", "-n", "machdep.cpu.brand_string"])
