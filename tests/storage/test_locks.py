import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.errors import RunLockedError
from pixelwise.storage.locks import is_held, run_lock, work_lock


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path):
    with (
        run_lock(tmp_path),
        pytest.raises(RunLockedError, match=f"process {os.getpid()} on ") as caught,
        run_lock(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 7


def test_the_lock_of_a_killed_process_does_not_stay(tmp_path: Path):
    script = (
        "import os, signal, sys; from pathlib import Path; from pixelwise.storage.locks import run_lock\n"
        "with run_lock(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    with run_lock(tmp_path):
        assert (tmp_path / "run.lock").exists()


def test_work_that_nobody_does_is_not_waited_for(tmp_path: Path):
    waited: list[int] = []
    folder = tmp_path / "new"
    with work_lock(folder, lambda: waited.append(1)):
        assert is_held(folder)
    assert not is_held(folder)
    assert not is_held(tmp_path / "never made")
    assert not waited
