import platform
import subprocess
import sys

import pytest

from pixelwise.machine.processes import FORKS, START_METHOD, host_name

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
