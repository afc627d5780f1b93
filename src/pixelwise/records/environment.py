"""`environment.json`: by which command, on which machine and with which versions a run was made."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.machine.facts import Machine
from pixelwise.records.json_files import read_json
from pixelwise.storage import json_text, write_text

ENVIRONMENT = "environment.json"


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of a run that its recipe does not hold.

    Attributes:
        data: Folder of the data set; None: the data is synthetic.
        device: The device the run trains on, such as `cpu` or `cuda:0`.
    """

    data: str | None = None
    device: str = "auto"


class StartedFrom(msgspec.Struct, frozen=True, kw_only=True):
    """The other run whose weights a run began with.

    Attributes:
        recipe: Name of the other run's recipe.
        step: Step of the checkpoint that was taken.
        weights_sha256: SHA-256 of its weights file.
        loaded: Number of tensors that were taken.
        random: Names of the tensors that kept their random values.
    """

    recipe: str
    step: int
    weights_sha256: str
    loaded: int
    random: tuple[str, ...] = ()


class InitialWeights(msgspec.Struct, frozen=True, kw_only=True):
    """The weights that a run began with.

    Attributes:
        encoder: `initialize.encoder` of the recipe.
        sha256: SHA-256 of the encoder's weights; None: there were none, or they are timm's own.
        run: The other run it began with, if it did.
    """

    encoder: str = "none"
    sha256: str | None = None
    run: StartedFrom | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """With what a run was made. Every field has a default, since older versions wrote fewer of them.

    Attributes:
        command: The command line that trains the same.
        arguments: Where the data is, and on which device the run trains.
        threads: CPU threads of one computation; None: not recorded.
        auto_batch: Whether the batch size was chosen by the available memory.
        begins_with: Folder, relative to the run's, of the stage whose weights the run begins with.
        initial_weights: The weights of step 0.
        machine: The hardware; None: not recorded.
        versions: Versions of Python and of the packages that can change a result.
        plugins: Versions of the other packages whose plug-ins were loaded.
        trackers: Names of the trackers that watch the run, beside its own log.
    """

    command: str = ""
    arguments: Arguments = Arguments()
    threads: int | None = None
    auto_batch: bool = False
    begins_with: str | None = None
    initial_weights: InitialWeights = InitialWeights()
    machine: Machine | None = None
    versions: dict[str, str] = {}
    plugins: dict[str, str] = {}
    trackers: tuple[str, ...] = ()

    @property
    def data_folder(self) -> Path | None:
        """Folder of the data set the run was trained on; None: the data is synthetic, or nothing is known of it."""
        return Path(self.arguments.data) if self.arguments.data is not None else None


def read_environment(run: Path) -> Environment:
    """What is recorded of a run's environment; the defaults where nothing is, as of imported weights.

    Raises:
        CheckpointError: K423, the file is damaged.
    """
    return read_json(run / ENVIRONMENT, Environment)


def write_environment(run: Path, environment: Environment) -> None:
    """Write `environment.json`.

    Raises:
        ResourceError: S601, the disk is full.
    """
    write_text(run / ENVIRONMENT, json_text(environment))
