"""Imports the heavy packages in processes of their own, which may fail, crash or hang without harm."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec

PATIENCE_SECONDS = 60.0
"""Time after which an import counts as hanging."""
LIBRARIES = ("numpy", "PIL.Image", "cv2", "imagecodecs", "tifffile", "safetensors", "yaml", "psutil")
"""Modules with compiled parts that reading images and weights needs, besides PyTorch."""
_ONE_BY_ONE = """
import importlib, sys
for name in sys.argv[1:]:
    print(name, flush=True)
    importlib.import_module(name)
print("", flush=True)
"""
_TORCH = """
import json, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import torch
    gpus = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            gpus.append({"name": facts.name, "memory_bytes": facts.total_memory,
                         "capability": f"{facts.major}.{facts.minor}"})
    mps = torch.backends.mps.is_available()
    architectures = torch.cuda.get_arch_list()
print(json.dumps({"gpus": gpus, "mps": mps, "architectures": architectures,
                  "said": [" ".join(str(one.message).split()) for one in said]}))
"""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that PyTorch can use.

    Attributes:
        name: Its name.
        memory_bytes: Size of its memory in bytes.
        capability: Compute capability (NVIDIA), such as `9.0`.
    """

    name: str
    memory_bytes: int
    capability: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What PyTorch finds on this machine.

    Attributes:
        gpus: GPUs that it can use (CUDA or ROCm).
        mps: Whether it can use the GPU of a Mac.
        architectures: GPU architectures that it was built for, such as `sm_90`; empty without CUDA.
        said: Warnings that it gave.
        failed: Why it cannot be imported; empty if it can.
    """

    gpus: tuple[Gpu, ...] = ()
    mps: bool = False
    architectures: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    failed: str = ""


class Trial:
    """A process that imports something, begun at once, so that several can run at the same time.

    Args:
        script: Python code.
        arguments: Arguments of the script.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        # Without -P, a file such as torch.py in the current folder would be imported.
        command = [sys.executable, "-P", "-c", script, *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            errors="replace",
        )  # fmt: skip

    def result(self, patience: float = PATIENCE_SECONDS) -> tuple[str, str]:
        """What the process has printed, and why it failed; the latter is empty if it did not.

        Args:
            patience: Seconds to wait; a process that takes longer is ended.
        """
        try:
            printed, said = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            printed, _ = self._process.communicate()
            return printed, f"it did not end within {patience:.0f} s"
        if self._process.returncode == 0:
            return printed, ""
        lines = [line for line in said.splitlines() if line.strip()]
        return printed, lines[-1].strip() if lines else f"the process ended with status {self._process.returncode}"


def begin_torch() -> Trial:
    """Begin to import PyTorch."""
    return Trial(_TORCH)


def begin_libraries(modules: tuple[str, ...] = LIBRARIES) -> Trial:
    """Begin to import modules one after the other."""
    return Trial(_ONE_BY_ONE, *modules)


def torch_seen(trial: Trial) -> Seen:
    """What PyTorch finds, once the process of `begin_torch` has ended."""
    printed, failed = trial.result()
    if failed:
        return Seen(failed=failed)
    try:
        return msgspec.convert(json.loads(printed.splitlines()[-1]), Seen)
    except (ValueError, IndexError, msgspec.ValidationError):
        return Seen(failed="it prints when it is imported, and then ends")


def failed_library(trial: Trial) -> tuple[str, str] | None:
    """The module that cannot be imported and why, once the process of `begin_libraries` has ended; None if all can."""
    printed, failed = trial.result()
    return (next(iter(printed.split()[-1:]), "Python"), failed) if failed else None
