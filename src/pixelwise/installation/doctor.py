"""`pixelwise.doctor`: what Pixelwise runs on, and what is wrong with it."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import msgspec

from pixelwise.installation import imports, packages
from pixelwise.installation.examination import Examination, Folder, Memory, Processor, Torch
from pixelwise.installation.known import problems
from pixelwise.machine.facts import nvidia_driver, processor_features, processor_name, system_name
from pixelwise.machine.files import disk_room
from pixelwise.machine.memory import available_memory, room_between_processes, total_memory
from pixelwise.machine.quotas import cpu_quota, memory_limit
from pixelwise.machine.threads import default_threads, scheduled_cores, usable_cores
from pixelwise.plugins import GROUP
from pixelwise.storage.cache_contents import place, size_of
from pixelwise.storage.names import printable


def doctor() -> Examination:
    """Examine what Pixelwise runs on: packages, PyTorch and GPUs, limits, folders, and what does not work together.

    PyTorch and the libraries for images are imported in processes of their own, for at most a minute.
    """
    torch_trial, libraries_trial = imports.begin_torch(), imports.begin_libraries()
    examined = Examination(
        version=packages.installed(packages.OURS) or "not installed",
        python=python_version(),
        executable=short(sys.executable),
        location=short(Path(__file__).parent.parent),
        system=system_name(),
        processor=_processor(),
        memory=Memory(
            total=total_memory(),
            available=available_memory(),
            limit=memory_limit(),
            between_processes=room_between_processes(),
        ),
        needed=packages.needed(),
        extras=packages.extras(),
        plugins=_plugins(),
        folders=_folders(),
        torch=_torch(torch_trial),
    )
    found = problems(examined, packages.installed_names(), packages.unmet(), imports.failed_library(libraries_trial))
    return msgspec.structs.replace(examined, problems=tuple(sorted(found, key=lambda one: not one.wrong)))


def short(path: str | os.PathLike[str]) -> str:
    """A printable path in which `~` stands for the user's home."""
    text = os.fspath(path)
    with contextlib.suppress(ValueError, RuntimeError):  # elsewhere; no home
        text = os.path.join("~", Path(text).relative_to(Path.home()))
    return printable(text)


def python_version() -> str:
    """`CPython 3.12.3`."""
    name = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)
    return f"{name} {sys.version.partition(' ')[0]}"


def _torch(trial: imports.Trial) -> Torch:
    cuda, rocm = packages.cuda_of("torch"), packages.rocm_of("torch")
    driver, seen = nvidia_driver(), imports.torch_seen(trial)
    return Torch(
        version=packages.installed("torch"),
        build=f"CUDA {cuda}" if cuda else f"ROCm {rocm}" if rocm else "CPU",
        torchvision_cuda=packages.cuda_of("torchvision"),
        failed=seen.failed,
        gpus=seen.gpus,
        mps=seen.mps,
        architectures=seen.architectures,
        said=seen.said,
        driver=driver,
    )


def _processor() -> Processor:
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return Processor(
        name=processor_name(),
        features=processor_features(),
        cores=os.cpu_count() or 1,
        scheduled=scheduled_cores(),
        quota=cpu_quota(),
        usable=usable_cores(),
        threads=default_threads(),
        omp_num_threads=int(asked) if asked.isdecimal() else None,
    )


def _plugins() -> dict[str, str]:
    found = {one.dist.name: one.dist.version for one in entry_points(group=GROUP) if one.dist is not None}
    return dict(sorted(found.items()))


def _folders() -> tuple[Folder, ...]:
    own, failed = place()
    folders = (_folder("current folder", Path.cwd(), counted=False), _folder("cache of Pixelwise", own, failed=failed))
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:  # not needed to predict with an exported network
        return folders
    return (*folders, _folder("weights from the hub", Path(HF_HUB_CACHE)))


def _folder(purpose: str, path: Path, *, counted: bool = True, failed: str = "") -> Folder:
    try:
        room = disk_room(path)
    except OSError:
        room = None
    nearest = next((one for one in (path, *path.parents) if one.exists()), path)
    if not failed and not os.access(nearest, os.W_OK):
        failed = "this user may not write to it"
    return Folder(purpose=purpose, path=short(path), bytes=size_of(path) if counted else None, room=room, failed=failed)
