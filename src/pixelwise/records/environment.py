"""`environment.json`: the command, machine and package versions of a run, and what its weights were derived from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pixelwise.machine.facts import Machine
from pixelwise.ranks.options import Sharding
from pixelwise.records.json_files import read_json
from pixelwise.storage import json_text, write_text
from pixelwise.storage.names import counted

ENVIRONMENT = "environment.json"


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of a run that are not part of its recipe.

    Attributes:
        data: Folder of the data set; None for synthetic data.
        device: Training device, such as `cpu` or `cuda:0`.
        shard: Whether each of several processes keeps only a part of the weights: `auto`, `never` or `always`.
    """

    data: str | None = None
    device: str = "auto"
    shard: Sharding = "auto"


class Ancestor(msgspec.Struct, frozen=True, kw_only=True):
    """A trained network that others were derived from by learning from it, and where its weights come from.

    Attributes:
        recipe: Name of its recipe; of an encoder by itself, the encoder's name.
        step: Step of the checkpoint whose weights were used.
        weights_sha256: SHA-256 of the weights file.
        licence: Licence of imported weights, or of an encoder's; `unknown` for those that were trained here: their
            owner decides.
        encoder: The weights that its encoder began with; `none` if they were random or those of another run.
        encoder_licence: Licence of these, as stated by their publisher; empty if it is not known.
        unlabelled: Number of images without labels, of which only it said what they show.
        only_encoder: Whether it is an encoder by itself, without classes, whose weights are `encoder`.
    """

    recipe: str
    step: int
    weights_sha256: str
    licence: str = "unknown"
    encoder: str = "none"
    encoder_licence: str = ""
    unlabelled: int = 0
    only_encoder: bool = False

    @property
    def in_words(self) -> str:
        """`unet, step 300, SHA-256 0123456789abcdef; its encoder began with resnet18.a1_in1k (Apache-2.0)`."""
        if self.only_encoder:
            words = f"the encoder {self.recipe} with the weights {self.encoder}, SHA-256 {self.weights_sha256[:16]}"
            words += f", licence {self.licence}"
            images = counted(self.unlabelled, "image")
            return words + (f"; it alone said what {images} without labels show" if self.unlabelled else "")
        words = f"{self.recipe}, step {self.step:,}, SHA-256 {self.weights_sha256[:16]}"
        if self.licence != "unknown":
            words += f", licence {self.licence}"
        if self.encoder != "none":
            licence = f" ({self.encoder_licence})" if self.encoder_licence else ""
            words += f"; its encoder began with {self.encoder}{licence}"
        if self.unlabelled:
            words += f"; it alone said what {counted(self.unlabelled, 'image')} without labels show"
        return words


class Licence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Licences of a network: SPDX identifiers, `unknown`, or `none` if there is nothing to license.

    Attributes:
        weights: Licence of the weights.
        code: Licence of the original code that the network follows.
        derived_from: The networks that the weights were derived from by learning from them, whose licences may extend
            to them; left out of files if there are none.
    """

    weights: str
    code: str
    derived_from: tuple[Ancestor, ...] = ()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What pages show of it: names and values."""
        origins = [("Derived from", one.in_words) for one in self.derived_from]
        return [("Licences", f"weights: {self.weights}; original code: {self.code}"), *origins]


class StartedFrom(msgspec.Struct, frozen=True, kw_only=True):
    """The other run whose weights initialised a run.

    Attributes:
        recipe: Name of the other run's recipe.
        step: Step of the checkpoint that was loaded.
        weights_sha256: SHA-256 of the loaded weights file.
        loaded: Number of loaded tensors.
        random: Names of the tensors that kept their random values.
        derived_from: The networks that the other run's weights were derived from.
    """

    recipe: str
    step: int
    weights_sha256: str
    loaded: int
    random: tuple[str, ...] = ()
    derived_from: tuple[Ancestor, ...] = ()


class InitialWeights(msgspec.Struct, frozen=True, kw_only=True):
    """The initial weights of a run.

    Attributes:
        encoder: `initialize.encoder` of the recipe; `none` if the weights of another run took its place.
        sha256: SHA-256 of the encoder's weights, or of the file that holds them; None if there were none, or timm
            loaded its own.
        run: The other run whose weights were loaded; None if there was none.
        derived_from: The networks that the weights of the encoder were derived from, if they are those of another run.
    """

    encoder: str = "none"
    sha256: str | None = None
    run: StartedFrom | None = None
    derived_from: tuple[Ancestor, ...] = ()


class Teacher(Ancestor, frozen=True, kw_only=True):
    """A trained network that a run learns from.

    Attributes:
        derived_from: The networks that its own weights were derived from.
    """

    derived_from: tuple[Ancestor, ...] = ()

    @property
    def alone(self) -> Ancestor:
        """The teacher without those that it is derived from."""
        return Ancestor(**{name: getattr(self, name) for name in Ancestor.__struct_fields__})


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of a run. Every field has a default, because older versions wrote fewer fields.

    Attributes:
        command: Command line that repeats the training.
        arguments: Data folder and device.
        threads: CPU threads per computation; None if not recorded.
        auto_batch: Whether the batch size was chosen to fit the available memory.
        begins_with: Folder of the stage whose weights initialise the run, relative to the run folder; None if there
            is none.
        initial_weights: Weights at step 0.
        machine: Hardware; None if not recorded.
        versions: Versions of Python and of the packages that can change a result.
        plugins: Versions of the other packages whose plug-ins were loaded.
        trackers: Names of the trackers that follow the run, in addition to its own log.
        launch: Name of the launch whose processes began the run; empty if it had none.
        teachers: The trained networks that the run learns from.
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
    launch: str = ""
    teachers: tuple[Teacher, ...] = ()

    @property
    def data_folder(self) -> Path | None:
        """Folder of the data set that the run was trained on; None for synthetic data or if not recorded."""
        return Path(self.arguments.data) if self.arguments.data is not None else None

    @property
    def derived_from(self) -> tuple[Ancestor, ...]:
        """The networks that the weights were derived from: the teachers, and what they and the first weights are of."""
        start = self.initial_weights.run
        further = [one for teacher in self.teachers for one in teacher.derived_from]
        before = self.initial_weights.derived_from if start is None else start.derived_from
        return _unique([*(teacher.alone for teacher in self.teachers), *further, *before])


def read_environment(run: Path) -> Environment:
    """The recorded environment of a run; the defaults if there is no record, as for imported weights.

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


def _unique(ancestors: Iterable[Ancestor]) -> tuple[Ancestor, ...]:
    """The networks in their order, each once."""
    found: dict[str, Ancestor] = {}
    for one in ancestors:
        found.setdefault(one.weights_sha256, one)
    return tuple(found.values())
