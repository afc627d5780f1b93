"""Only `machine` knows the operating system, and every text has an encoding: read from the source, module by module."""

from __future__ import annotations

import ast
import codecs
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pixelwise"

FOREIGN = {
    "_posixsubprocess", "_winapi", "crypt", "ctypes", "fcntl", "grp", "msvcrt", "nt", "platform", "posix",
    "psutil", "pty", "pwd", "readline", "resource", "select", "selectors", "spwd", "syslog", "termios", "tty",
    "winreg", "winsound",
}  # fmt: skip
"""Modules that exist on one system only, or say which one it is."""
OF_OS = {
    "DirEntry", "F_OK", "O_CREAT", "O_RDONLY", "O_RDWR", "PathLike", "R_OK", "SEEK_SET", "W_OK", "X_OK",
    "access", "chmod", "close", "cpu_count", "environ", "fsdecode", "fsencode", "fspath", "fstat", "fsync",
    "ftruncate", "getcwd", "getenv", "getpid", "link", "listdir", "lseek", "lstat", "makedirs", "mkdir", "open",
    "path", "pathsep", "readlink", "remove", "rmdir", "scandir", "sep", "stat", "strerror", "symlink", "unlink",
    "urandom", "utime", "walk", "write",
}  # fmt: skip
"""What `os` has on every system and does alike. Renaming and `fsync` of folders are in `machine.files`."""
OF_SIGNAL = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
OF_ERRNO = {
    "EACCES", "EBUSY", "EDQUOT", "EEXIST", "EFBIG", "EINVAL", "EIO", "EISDIR", "ENOENT", "ENOLCK", "ENOSPC", "ENOSYS",
    "ENOTDIR", "ENOTSUP", "EOPNOTSUPP", "EPERM", "EROFS", "ESTALE", "ETIMEDOUT",
}  # fmt: skip
ELSEWHERE = {
    "mmap": re.compile(r"MAP_|PROT_|MADV_"),
    "socket": re.compile(r"AF_UNIX|SO_REUSEPORT|socketpair"),
    "stat": re.compile(r"(UF|SF)_|FILE_ATTRIBUTE_"),
    "sys": re.compile(r"platform$|getwindowsversion|abiflags|setdlopenflags"),
}
"""What of other modules is of one system."""
PLACE = re.compile(r"/(proc|sys|tmp|dev|etc|var|usr|bin|home|mnt)(/|$)|[A-Za-z]:\\")
STRFTIME = re.compile(r"%[^aAbBcdfGHIjmMpSuUVwWxXyYzZ%]")


def foreign(source: str) -> Iterator[str]:
    """What in a module is of one system alone."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
            yield from (f"import {alias.name}" for alias in node.names if alias.name.partition(".")[0] in FOREIGN)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            if node.module.partition(".")[0] in FOREIGN:
                yield f"from {node.module} import"
            yield from (found for alias in node.names for found in _foreign_name(node.module, alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name):
                yield from _foreign_name(modules.get(node.value.id, ""), node.attr)
            if node.attr.startswith("SIG") and node.attr.isupper() and node.attr not in OF_SIGNAL:
                yield node.attr
            if node.attr in ("owner", "group") and isinstance(node.ctx, ast.Load) and _is_called(node, tree):
                yield f".{node.attr}() of a path"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            match node.args:
                case [ast.Name(id=name), ast.Constant(value=str(attribute)), *_]:
                    yield from _foreign_name(modules.get(name, ""), attribute)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            if PLACE.match(node.value):
                yield f"the place {node.value!r}"
            if node.value in ("fork", "forkserver"):
                yield f"the start method {node.value!r}"
            if node.value.count("%") and _is_format_of_time(node, tree) and STRFTIME.search(node.value):
                yield f"the format of times {node.value!r}"


def _foreign_name(module: str, name: str) -> Iterator[str]:
    allowed = {"os": OF_OS, "errno": OF_ERRNO}.get(module)
    if allowed is not None and name not in allowed:
        yield f"{module}.{name}"
    elif module == "signal" and re.match(r"SIG|pthread|sig(?!nal)|alarm|pause|[gs]etitimer", name):
        if name not in OF_SIGNAL:
            yield f"signal.{name}"
    elif module in ELSEWHERE and ELSEWHERE[module].match(name):
        yield f"{module}.{name}"


def _is_called(attribute: ast.Attribute, tree: ast.AST) -> bool:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func is attribute)
    return any(not call.args and not call.keywords for call in calls)


def _is_format_of_time(constant: ast.Constant, tree: ast.AST) -> bool:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and constant in node.args)
    return any(isinstance(call.func, ast.Attribute) and call.func.attr == "strftime" for call in calls)


def unclear_text(source: str) -> Iterator[str]:
    """Where text becomes bytes, or bytes text, by the settings of the machine."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield from (f"{ast.unparse(node)}: no {wanted}" for wanted in _lacking(node))


def _lacking(call: ast.Call) -> list[str]:
    """The arguments without which a call depends on the machine."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    is_method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("open", "fdopen"):
        mode = given.get("mode") or _mode(call, is_method and name == "open")
        return [wanted for wanted in ("encoding", "newline") if _is_text(mode) and wanted not in given]
    if name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"):
        mode = given.get("mode") or next(iter(call.args), None)
        return [wanted for wanted in ("encoding", "newline") if _is_text(mode) and wanted not in given]
    if name == "read_text" and is_method:
        return [] if _is_codec(given.get("encoding"), *call.args[:1]) else ["encoding"]
    if name == "write_text" and is_method:  # our own, a function, writes what it is given
        return [] if "newline" in given else ["newline"]
    if name == "TextIOWrapper":
        return [] if "encoding" in given or len(call.args) > 1 else ["encoding"]
    decoding = name in ("run", "Popen", "check_output") and {"text", "universal_newlines"} & given.keys()
    return ["encoding"] if decoding and "encoding" not in given else []


def _mode(call: ast.Call, is_method: bool) -> ast.expr | None:
    """The mode of a function that opens; None of a method that opens something else, such as an archive."""
    if not is_method:
        return call.args[1] if len(call.args) > 1 else ast.Constant("r")
    first = next(iter(call.args), None)
    is_mode = isinstance(first, ast.Constant) and re.fullmatch("[rwaxbt+]+", str(first.value))
    return first if is_mode else None


def _is_text(mode: ast.expr | None) -> bool:
    return mode is not None and "b" not in ast.unparse(mode)


def _is_codec(*given: ast.expr | None) -> bool:
    for one in given:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            try:
                codecs.lookup(one.value)
            except LookupError:
                continue
            return True
    return False


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def test_only_machine_knows_the_operating_system():
    found = {
        str(path.relative_to(SOURCE)): names
        for path in modules()
        if path.parent != SOURCE / "machine" and (names := list(foreign(path.read_text("utf-8"))))
    }
    assert found == {}


def test_every_text_has_an_encoding_and_its_own_ends_of_lines():
    # importlib.metadata's method of that name takes the name of a file, and reads UTF-8.
    other = "distribution.read_text('entry_points.txt'): no encoding"
    found = {
        str(path.relative_to(SOURCE)): calls
        for path in modules()
        if (calls := [call for call in unclear_text(path.read_text("utf-8")) if call != other])
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "import resource as r",
        "from pwd import getpwuid",
        "import ctypes.util",
        "def f():\n    import termios",
        "import os\nos.fork()",
        "import os as system\nsystem.getuid()",
        "from os import sysconf",
        "import os\ngetattr(os, 'sched_getaffinity')(0)",
        "import os\nos.open('a', os.O_DIRECTORY)",
        "import os\nos.replace('a', 'b')",
        "import os\nos.name",
        "import sys\nif sys.platform == 'linux': pass",
        "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)",
        "from signal import SIGUSR1",
        "import signal\nsignal.Signals.SIGKILL",
        "import signal\nsignal.pthread_sigmask",
        "import mmap\nmmap.MAP_SHARED",
        "import socket\nsocket.AF_UNIX",
        "import errno\nerrno.ELOOP",
        "open('/proc/self/status')",
        "folder = '/tmp'",
        "drive = 'C:\\\\data'",
        "import multiprocessing\nmultiprocessing.get_context('fork')",
        "path.owner()",
        "import time\ntime.strftime('%F %T')",
    ],
)
def test_what_is_of_one_system_is_found(source: str):
    assert list(foreign(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""Reads `/proc`."""\ndef f():\n    """/tmp is not used."""',
        "import os\nos.open('a', os.O_RDONLY | os.O_CREAT)\nos.path.join('a', 'b')",
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)",
        "import mmap\nmmap.mmap(0, 0, access=mmap.ACCESS_READ)",
        "import time\ntime.strftime('%Y-%m-%d %H:%M:%S')",
        "self.owner\nmatch.group(1)",
        "import sys\nsys.stdout",
    ],
)
def test_what_every_system_has_is_not(source: str):
    assert list(foreign(source)) == []


@pytest.mark.parametrize(
    ("source", "unclear"),
    [
        ("open(path)", 2),
        ("open(path, 'w', encoding='utf-8')", 1),
        ("open(path, mode='a')", 2),
        ("open(path, encoding='utf-8', newline='')", 0),
        ("open(path, 'rb')", 0),
        ("path.open('w')", 2),
        ("archive.open(member)", 0),
        ("tarfile.open(path)", 0),
        ("path.read_text()", 1),
        ("path.read_text(errors='replace')", 1),
        ("path.read_text('utf-8')", 0),
        ("path.read_text(encoding='ascii')", 0),
        ("path.write_text(text, 'utf-8')", 1),
        ("write_text(path, text)", 0),
        ("io.TextIOWrapper(stream)", 1),
        ("subprocess.run(command, text=True)", 1),
        ("subprocess.run(command, encoding='utf-8')", 0),
        ("os.fdopen(descriptor, 'w')", 2),
        ("tempfile.NamedTemporaryFile('w')", 2),
        ("tempfile.NamedTemporaryFile()", 0),
    ],
)
def test_text_without_an_encoding_is_found(source: str, unclear: int):
    assert len(list(unclear_text(source))) == unclear


TORCH_FREE = (
    "errors", "suggestions", "entry_points", "options", "observer", "plugins", "telemetry", "machine", "storage",
    "recipes", "records", "installation",
)  # fmt: skip
IMPORT = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    module = importlib.import_module(f"pixelwise.{name}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{module.__name__}."):
        importlib.import_module(found.name)
print(sorted({"torch", "torchvision", "timm", "psutil"} & set(sys.modules)))
"""


def test_what_describes_runs_and_machines_is_imported_without_torch():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *TORCH_FREE], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == "[]\n"
