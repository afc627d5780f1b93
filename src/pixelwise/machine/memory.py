"""Available, total, used and peak memory, whether freed memory stays in the process, and memory that several share."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import secrets
import sys
from pathlib import Path

from pixelwise.machine.files import Room, disk_room
from pixelwise.machine.quotas import memory_left

SHARED = Path("/dev/shm")
"""Where PyTorch's loader processes hand over batches on Linux."""
_STATUS = Path("/proc/self/status")
# Options of glibc's mallopt(3), from <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def available_memory() -> int:
    """Bytes that can be allocated without swapping: page cache counts as free, and a container's limit applies."""
    import psutil

    left = memory_left()
    available = psutil.virtual_memory().available
    return available if left is None else min(available, left)


def total_memory() -> int:
    """Size of the main memory in bytes."""
    import psutil

    return psutil.virtual_memory().total


def memory_in_use() -> int:
    """Main memory that this process occupies at the moment, in bytes, without that of its loader processes."""
    import psutil

    return psutil.Process().memory_info().rss


def peak_memory() -> int:
    """Peak main memory of this process in bytes."""
    # On Linux, `ru_maxrss` of a new process starts at its parent's value.
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text("ascii", errors="replace"), re.MULTILINE)
        if found is not None:
            return 1024 * int(found[1])
    try:
        import resource
    except ImportError:
        import psutil

        facts = psutil.Process().memory_info()
        return getattr(facts, "peak_wset", facts.rss)  # Windows's name for it
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others KiB


def keep_freed_memory() -> bool:
    """Make the C library reuse large freed blocks instead of returning them to the system.

    Every training step allocates the same large tensors; if they are returned each time, the system has to clear
    every page again. The price is that memory which other parts of the process no longer need is kept as well.

    Returns:
        Whether it worked; only glibc (most Linux systems) supports it.
    """
    with contextlib.suppress(AttributeError, ImportError, OSError, TypeError):
        import ctypes

        # Only glibc has this function; mallopt(3) of other C libraries has other options.
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018
        return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, -1))
    return False


def return_freed_memory() -> bool:
    """Return to the system what the C library keeps of freed memory, of threads that have ended as well.

    Returns:
        Whether it worked; only glibc (most Linux systems) supports it.
    """
    with contextlib.suppress(AttributeError, ImportError, OSError, TypeError):
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
        return True
    return False


def room_between_processes() -> Room | None:
    """The file system in which loader processes hand over their batches; None on systems without one.

    Only Linux has it, and there a container's is often small: 64 MiB with Docker, unless `--shm-size` says more.
    """
    return disk_room(SHARED) if SHARED.is_dir() else None


class SharedMemory:
    """Zeros that other processes of the same user on this host can share; they are gone with the last process.

    Unlike files of `/dev/shm`, which is small in many containers, they are limited by the memory alone, and no process
    that is killed leaves them behind.

    Args:
        size: Bytes, at least 1.

    Attributes:
        content: The bytes.
        address: What `shared_memory_at` needs in the other processes, as long as `close` has not been called.

    Raises:
        OSError: Not enough memory, or a system without such memory: all but Linux.
    """

    def __init__(self, size: int) -> None:
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if size > available_memory():  # Linux would end some process before it refuses
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        name = f"pixelwise-{secrets.token_hex(8)}"
        self._file = os.memfd_create(name)
        try:
            # What a limit refuses is an error here; without this line it would be a signal at the first access.
            os.posix_fallocate(self._file, 0, size)
            self.content = mmap.mmap(self._file, size)
        except OSError:
            self.close()
            raise
        self.address = (f"/proc/{os.getpid()}/fd/{self._file}", name)

    def close(self) -> None:
        """Let no further process in; those that are keep the memory."""
        os.close(self._file)


def shared_memory_at(address: tuple[str, str], size: int) -> mmap.mmap:
    """The bytes that another process shares.

    Args:
        address: That of its `SharedMemory`.
        size: Its size in bytes.

    Raises:
        OSError: The process cannot be seen from here, such as one in another container.
    """
    path, name = address
    # In another container the same number is that of another process, whose files must not be written to.
    if name not in os.readlink(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    file = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(file, size)
    finally:
        os.close(file)
