"""Combinations that are known not to work, or to surprise: each with what to do, and who says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from pixelwise.installation.examination import Examination, Problem
from pixelwise.installation.packages import Unmet
from pixelwise.machine.memory import SHARED

OPENCVS = (
    "opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless",
)  # fmt: skip
"""Distributions of the one module `cv2`."""
RUNTIMES = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-rocm",
    "onnxruntime-migraphx", "onnxruntime-qnn", "onnxruntime-training", "ort-nightly", "ort-nightly-gpu",
)  # fmt: skip
"""Distributions of the one module `onnxruntime`."""
LEAST_SHARED = 256 << 20
"""Four loader processes that keep two batches of eight images of 1024x1024 ready, with four bytes per pixel."""
LEAST_DISK = 1 << 30
"""Below this, a run with a large network may not even be able to save its first checkpoint."""
PYTORCH = "https://pytorch.org/get-started/locally/"


class Case(NamedTuple):
    """What the rules look at.

    Attributes:
        facts: The examination without its problems.
        names: Normalised names of all installed distributions.
        unmet: Requirements that are not met.
        failed: A module that cannot be imported, and why; None if all can.
    """

    facts: Examination
    names: Collection[str]
    unmet: Sequence[Unmet]
    failed: tuple[str, str] | None


def problems(
    facts: Examination, names: Collection[str], unmet: Sequence[Unmet], failed: tuple[str, str] | None
) -> list[Problem]:
    """Everything that is wrong or may surprise, in the order of the rules.

    Args:
        facts: The examination without its problems.
        names: Normalised names of all installed distributions.
        unmet: Requirements that are not met.
        failed: A module that cannot be imported, and why; None if all can.
    """
    case = Case(facts, names, unmet, failed)
    return [problem for rule in RULES for problem in rule(case)]


def _not_installed(case: Case) -> Iterator[Problem]:
    if not case.facts.needed:
        yield Problem(
            name="not-installed",
            wrong=False,
            found=f"Pixelwise is imported from {case.facts.location} without being installed, so nobody knows which "
            "versions of other packages it needs",
            help="pip install pixelwise, or pip install -e . in a clone",
        )


def _unmet_requirements(case: Case) -> Iterator[Problem]:
    for one in case.unmet:
        found = f"version {one.version} is installed" if one.version is not None else "it is not installed"
        yield Problem(
            name="unmet-requirement",
            wrong=True,
            found=f"{one.by} needs {one.requirement}, but {found}",
            help=f"pip install '{one.requirement}'",
        )


def _broken_import(case: Case) -> Iterator[Problem]:
    facts = case.facts.torch
    if facts.version is not None and facts.failed:
        yield Problem(
            name="torch-not-importable",
            wrong=True,
            found=f"torch {facts.version} is installed but cannot be imported: {facts.failed}",
            help=f"install it again as {PYTORCH} says for this system",
        )
    if case.failed is not None:
        module, why = case.failed
        yield Problem(
            name="module-not-importable",
            wrong=True,
            found=f"the module {module} is needed but cannot be imported: {why}",
            help="install its package again; for cv2, opencv-python-headless needs no graphical libraries",
        )


def _same_module_twice(case: Case) -> Iterator[Problem]:
    kinds = (
        (
            "several-opencvs", OPENCVS, "cv2", "opencv-python-headless",
            "https://github.com/opencv/opencv-python#installation-and-usage",
        ),
        (
            "several-onnxruntimes", RUNTIMES, "onnxruntime", "onnxruntime",
            "https://onnxruntime.ai/docs/install/#python-installs",
        ),
    )  # fmt: skip
    for name, candidates, module, usual, source in kinds:
        found = [one for one in candidates if one in case.names]
        if len(found) > 1:
            kept = found[-1] if module == "onnxruntime" else usual
            yield Problem(
                name=name,
                wrong=True,
                found=f"{' and '.join(found)} are installed; each overwrites files of the other in the module {module}",
                help=f"pip uninstall -y {' '.join(found)}, then pip install {kept}",
                source=source,
            )


def _unused_gpu(case: Case) -> Iterator[Problem]:
    torch, driver = case.facts.torch, case.facts.torch.driver
    if driver is None or torch.version is None or torch.failed or torch.gpus:
        return
    gpu = driver.gpus[0] if driver.gpus else "an NVIDIA GPU"
    if not torch.build.startswith("CUDA"):
        yield Problem(
            name="torch-without-cuda",
            wrong=True,
            found=f"torch {torch.version} is built for {torch.build}, so {gpu} is not used",
            help=f"install the build for CUDA {driver.cuda or 'of your driver'} or older as {PYTORCH} says",
            source=PYTORCH,
        )
        return
    built = torch.build.removeprefix("CUDA ")
    if driver.cuda and _major(driver.cuda) < _major(built):
        yield Problem(
            name="driver-too-old",
            wrong=True,
            found=f"torch {torch.version} is built for CUDA {built}; driver {driver.version} supports CUDA up to "
            f"{driver.cuda}, so {gpu} is not used",
            help=f"update the driver, or install torch for CUDA {driver.cuda} or older as {PYTORCH} says",
            source="https://docs.nvidia.com/deploy/cuda-compatibility/",
        )
        return
    reason = torch.said[0] if torch.said else "PyTorch does not say why"
    yield Problem(
        name="gpu-not-usable",
        wrong=True,
        found=f"driver {driver.version} sees {gpu}, but PyTorch cannot use it: {reason}",
        help="check CUDA_VISIBLE_DEVICES; in a container, start it with access to the GPU (docker run --gpus all)",
        source="https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html",
    )


def _gpu_not_built_for(case: Case) -> Iterator[Problem]:
    """PyTorch warns itself of GPUs for which it has no kernels; it would fail at the first operation."""
    for text in case.facts.torch.said if case.facts.torch.gpus else ():
        if "is not compatible with the current PyTorch installation" in text or "no longer supports this GPU" in text:
            yield Problem(
                name="gpu-not-built-for",
                wrong=True,
                found=text,
                help=f"install a build of PyTorch for this GPU as {PYTORCH} says",
                source=PYTORCH,
            )


def _cuda_of_torchvision(case: Case) -> Iterator[Problem]:
    build, other = case.facts.torch.build, case.facts.torch.torchvision_cuda
    if not build.startswith("CUDA") or other is None:
        return
    of_torch = build.removeprefix("CUDA ")
    if _major(of_torch) == _major(other):
        return
    yield Problem(
        name="torchvision-for-other-cuda",
        wrong=True,
        found=f"torch is built for CUDA {of_torch}, torchvision for CUDA {other}; importing torchvision fails",
        help=f"install both with one command as {PYTORCH} says",
        source="https://github.com/pytorch/vision/blob/main/torchvision/extension.py",
    )


def _limits(case: Case) -> Iterator[Problem]:
    processor, memory = case.facts.processor, case.facts.memory
    if processor.usable < processor.cores:
        limit = f"a quota of {processor.quota:g}" if processor.quota is not None else "an affinity mask"
        yield Problem(
            name="fewer-cores",
            wrong=False,
            found=f"{processor.usable} of {processor.cores} cores may be used ({limit}); Pixelwise starts no more "
            "threads than that, other programs may",
            help="give the container or the job more cores if it should be faster",
        )
    if processor.omp_num_threads is not None and processor.omp_num_threads > processor.usable:
        yield Problem(
            name="more-threads-than-cores",
            wrong=True,
            found=f"OMP_NUM_THREADS is {processor.omp_num_threads}, but {processor.usable} cores may be used; threads "
            "that wait for each other make everything slower",
            help="unset OMP_NUM_THREADS; Pixelwise then uses one thread per usable core",
            source="https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html",
        )
    shared = memory.between_processes
    if shared is not None and shared.total < LEAST_SHARED:
        yield Problem(
            name="little-shared-memory",
            wrong=True,
            found=f"{SHARED} holds {shared.total / 2**20:.0f} MiB; loader processes hand over their batches in it, and "
            "end with a bus error when it is full",
            help="start the container with --shm-size=2g or --ipc=host, or train with data.workers=0",
            source="https://github.com/pytorch/pytorch#using-pre-built-images",
        )


def _folders(case: Case) -> Iterator[Problem]:
    for folder in case.facts.folders:
        if folder.failed:
            yield Problem(
                name="folder-not-writable",
                wrong=True,
                found=f"{folder.path} ({folder.purpose}) cannot be used: {folder.failed}",
                help=_OTHER_PLACE.get(folder.purpose, "change into a folder of your own"),
            )
        elif folder.room is not None and folder.room.free < LEAST_DISK:
            yield Problem(
                name="little-disk-space",
                wrong=True,
                found=f"{folder.path} ({folder.purpose}): {folder.room.free / 2**20:.0f} MiB are free",
                help="free some space (`pixelwise data cache --clear` removes what can be computed again)",
            )


_OTHER_PLACE = {
    "cache of Pixelwise": "set XDG_CACHE_HOME to a folder of your own",
    "weights from the hub": "set HF_HOME to a folder of your own",
}


def _major(version: str) -> int:
    return int(version.partition(".")[0])


RULES: tuple[Callable[[Case], Iterator[Problem]], ...] = (
    _not_installed, _unmet_requirements, _broken_import, _same_module_twice, _unused_gpu, _gpu_not_built_for,
    _cuda_of_torchvision, _limits, _folders,
)  # fmt: skip
"""Each looks at the case and yields what it finds."""
