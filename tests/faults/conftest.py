from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from faults.commands import Commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Commands]:
    """Runs command lines in forked children; without PyTorch imported where only the quick verbs are tried."""
    quick = request.config.getoption("-m") == "not heavy and not fuzz"
    server = Commands(tmp_path_factory.mktemp("commands"), torch=not quick)
    yield server
    server.close()


@pytest.fixture(scope="session")
def linear_run(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path, tiny_recipe: Path) -> Path:
    """A finished run of a network that is exported in a fraction of the time of the tiny run; do not write into it."""
    from pixelwise.recipes.families.linear import LinearSpec
    from pixelwise.recipes.files import find
    from pixelwise.training.runs import train

    linear = msgspec.structs.replace(find(str(tiny_recipe)), model=LinearSpec(encoder="resnet10t"))
    short = ["initialize.encoder=none", "schedule.iterations=3"]
    output = tmp_path_factory.mktemp("linear") / "run"
    return train(linear, data=tiny_data, output=output, overrides=short, threads=1)
