from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.commands import Commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Commands]:
    """Runs command lines in forked children; without PyTorch imported where only the quick verbs are tried."""
    quick = request.config.getoption("-m") == "not heavy and not fuzz"
    server = Commands(tmp_path_factory.mktemp("commands"), torch=not quick)
    yield server
    server.close()
