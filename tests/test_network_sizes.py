from __future__ import annotations

import tomllib

import network_sizes
import pytest


@pytest.mark.heavy
def test_the_written_sizes_are_those_of_the_networks() -> None:
    assert tomllib.loads(network_sizes.FILE.read_text()) == network_sizes.counted(), "python tests/network_sizes.py"
