"""Joining the other processes of a launcher: `torchrun`, or any that sets the same variables."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pixelwise.errors import RecipeError
from pixelwise.machine.facts import version_facts
from pixelwise.machine.launched import VARIABLES, hosts, local_rank, local_world, restarts, world_size
from pixelwise.machine.network import interface_of, own_address
from pixelwise.ranks.alone import ALONE, Ranks

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """The processes that a launcher started, once all of them are here; `ALONE` if there are no others.

    Args:
        device: Device of this process.

    Raises:
        RecipeError: R238, a variable that the launcher should have set is missing, or the hosts have other versions.
    """
    if world_size() == 1:
        yield ALONE
        return
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise RecipeError(
            "R238",
            f"WORLD_SIZE is {world_size()}, but {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
            "start the processes with torchrun, or unset WORLD_SIZE to train with one process",
        )
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    from pixelwise.ranks.group import TIMEOUT, Group

    begins = not dist.is_initialized()
    if begins:
        _choose_interface()
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        if device.type == "cuda":
            # What names no device, such as pinning memory, would make every process keep a context on the first GPU.
            torch.cuda.set_device(device)
        store, rank, world = next(rendezvous("env://", timeout=TIMEOUT))
        if hosts() == 1:
            # `torchrun` keeps what the processes before have written there, such as where they could be reached. Hosts
            # count restarts differently: there, only TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 helps.
            store = dist.PrefixStore(f"restart-{restarts()}", store)  # pyright: ignore[reportPrivateImportUsage]
        dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
        # Only at the end: the score after a training is that of all processes, too.
        atexit.register(_leave)
    group = Group(local_rank(), local_world())
    if begins:
        _refuse_mixed_versions(group.gather_objects(version_facts()))
    yield group


def _choose_interface() -> None:
    """Let gloo use the network that leads to the first process, unless somebody has chosen one.

    Left alone, it takes that of the host's own name, which on many systems is the loopback interface.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ or hosts() == 1:
        return
    address = own_address(os.environ["MASTER_ADDR"])
    interface = interface_of(address) if address is not None else None
    if interface is not None:
        os.environ["GLOO_SOCKET_IFNAME"] = interface


def _refuse_mixed_versions(versions: list[dict[str, str]]) -> None:
    """Refuse processes, of several hosts, whose code differs: they would compute different things.

    Args:
        versions: Package -> version, for each process.

    Raises:
        RecipeError: R238, a version differs.
    """
    for name in versions[0]:
        found = [one.get(name, "unknown") for one in versions]
        other = next((rank for rank, one in enumerate(found) if one != found[0]), None)
        if other is not None:
            raise RecipeError(
                "R238",
                f"{name} is {found[0]} in process 0, but {found[other]} in process {other}",
                "install the same versions on all hosts",
            )


def has_lost_others(error: BaseException) -> bool:
    """Whether an error means that another process is gone, which is to blame."""
    dist = sys.modules.get("torch.distributed")
    if dist is None or not isinstance(error, RuntimeError):
        return False
    # Gloo raises a plain RuntimeError, whose text begins with the place in its source.
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def _leave() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
