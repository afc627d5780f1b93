from __future__ import annotations

from pathlib import Path

import pytest
from reports.run_folders import write_run_folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, scored run; tests only read it."""
    run = tmp_path_factory.mktemp("runs") / "enet-camvid-1"
    write_run_folder(run)
    return run
