"""Options of the verbs whose work several processes can share; never imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.options import Options

Sharding = Literal["auto", "never", "always"]
"""Whether each of several processes keeps only a part of the weights; `auto`: of a large network."""


class LaunchOptions(Options, frozen=True, kw_only=True):
    """How many processes share the work, and where.

    Attributes:
        devices: Processes on this host that share the work: one per GPU; on a processor, they divide its cores. The
            result is that of one process (docs/cluster.md). Left out, this process does the work.
        nodes: Hosts on which this command is started, each with its devices; or the least and the most, as in 1:4.
        rendezvous: Where the hosts meet: a free port of one of them.
        restarts: How often all processes are started again after one of them has died. They go on from the last
            checkpoint.
    """

    devices: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(extra={"late": True})] = None
    nodes: Annotated[str, Meta(extra={"late": True, "metavar": "N"})] = "1"
    rendezvous: Annotated[str | None, Meta(extra={"late": True, "metavar": "HOST:PORT"})] = None
    restarts: Annotated[int, Meta(ge=0, extra={"late": True})] = 0
