"""No command opens a connection or writes into the user's home folder but for Pixelwise's own cache.

Packages send from child processes, from native code, and not at all while pytest is loaded. So the commands run in
processes of their own, with an empty home folder; every connection that they or their children ask for is recorded
and refused, by an audit hook of Python and by functions that stand before those of the C library.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from tracked_runs import ended

from pixelwise import telemetry

SOURCES = Path(telemetry.__file__).parents[1]
HOOK = """
import os, sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        where = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        where = arguments[:2]
    else:
        return
    if isinstance(where, tuple) and where[0] is not None:
        file = os.open(os.environ["RECORDED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"python {os.getpid()} {event} {where}\\n".encode())
        os.close(file)
        raise ConnectionRefusedError(f"{event} is recorded and refused")

sys.addaudithook(hook)
"""
NATIVE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *call, const char *name) {
    char line[512];
    int length = snprintf(line, sizeof line, "native %d %s %s\n", getpid(), call, name);
    int file = open(getenv("RECORDED"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (write(file, line, length) < 0) abort();
    close(file);
}

static int leads_out(const struct sockaddr *address) {
    return address && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    if (leads_out(address)) { note("connect", ""); errno = ECONNREFUSED; return -1; }
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    return real(socket, address, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    if (leads_out(to)) { note("sendto", ""); errno = ENETUNREACH; return -1; }
    ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
    return real(socket, data, size, flags, to, length);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    if (node) { note("getaddrinfo", node); return EAI_FAIL; }
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, found);
}
"""
OPENED_IN_A_CHILD = """
import ctypes, multiprocessing, socket

def child():
    socket.socket().connect_ex(("127.0.0.1", 9))

def native():
    ctypes.CDLL(None).getaddrinfo(b"native.invalid", None, None, ctypes.byref(ctypes.c_void_p()))

for work in (child, native):
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
"""
USE = """
import sys
from pixelwise.runtimes.packages import require

for package in sys.argv[1].split(","):
    require(package, "a test")
import numpy as np, onnx
from onnx import TensorProto, helper

values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, 8]) for name in ("x", "y")]
nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 3, 3, 3], np.ones(81, np.float32))
model = helper.make_model(
    helper.make_graph(nodes, "graph", values[:1], values[1:], [weights]),
    opset_imports=[helper.make_opsetid("", 20)], ir_version=10,
)
if "onnxruntime" in sys.modules:
    session = sys.modules["onnxruntime"].InferenceSession(model.SerializeToString())
    session.run(None, {"x": np.ones((1, 3, 8, 8), np.float32)})
if "openvino" in sys.modules:
    onnx.save(model, sys.argv[2])
    converted = sys.modules["openvino"].convert_model(sys.argv[2])
    if "nncf" in sys.modules:
        nncf = sys.modules["nncf"]
        nncf.quantize(converted, nncf.Dataset([np.ones((1, 3, 8, 8), np.float32)] * 4), subset_size=4)
"""


class Watched(NamedTuple):
    """What a command left behind."""

    code: int
    output: str
    opened: list[str]
    written: list[str]


Watch = Callable[..., Watched]


@pytest.fixture(scope="session")
def shield(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that stands before the C library."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler to see what native code opens")
    folder = tmp_path_factory.mktemp("shield")
    (folder / "shield.c").write_text(NATIVE)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "shield.so", folder / "shield.c", "-ldl"], check=True
    )
    return folder / "shield.so"


@pytest.fixture
def watch(tmp_path: Path, shield: Path) -> Watch:
    """Run a command with an empty home folder, in an empty folder: `watch([python, ...]) -> Watched`."""

    def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Watched:
        home, here, hooks = tmp_path / "home", tmp_path / "here", tmp_path / "hooks"
        for folder in (home, here, hooks):
            folder.mkdir(exist_ok=True)
        (hooks / "sitecustomize.py").write_text(HOOK)
        recorded = tmp_path / "recorded.txt"
        recorded.unlink(missing_ok=True)
        clean = {
            "HOME": str(home),
            "LD_PRELOAD": str(shield),
            "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
            "OMP_NUM_THREADS": "1",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{hooks}{os.pathsep}{SOURCES}",
            "RECORDED": str(recorded),
        }
        done = subprocess.run(
            command, env=clean | dict(environment or {}), cwd=here, capture_output=True, text=True, check=False
        )
        files = (path.relative_to(tmp_path) for folder in (home, here) for path in folder.rglob("*") if path.is_file())
        return Watched(
            done.returncode,
            done.stdout + done.stderr,
            recorded.read_text().splitlines() if recorded.exists() else [],
            sorted(str(path) for path in files if path.parts[:3] != ("home", ".cache", "pixelwise")),
        )

    return run


def test_what_a_child_opens_is_seen(watch: Watch):
    found = watch([sys.executable, "-c", OPENED_IN_A_CHILD])
    assert found.code == 0, found.output
    seen = [(kind, *rest) for kind, _, *rest in (line.split(" ", 3) for line in found.opened)]
    assert seen == [("python", "socket.connect", "('127.0.0.1', 9)"), ("native", "getaddrinfo", "native.invalid")]


@pytest.mark.heavy
@pytest.mark.parametrize("packages", ["onnxruntime", "openvino", "openvino,nncf"])
def test_a_runtime_sends_nothing(watch: Watch, tmp_path: Path, packages: str):
    if not all(importlib.util.find_spec(package) for package in packages.split(",")):
        pytest.skip("pip install 'pixelwise[export]'")
    found = watch([sys.executable, "-c", USE, packages, tmp_path / "model.onnx"])
    assert found.code == 0, found.output
    assert (found.opened, found.written) == ([], [])


@pytest.mark.heavy
@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow", "wandb", "trackio"])
def test_a_tracker_without_a_server_sends_nothing(watch: Watch, tmp_path: Path, tracker: str):
    if not importlib.util.find_spec(tracker):
        pytest.skip(f"the package {tracker} is not installed")
    run = ended(tmp_path / "run")
    code = "from pixelwise.cli import entry; entry()"
    found = watch(
        [sys.executable, "-c", code, "track", run, "--to", tracker], {"TRACKIO_DIR": str(tmp_path / "trackio")}
    )
    assert found.code == 0, found.output
    assert found.opened == []
    # MLflow's own default is a database in the current folder; W&B keeps a log of its process in its cache.
    allowed = ("here/mlflow.db", "here/mlruns/", "home/.cache/wandb/logs/")
    assert [path for path in found.written if not path.startswith(allowed)] == []


@pytest.mark.heavy
def test_telemetry_is_sent_after_opting_in(watch: Watch, tmp_path: Path):
    if not importlib.util.find_spec("openvino"):
        pytest.skip("pip install 'pixelwise[export]'")
    choice = tmp_path / "home" / "intel" / "openvino_telemetry"
    choice.parent.mkdir(parents=True)
    choice.write_text("1")
    found = watch([sys.executable, "-c", USE, "openvino", tmp_path / "model.onnx"])
    assert found.code == 0, found.output
    assert any("google-analytics" in line for line in found.opened)


@pytest.mark.parametrize(
    ("written", "hidden"), [(None, True), ("0", True), ("1", False), ("1\n", False), ("", True), ("\u00e9", True)]
)
def test_only_a_yes_keeps_openvino_s_telemetry(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str | None, hidden: bool
):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    if written is not None:
        (tmp_path / "intel").mkdir()
        (tmp_path / "intel" / "openvino_telemetry").write_text(written, "utf-8")
    modules = {name: module for name, module in sys.modules.items() if not name.startswith("openvino_telemetry")}
    monkeypatch.setattr(sys, "modules", modules)
    telemetry.switch_off_openvino()
    assert ("openvino_telemetry" in modules) is hidden
    assert modules.get("openvino_telemetry") is None


def test_on_windows_the_choice_is_in_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    modules = {name: module for name, module in sys.modules.items() if not name.startswith("openvino_telemetry")}
    monkeypatch.setattr(sys, "modules", modules)
    (tmp_path / "Intel Corporation").mkdir()
    (tmp_path / "Intel Corporation" / "openvino_telemetry").write_text("1")
    telemetry.switch_off_openvino()
    assert "openvino_telemetry" not in modules
    monkeypatch.delenv("LOCALAPPDATA")
    telemetry.switch_off_openvino()
    assert "openvino_telemetry" in modules


def test_a_package_that_the_program_uses_itself_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "openvino_telemetry", telemetry)
    telemetry.switch_off_openvino()
    assert sys.modules["openvino_telemetry"] is telemetry


@pytest.mark.parametrize(("chosen", "kept"), [("0", "0"), ("1", "1"), ("", "1")])
def test_variables_that_are_set_keep_their_values(monkeypatch: pytest.MonkeyPatch, chosen: str, kept: str):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", chosen)
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    telemetry.switch_off()
    assert (os.environ["ORT_DISABLE_TELEMETRY"], os.environ["HF_HUB_DISABLE_TELEMETRY"]) == (kept, "1")


@pytest.mark.heavy
def test_a_download_does_not_describe_the_machine(watch: Watch):
    code = "import pixelwise, timm, huggingface_hub.utils as hub; print(hub.build_hf_headers()['user-agent'])"
    found = watch([sys.executable, "-c", code])
    assert found.code == 0, found.output
    assert "torch" not in found.output
    assert (found.opened, found.written) == ([], [])


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_no_command_sends_anything(watch: Watch, tmp_path: Path, tiny_run: Path, tiny_data: Path):
    pixelwise = [sys.executable, "-c", "from pixelwise.cli import entry; entry()"]
    size, images = ["--size", "64x48"], tiny_data / "images" / "val"
    vino, onnx, int8 = tmp_path / "vino", tmp_path / "onnx", tmp_path / "int8"
    commands = [
        ["export", tiny_run, "--target", "onnx", *size, "--output", onnx],
        ["export", tiny_run, "--target", "openvino", *size, "--output", vino],
        ["quantize", tiny_run, "--target", "openvino", *size, "--max-miou-drop", "100", "--output", int8],
        ["quantize", tiny_run, "--target", "onnx", *size, "--max-miou-drop", "100", "--output", tmp_path / "onnx8"],
        ["evaluate", vino, "--data", tiny_data],
        ["predict", vino, images, "--output", tmp_path / "labels"],
        ["predict", onnx, images, "--output", tmp_path / "labels-onnx"],
        ["profile", vino, "--runtime", "openvino", "--rounds", "2"],
        ["profile", tiny_run, "--runtime", "torch,onnx,openvino", "--rounds", "2", *size],
        ["deploy", tiny_run, "--targets", "onnx,openvino", "--int8", "ptq", "--max-miou-drop", "100", *size,
         "--rounds", "2", "--output", tmp_path / "card"],
        ["check", tiny_data],
    ]  # fmt: skip
    left_behind = {}
    for command in commands:
        found = watch([*pixelwise, *command])
        assert found.code == 0, (command, found.output)
        left_behind[" ".join(map(str, command))] = (found.opened, found.written)
    assert not {command: traces for command, traces in left_behind.items() if any(traces)}
    assert (int8 / "model.xml").is_file()
