"""What a launcher, such as `torchrun`, tells a process that it starts together with others."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What a process has to know to find the others."""
UNNAMED = "none"
"""Name that `torchrun` gives to every launch that was not given one."""
THREADS_BY_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""Set by `torchrun`, which also sets OMP_NUM_THREADS to 1 if nobody has set it."""


def world_size(environment: Mapping[str, str] = os.environ) -> int:
    """Number of processes that were started together; 1 if this one was started alone."""
    return _number(environment, "WORLD_SIZE", 1)


def local_world(environment: Mapping[str, str] = os.environ) -> int:
    """Number of these processes on this host, which share its memory and its cores."""
    return _number(environment, "LOCAL_WORLD_SIZE", 1) if world_size(environment) > 1 else 1


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Number of this process on its host, from 0."""
    return _number(environment, "LOCAL_RANK", 0) if world_size(environment) > 1 else 0


def hosts(environment: Mapping[str, str] = os.environ) -> int:
    """Number of hosts on which these processes run; `torchrun` says it, of other launchers all hosts count as equal."""
    return _number(environment, "GROUP_WORLD_SIZE", -(-world_size(environment) // local_world(environment)))


def restarts(environment: Mapping[str, str] = os.environ) -> int:
    """How often a launcher has started these processes again, because one of them died."""
    return _number(environment, "TORCHELASTIC_RESTART_COUNT", 0)


def launch(environment: Mapping[str, str] = os.environ) -> str:
    """Name of the launch, which `torchrun --rdzv-id` gives and all hosts share; empty if it has none."""
    name = environment.get("TORCHELASTIC_RUN_ID", "")
    return "" if name == UNNAMED else name


def is_first(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process writes and speaks to the user: the first one of all, or one that was started alone."""
    return world_size(environment) == 1 or _number(environment, "RANK", 0) == 0


def _number(environment: Mapping[str, str], name: str, otherwise: int) -> int:
    text = environment.get(name, "").strip()
    return int(text) if text.isdecimal() else otherwise
