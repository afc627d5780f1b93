import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.machine.processes import FORKS, START_METHOD, host_name, without_main

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
