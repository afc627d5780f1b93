"""Simulates Windows or macOS on Linux; Python imports this file before anything else, in child processes as well.

It is active if `PIXELWISE_SYSTEM` is `win32` or `darwin`. For Pixelwise's modules, and for Python's library when they
call it, everything is missing that the other system lacks. Other packages keep what they need on Linux (PyTorch
registers fork handlers, psutil reads `/proc`), since on another system they have other code for it; only what they can
do without is removed: fcntl and similar modules, `os.fork`, scheduling, users, and the start method `fork`. Native code
is not blocked. The simulated Windows also has that system's `os.name`, its locks on byte ranges (`msvcrt.locking`,
implemented with Linux's range locks), and its restrictions: folders cannot be opened, and files that are open or
memory-mapped can neither be renamed nor removed.
"""

import builtins
import errno
import os
import sys
import sysconfig
import threading
import types

SYSTEM = os.environ.get("PIXELWISE_SYSTEM")
ROOT = os.path.realpath(os.environ.get("PIXELWISE_SYSTEM_ROOT", "/nowhere"))
"""The folder in which renaming and removing open files fails, as on Windows."""
WINDOWS = SYSTEM == "win32"

LACKING_MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty"} if WINDOWS else set()
WITH_PARTS_FOR_LINUX = {"psutil", "sitecustomize"}
"""Modules that may still import the lacking ones: packages with separate code for other systems."""
SCHEDULING = {name for name in dir(os) if name.startswith("sched_")}
LACKING_IN_OS = SCHEDULING | {"O_DIRECT", "O_TMPFILE", "copy_file_range", "memfd_create", "posix_fadvise", "sendfile"}
if WINDOWS:
    LACKING_IN_OS |= {
        "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "WNOHANG", "chown", "chroot", "confstr", "ctermid",
        "fchmod", "fchown", "fork", "forkpty", "fstatvfs", "getegid", "geteuid", "getgid", "getgroups", "getloadavg",
        "getpgid", "getpgrp", "getpriority", "getsid", "getuid", "killpg", "lchown", "lockf", "mkfifo", "mknod", "nice",
        "openpty", "pathconf", "posix_spawn", "pread", "pwrite", "register_at_fork", "setegid", "seteuid", "setgid",
        "setpgid", "setsid", "setuid", "statvfs", "sync", "sysconf", "sysconf_names", "tcgetpgrp", "ttyname", "uname",
        "wait", "waitid", "waitpid",
    }  # fmt: skip
TAKEN_FROM_ALL = {"fork", "forkpty", "getegid", "getgid", "getuid", *SCHEDULING} & LACKING_IN_OS
"""Functions of `os` removed for all packages; other packages and Python's library need the rest to run on Linux."""
SIGNALS_OF_WINDOWS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}

OURS = os.sep + "pixelwise" + os.sep
LIBRARY = sysconfig.get_path("stdlib") + os.sep
PACKAGES = sysconfig.get_path("purelib") + os.sep
_busy = threading.local()


def is_for_pixelwise(depth: int) -> bool:
    """Whether a frame runs for Pixelwise: the nearest calling frame outside Python's library is in Pixelwise."""
    frame = sys._getframe(depth)
    while frame is not None:
        name = frame.f_code.co_filename
        ours_alone = name != __file__ and not name.startswith("<frozen")
        if ours_alone and not (name.startswith(LIBRARY) and not name.startswith(PACKAGES)):
            return OURS in name and frame.f_globals.get("__name__", "").startswith("pixelwise")
        frame = frame.f_back
    return False


class View(types.ModuleType):
    """A module as Pixelwise sees it."""

    def __init__(self, real: types.ModuleType, lacking: set[str], changed: dict[str, object]) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(_real=real, _lacking=lacking, _changed=changed)

    def __getattr__(self, name: str) -> object:
        if name in self._lacking:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}' on {SYSTEM}")
        return self._changed[name] if name in self._changed else getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._real) if name not in self._lacking]


def ranges_of_windows() -> types.ModuleType:
    """`msvcrt.locking` implemented with Linux's byte-range locks, which also belong to the open file description."""
    import fcntl
    import struct

    module = types.ModuleType("msvcrt")
    module.LK_UNLCK, module.LK_NBLCK = 0, 2

    def locking(descriptor: int, mode: int, length: int) -> None:
        kind = fcntl.F_UNLCK if mode == module.LK_UNLCK else fcntl.F_WRLCK
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        wanted = struct.pack("hhqqi4x", kind, os.SEEK_SET, place, length, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None

    module.locking = locking
    return module


def open_files() -> set[str]:
    """Paths of the files that this process, or one with the same POSIX session id, has open or memory-mapped."""
    found = set()
    for process in os.listdir("/proc"):
        try:
            if not process.isdecimal() or os.getsid(int(process)) != os.getsid(0):
                continue
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                found.add(os.readlink(f"/proc/{process}/fd/{descriptor}"))
            with open(f"/proc/{process}/maps", encoding="utf-8", errors="replace", newline="\n") as maps:
                found |= {line[line.index("/") :].strip() for line in maps if "/" in line}
        except OSError:
            continue  # the process has ended
    return found


def refuse_open(path: str) -> None:
    """Raise the error of Windows if a file, or any file in a folder, is open; only within the test's folder."""
    place = os.path.realpath(path)
    if not place.startswith(ROOT + os.sep):
        return
    _busy.inside = True
    try:
        opened = [name for name in open_files() if name == place or name.startswith(place + os.sep)]
    finally:
        _busy.inside = False
    if opened:
        error = PermissionError(errno.EACCES, f"open in a process, as on Windows: {opened}", path)
        error.winerror = 32  # type: ignore[attr-defined]
        raise error


def as_on_windows(name: str) -> None:
    """Let a function of `os` fail for open files and existing targets, as on Windows."""
    real = getattr(os, name)

    def function(path, *others, **options):  # type: ignore[no-untyped-def]
        if isinstance(path, str | os.PathLike) and not options.get("dir_fd") and not options.get("src_dir_fd"):
            refuse_open(os.fspath(path))
            for target in map(os.fspath, others[:1]):
                refuse_open(target)
                if os.path.lexists(target) and (name == "rename" or os.path.isdir(target)):
                    raise FileExistsError(errno.EEXIST, "it exists, as on Windows", target)
        return real(path, *others, **options)

    setattr(os, name, function)


def open_of_windows(path, flags, *others, **options):  # type: ignore[no-untyped-def]
    """`os.open` as on Windows, where it cannot open folders."""
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "a folder, as on Windows", path)
    return os.open(path, flags, *others, **options)


def fsync_of_windows(descriptor: int) -> None:
    """`os.fsync` as on Windows, where it needs a file that was opened for writing."""
    import fcntl

    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, "opened for reading only, as on Windows")
    os.fsync(descriptor)


def hide_kernel_files() -> None:
    """Hide `/proc` and `/sys` from Pixelwise."""
    real_stat = os.stat

    def is_hidden(path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(("/proc", "/sys"))

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        looks = event in ("open", "os.listdir", "os.scandir") and is_hidden(arguments[0])
        if looks and not getattr(_busy, "inside", False) and is_for_pixelwise(2):
            raise FileNotFoundError(errno.ENOENT, f"not there on {SYSTEM}", arguments[0])

    def stat(path, *others, **options):  # type: ignore[no-untyped-def]
        if is_hidden(path) and is_for_pixelwise(2):
            raise FileNotFoundError(errno.ENOENT, f"not there on {SYSTEM}", path)
        return real_stat(path, *others, **options)

    os.stat = stat
    sys.addaudithook(hook)


def begin() -> None:
    """Start the simulation and log this process's id."""
    import multiprocessing
    import shutil
    import signal

    with open(os.environ["PIXELWISE_SYSTEM_LOG"], "a", encoding="utf-8", newline="\n") as log:
        log.write(f"{os.getpid()}\n")
    views: dict[str, types.ModuleType] = {}
    in_os: dict[str, object] = {}
    lacking_signals: set[str] = set()
    if WINDOWS:
        views["msvcrt"] = ranges_of_windows()
        in_os |= {"name": "nt", "open": open_of_windows, "fsync": fsync_of_windows}
        lacking_signals = {name for name in dir(signal) if name.startswith("SIG")} - SIGNALS_OF_WINDOWS
        lacking_signals |= {"pthread_kill", "pthread_sigmask", "setitimer", "alarm", "pause", "sigwait"}
        for name in ("rename", "replace", "remove", "unlink", "rmdir"):
            as_on_windows(name)
        shutil._use_fd_functions = False  # otherwise files are removed by names relative to a folder's descriptor
    views |= {
        "os": View(os, LACKING_IN_OS, in_os),
        "signal": View(signal, lacking_signals, {}),
        "sys": View(sys, {"abiflags", "setdlopenflags"}, {"platform": SYSTEM}),
    }
    hide_kernel_files()
    for name in TAKEN_FROM_ALL:
        if hasattr(os, name):
            delattr(os, name)
    contexts = multiprocessing.context._concrete_contexts
    for method in ("fork", "forkserver") if WINDOWS else ():
        contexts.pop(method)
    multiprocessing.set_start_method("spawn")
    real_import = builtins.__import__

    def importing(name, globals=None, locals=None, fromlist=(), level=0):  # type: ignore[no-untyped-def]
        asking = str((globals or {}).get("__name__", "")).partition(".")[0]
        if level == 0 and name in LACKING_MODULES and asking not in WITH_PARTS_FOR_LINUX:
            raise ModuleNotFoundError(f"no module named '{name}' on {SYSTEM}", name=name)
        if level == 0 and asking == "pixelwise" and name in views:
            return views[name]
        return real_import(name, globals, locals, fromlist, level)

    builtins.__import__ = importing


if SYSTEM:
    begin()
