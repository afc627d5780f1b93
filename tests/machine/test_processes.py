import contextlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pixelwise.machine.processes import (
    FORKS,
    START_METHOD,
    after_fork,
    environment,
    host_name,
    is_running,
    kill_with_children,
    process_mark,
    without_main,
)

SHOW = """
import sys
sys.platform = sys.argv[1]
from pixelwise.machine import processes
print(processes.START_METHOD, processes.FORKS)
"""


@pytest.mark.parametrize(
    ("system", "shown"), [("linux", "fork True"), ("darwin", "spawn False"), ("win32", "spawn False")]
)
def test_processes_are_forked_on_linux_alone(system: str, shown: str):
    done = subprocess.run([sys.executable, "-c", SHOW, system], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == shown


def test_forks_and_host_name_match_this_system():
    assert (START_METHOD == "fork") is FORKS
    assert host_name() == platform.node()


SCRIPT = """
import multiprocessing, operator
from pixelwise.machine.processes import without_main
print("here", flush=True)
process = multiprocessing.get_context("spawn").Process(target=operator.neg, args=(1,))
with without_main():
    process.start()
process.join()
print(process.exitcode, __file__)
"""


def test_a_spawned_process_does_not_run_the_script_again(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, "utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["here", "0", str(script)]


def test_the_script_is_itself_again_after_a_failure():
    main = sys.modules["__main__"]

    def fail() -> None:
        with without_main():
            assert not hasattr(sys.modules["__main__"], "__file__")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert sys.modules["__main__"] is main


def mark_of_another_process(*, ended: bool) -> tuple[str, subprocess.Popen]:
    script = "from pixelwise.machine.processes import process_mark; print(process_mark(), flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    mark = process.stdout.readline().strip()
    if ended:
        process.communicate("\n")
    return mark, process


def test_a_process_runs_until_it_ends():
    assert is_running(process_mark()) is True
    mark, process = mark_of_another_process(ended=False)
    assert mark != process_mark()
    assert is_running(mark) is True
    process.kill()
    process.communicate()
    assert is_running(mark) is False


def test_another_process_with_the_same_number_is_another_process():
    place, pid, start = process_mark().split("-")

    assert is_running(f"{place}-{pid}-{int(start) + 1}") is False


@pytest.mark.parametrize("mark", ["", "1", "0000beef-1-1", "x-y-z", f"{process_mark().split('-')[0]}-one-1"])
def test_of_processes_elsewhere_nothing_is_known(mark: str):
    assert is_running(mark) is None


@pytest.mark.heavy
def test_a_process_is_killed_with_all_that_it_started(tmp_path: Path):
    import psutil

    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    started = subprocess.Popen([sys.executable, "-c", script])
    while not (children := psutil.Process(started.pid).children()):
        time.sleep(0.05)
    kill_with_children(started)
    assert started.returncode is not None
    assert psutil.wait_procs(children, timeout=10)[1] == []
    kill_with_children(started)  # nothing is left to kill


@pytest.mark.skipif(not FORKS, reason="this system does not fork")
def test_a_forked_process_is_told_that_it_is_one():
    calls: list[int] = []
    after_fork(lambda: calls.append(os.getpid()))
    child = os.fork()
    if not child:
        os._exit(0 if calls == [os.getpid()] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert calls == []


def test_variables_are_those_of_the_block(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIXELWISE_TEST_SET", "before")
    monkeypatch.delenv("PIXELWISE_TEST_UNSET", raising=False)
    names = ("PIXELWISE_TEST_SET", "PIXELWISE_TEST_UNSET")
    with contextlib.suppress(KeyError), environment(dict.fromkeys(names, "within")):
        assert [os.environ[name] for name in names] == ["within", "within"]
        raise KeyError
    assert [os.environ.get(name) for name in names] == ["before", None]
