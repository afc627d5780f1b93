"""Options of the verbs whose work several processes can share; never imports torch."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.machine.network import split_address
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

    def refuse_contradictions(self, device: str) -> None:
        """Check that these options, and the device, go together.

        Args:
            device: The device that is asked for: `auto`, `cpu`, `cuda` or `cuda:N`.

        Raises:
            RecipeError: R238, an option is of use only with another one or cannot be read, or one GPU is named for
                several processes.
        """
        if self.devices is None:
            self._refuse_alone()
            return
        low, _, high = self.nodes.partition(":")
        if not low.isdecimal() or int(low) < 1 or (high and (not high.isdecimal() or int(high) < int(low))):
            raise RecipeError(
                "R238", f"`nodes` is '{self.nodes}'; expected a number or LEAST:MOST", "give one such as 2, or 1:4"
            )
        if self.nodes != "1" and self.rendezvous is None:
            raise RecipeError(
                "R238",
                f"`nodes` is {self.nodes}, but the hosts do not know where to meet",
                "give the same `rendezvous`, as HOST:PORT, on every host",
            )
        if self.rendezvous is not None and split_address(self.rendezvous) is None:
            raise RecipeError(
                "R238", f"`rendezvous` is '{self.rendezvous}'; expected HOST:PORT", "give one such as node1:29400"
            )
        if device.startswith("cuda:") and self.devices > 1:
            raise RecipeError(
                "R238",
                f"`device` is {device}, one GPU, for {self.devices} processes",
                "set `device` to cuda, and each process takes one; CUDA_VISIBLE_DEVICES chooses which there are",
            )

    def require_output(self, output: object) -> None:
        """Check that hosts that train one run are told its folder.

        Args:
            output: The run folder; None if it is not given.

        Raises:
            RecipeError: R238, there are several hosts, and it is not given.
        """
        if output is None and self.nodes != "1":
            raise RecipeError(
                "R238",
                f"`nodes` is {self.nodes}, but `output` is not given, so every host would choose a run folder",
                "give the same `output` on every host",
            )

    def _refuse_alone(self) -> None:
        for name in ("nodes", "rendezvous", "restarts"):
            value = getattr(self, name)
            if value != getattr(_DEFAULTS, name):
                raise RecipeError(
                    "R238",
                    f"`{name}` is {value}, but `devices` is not given",
                    "give `devices` as well: the number of processes of each host",
                )


_DEFAULTS = LaunchOptions()
