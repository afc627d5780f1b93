"""Runs a function in several processes at once, each of which sees the others through `Ranks`.

The processes are forked from one that has imported torch and done nothing else: autograd refuses to work in a fork of a
process in which it has worked. Each has one thread. What a test has changed in its own process is not changed in them.
"""

from __future__ import annotations

import importlib
import marshal
import multiprocessing
import os
import pickle
import tempfile
import traceback
import types
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from pixelwise.ranks import Ranks
from pixelwise.ranks.group import Group

PATIENCE = 240.0
"""Seconds after which processes that wait for each other have failed."""


def in_ranks(world: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What `work` returns in each of `world` processes; it may be a closure.

    Raises:
        AssertionError: A process failed or did not end; with its traceback.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pixelwise.training.runs", "pixelwise.ranks.group", "timm"])
    packed = _packed(work)
    with tempfile.TemporaryDirectory() as folder:
        pipes, processes = [], []
        for rank in range(world):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_begin, args=(rank, world, os.path.join(folder, "store"), packed, sender))
            process.start()
            sender.close()
            pipes.append(receiver)
            processes.append(process)
        answers: list[tuple[bool, Any]] = []
        try:
            for receiver in pipes:
                if not receiver.poll(PATIENCE):
                    answers.append((False, "no answer: it waits for the others"))
                    break
                answers.append(pickle.loads(receiver.recv_bytes()))
        except EOFError:
            answers.append((False, "it ended without an answer"))
        finally:
            for process in processes:
                process.join(1 if len(answers) == world else 0)
                process.kill()
                process.join()
    failed = [f"rank {rank}: {answer}" for rank, (fine, answer) in enumerate(answers) if not fine]
    assert not failed, "\n".join(failed)
    return [answer for _, answer in answers]


def _begin(rank: int, world: int, store: str, packed: Any, sender: Any) -> None:
    torch.set_num_threads(1)
    # What a launcher sets, for code that joins the others by itself.
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
    }
    try:
        dist.init_process_group(
            "gloo",
            store=dist.FileStore(store, world),
            rank=rank,
            world_size=world,
            timeout=timedelta(seconds=PATIENCE / 2),
        )
        work = _unpacked(packed)
        answer = True, work(Group(local_rank=rank, local_world=world, timeout=timedelta(seconds=PATIENCE / 2)))
    except BaseException:
        answer = False, traceback.format_exc()
    sender.send_bytes(pickle.dumps(answer))  # tensors as copies, and not as shared memory
    sender.close()
    os._exit(0)  # without what the parent registered to be done at its own end


def _packed(value: Any) -> Any:
    """A value that pickle can store: functions, which may be closures, as their code and what they have closed over."""
    if not isinstance(value, types.FunctionType):
        return value
    cells = [_packed(cell.cell_contents) for cell in value.__closure__ or ()]
    return _Function(value.__module__, value.__name__, marshal.dumps(value.__code__), value.__defaults__, cells)


def _unpacked(value: Any) -> Any:
    if not isinstance(value, _Function):
        return value
    names = vars(importlib.import_module(value.module))
    cells = tuple(types.CellType(_unpacked(cell)) for cell in value.cells)
    return types.FunctionType(marshal.loads(value.code), names, value.name, value.defaults, cells)


class _Function(NamedTuple):
    """A function on its way to another process."""

    module: str
    name: str
    code: bytes
    defaults: tuple[Any, ...] | None
    cells: list[Any]
