"""What an examination finds: facts about packages, hardware, limits and folders, and problems."""

from __future__ import annotations

import msgspec

from pixelwise.installation.imports import Gpu
from pixelwise.installation.packages import Extra, Package
from pixelwise.machine.facts import Driver
from pixelwise.machine.files import Room


class Torch(msgspec.Struct, frozen=True, kw_only=True):
    """PyTorch and the GPUs.

    Attributes:
        version: Its version; None if it is not installed.
        build: What its wheel was built for: `CPU`, `CUDA 12.8` or `ROCm 6.4`; on a Mac, `CPU` includes the GPU.
        torchvision_cuda: CUDA version that torchvision was built for; None for the CPU alone, or without it.
        failed: Why it cannot be imported; empty if it can.
        gpus: GPUs that it can use.
        mps: Whether it can use the GPU of a Mac.
        architectures: GPU architectures that it was built for.
        said: Warnings that it gave.
        driver: NVIDIA's driver; None without one.
    """

    version: str | None
    build: str
    torchvision_cuda: str | None = None
    failed: str
    gpus: tuple[Gpu, ...]
    mps: bool
    architectures: tuple[str, ...]
    said: tuple[str, ...]
    driver: Driver | None


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """The processor and what this process may use of it.

    Attributes:
        name: Model name.
        features: Instruction sets that decide which data type is fast.
        cores: Logical cores of the machine.
        scheduled: Those that the affinity mask allows.
        quota: CPU seconds per second that the container allows; None without a limit.
        usable: Cores that follow from these.
        threads: Threads that Pixelwise uses for one computation.
        omp_num_threads: The variable of that name, if it is a number; None otherwise.
    """

    name: str
    features: tuple[str, ...]
    cores: int
    scheduled: int
    quota: float | None
    usable: int
    threads: int
    omp_num_threads: int | None


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The main memory, in bytes.

    Attributes:
        total: Size.
        available: What can be allocated now.
        limit: Limit of the container; None without one.
        between_processes: Room in which loader processes hand over batches (`/dev/shm`); None where there is no such.
    """

    total: int
    available: int
    limit: int | None
    between_processes: Room | None


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that Pixelwise writes to.

    Attributes:
        purpose: What it is for.
        path: Its path; the user's home is `~`.
        bytes: Size of the files in it; None if it was not counted.
        room: Room on its file system; None if the system does not tell.
        failed: Why it cannot be used; empty if it can.
    """

    purpose: str
    path: str
    bytes: int | None
    room: Room | None
    failed: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not work, or may surprise.

    Attributes:
        name: Stable name, such as `two-opencvs`.
        wrong: Whether something does not work as it should; otherwise it is a remark.
        found: What was found, in one or two sentences.
        help: What to do.
        source: Who says so: an address, or empty if the machine itself does.
    """

    name: str
    wrong: bool
    found: str
    help: str
    source: str = ""


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What Pixelwise runs on; without names of users and hosts, and without variables that may be secret.

    Attributes:
        version: Version of Pixelwise.
        python: Version and implementation of Python.
        executable: Path of the interpreter; the user's home is `~`.
        location: Folder that Pixelwise is imported from; the user's home is `~`.
        system: Operating system, its release and the processor architecture.
        torch: PyTorch and the GPUs.
        processor: The processor and what this process may use of it.
        memory: The main memory.
        needed: The packages that Pixelwise cannot do without.
        extras: Optional packages by extra.
        plugins: Packages that register something with Pixelwise, with their versions.
        folders: Folders that Pixelwise writes to.
        problems: What does not work or may surprise; what is wrong comes first.
    """

    version: str
    python: str
    executable: str
    location: str
    system: str
    torch: Torch
    processor: Processor
    memory: Memory
    needed: tuple[Package, ...]
    extras: tuple[Extra, ...]
    plugins: dict[str, str]
    folders: tuple[Folder, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not any(one.wrong for one in self.problems)
