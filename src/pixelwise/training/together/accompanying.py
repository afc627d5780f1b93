"""The processes that train beside the first one.

The first process looks at the data, plans, writes and speaks to the user. It tells the others what it begins: the run,
one of its stages, or nothing more. They build the same network and take part in every step.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch

from pixelwise.errors import PixelwiseError, ResourceError
from pixelwise.machine.launched import hosts
from pixelwise.machine.threads import default_threads
from pixelwise.observer import SILENT
from pixelwise.ranks import Ranks
from pixelwise.recipes.schema.recipe import Initialize, Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.exits import read_exit, write_exit
from pixelwise.records.log import ProcessesRecord, append_log, read_log
from pixelwise.training.distillation.unlabelled import open_again
from pixelwise.training.session import work
from pixelwise.training.setup import PreparedRun, prepare_run, use_processor
from pixelwise.training.together.division import Division


class Begun(msgspec.Struct, frozen=True):
    """What the first process begins.

    Attributes:
        recipe: The resolved recipe, with nothing left to choose.
        facts: Recorded facts about the data.
        run: The run folder, which all processes see.
        environment: The recorded environment of the run.
    """

    recipe: Recipe
    facts: DataFacts
    run: Path
    environment: Environment


class Ended(msgspec.Struct, frozen=True):
    """What the first process says at last.

    Attributes:
        run: The run folder.
        error: The error that ended it; None if it came to its end.
    """

    run: Path
    error: PixelwiseError | None = None


def tell_begin(prepared: PreparedRun, run: Path, environment: Environment, ranks: Ranks) -> None:
    """Tell the other processes what the first one begins, before it calls `session.work`."""
    ranks.told(Begun(prepared.recipe, prepared.facts, run.absolute(), environment))


def record_processes(run: Path, division: Division, prepared: PreparedRun, *, divided: bool) -> None:
    """Write into the log how many processes train from here on, unless it was and stays one.

    Args:
        run: The run folder.
        division: How they divide a step.
        prepared: The run, at its beginning or restored.
        divided: Whether each keeps only a part of the weights.
    """
    if division.kind != "alone" or read_log(run).of(ProcessesRecord):
        record = ProcessesRecord(
            step=prepared.state.progress.step,
            world=division.ranks.world,
            hosts=hosts(),
            division=division.kind,
            device=prepared.state.device.type,
            sharded=divided,
        )
        append_log(run, [record])


@contextlib.contextmanager
def leading(ranks: Ranks, run: Path) -> Iterator[None]:
    """Context of what the first process does: the others learn how it ends, and `exit.json` says it to the launcher.

    Args:
        ranks: The processes.
        run: The run folder.
    """
    error: PixelwiseError | None = None
    try:
        yield
    except PixelwiseError as found:
        error = found
        raise
    finally:
        # Any other exception ends this process, and with it, through the launcher, all of them.
        if error is not None or sys.exc_info()[0] is None:
            # One process that is left, or goes on alone, must not leave behind how several have ended.
            if run.is_dir() and (ranks.world > 1 or read_exit(run) is not None):
                write_exit(run, error)
            ranks.told(Ended(run.absolute(), error))


def accompany(ranks: Ranks, device: torch.device) -> Path:
    """Take part in what the first process begins, until it ends; returns the run folder.

    Raises:
        PixelwiseError: The error that ended the first process.
    """
    while True:
        told: object = ranks.told(None)
        if isinstance(told, Ended):
            if told.error is not None:
                raise told.error
            return told.run
        if not isinstance(told, Begun):
            raise TypeError(f"the first process told {told!r}; expected what it begins")
        # An error of all processes is told by the first one, too; one of this process alone ends it.
        with contextlib.suppress(_Common):
            try:
                _take_part(told, ranks, device)
            except ResourceError:
                raise
            except PixelwiseError as error:
                raise _Common from error


class _Common(Exception):
    """An error that all processes have."""


def _take_part(begun: Begun, ranks: Ranks, device: torch.device) -> None:
    recipe, environment = begun.recipe, begun.environment
    use_processor(device, environment.threads or default_threads())
    dataset = open_again(recipe, environment.data_folder, begun.facts, begun.run)
    # All weights come from the first process.
    start = Initialize(freeze=recipe.initialize.freeze, adapter=recipe.initialize.adapter)
    bare = msgspec.structs.replace(recipe, initialize=start)
    prepared = prepare_run(bare, dataset, begun.facts, begun.run, device, SILENT, None)
    work(prepared._replace(recipe=recipe), begun.run, environment, SILENT, ranks)
