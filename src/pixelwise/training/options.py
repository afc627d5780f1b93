"""Options of `train` and `resume`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from pixelwise.errors import RecipeError
from pixelwise.ranks.options import LaunchOptions, Sharding
from pixelwise.recipes.overrides import field_of, toml_value, words_of
from pixelwise.recipes.sizes import Size

SHORTHANDS = {
    "epochs": "schedule.epochs",
    "batch": "sampling.batch_size",
    "size": "augment.crop",
    "lr": "optimizer.lr",
    "seed": "sampling.seed",
    "workers": "data.workers",
    "weights": "initialize.encoder",
    "begin": "initialize.run",
}
"""Option of `train` and `resume` -> the field of the recipe that it sets, as an override would."""
_SAME = {"schedule.epochs": ("schedule.epochs", "schedule.iterations")}
"""Field -> the fields whose overrides would decide the same."""


class TrainOptions(LaunchOptions, frozen=True, kw_only=True):
    """Options of `train`.

    Attributes:
        overrides: Changes to the recipe, such as `optimizer.lr=0.02`.
        epochs: Passes over the training images; as the override `schedule.epochs`.
        batch: Images per batch; as `sampling.batch_size`.
        size: Size of the crops that the network is trained on: WIDTHxHEIGHT on the command line, (height, width) in
            Python; as `augment.crop`.
        lr: Learning rate; as `optimizer.lr`.
        seed: Seed of initial weights, order and augmentation; as `sampling.seed`.
        seeds: Train several runs that differ in their seed alone, one after another, in OUTPUT/seed-0, ..., and
            summarise them: their number, or the seeds themselves, such as 0,3,7. `resume` continues all of them.
            `minutes` is the time of each run: the first one measures, and the others do as many steps.
        workers: Processes that load images; as `data.workers`.
        weights: Initial weights of the encoder: `none`, `default` (timm's default weights), their name in timm
            with its tag, or the path of a weights file. Left out, the recipe decides.
        begin: Run folder, or hub://OWNER/NAME, whose trained weights initialise the whole network; no weights of the
            encoder are then loaded.
        minutes: Minutes that the run may take, from its start to its score: the number of steps follows the speed of
            this machine, which is measured first. Left out, the recipe decides.
        auto_batch: Choose the largest batch size that fits into memory; gradients of smaller batches are accumulated,
            so the number of images per step stays that of the recipe.
        device: Device to train on: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`.
        threads: Number of CPU threads per operation. Left out, OMP_NUM_THREADS decides, else one per usable core.
        track: Tracker that the run is sent to: `tensorboard`, `mlflow`, `wandb`, `trackio`, or one of an installed
            package; may be given several times. The run's own logs, RUN/log.jsonl and RUN/log.csv, are always written.
        evaluate: Score the result under every protocol of the recipe and write RUN/report.html at the end.
        shard: Whether each of several processes keeps only a part of the weights, which needs less memory and more
            traffic: `auto` (networks of more than 300 million parameters), `never` or `always`.
    """

    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    epochs: Annotated[int, Meta(ge=1)] | None = None
    batch: Annotated[int, Meta(ge=1)] | None = None
    size: Annotated[Size | None, Meta(extra={"metavar": "WIDTHxHEIGHT"})] = None
    lr: float | None = None
    seed: Annotated[int, Meta(ge=0)] | None = None
    seeds: Annotated[
        tuple[Annotated[int, Meta(ge=0)], ...] | None,
        Meta(extra={"metavar": "N|N,N,...", "repeats": True}),  # 3,3 is not 3, which is the number of seeds
    ] = None
    workers: Annotated[int, Meta(ge=0)] | None = None
    weights: str | None = None
    begin: Annotated[Path | None, Meta(extra={"flag": "--from"})] = None
    minutes: Annotated[float, Meta(ge=0.1)] | None = None
    auto_batch: bool = False
    device: str = "auto"
    threads: Annotated[int, Meta(ge=1)] | None = None
    track: Annotated[tuple[str, ...], Meta(extra={"many": True, "metavar": "NAME"})] = ()
    evaluate: bool = True
    shard: Sharding = "auto"

    def all_overrides(self) -> list[str]:
        """The overrides, followed by those that the options stand for.

        Raises:
            RecipeError: R261, an option and an override set the same field; R202 or R262, an override names no field
                or several.
        """
        return with_shorthands(self, words_of(self.overrides), SHORTHANDS)

    def several_seeds(self) -> tuple[int, ...]:
        """The seeds of several runs; empty if a single one is asked for.

        Raises:
            RecipeError: R305, they are fewer than two, or a single seed is given, too.
        """
        if self.seeds is None:
            return ()
        seeds, given = self.seeds, ",".join(map(str, self.seeds))
        if twice := [str(seed) for seed, number in Counter(seeds).items() if number > 1]:
            raise RecipeError(
                "R305",
                f"`seeds` is {given}, which has {', '.join(twice)} twice: runs of one seed are the same",
                "give each seed once, or their number alone, such as 3",
            )
        if len(seeds) == 1:
            seeds = tuple(range(seeds[0]))
        if len(seeds) < 2:
            raise RecipeError(
                "R305",
                f"`seeds` is {given}, which is {'one seed' if seeds else 'no seed'}; expected two seeds or more",
                "give their number, such as 3, or the seeds themselves, such as 0,3,7; for a single run `seed`",
            )
        if any(field_of(word) == "sampling.seed" for word in self.all_overrides()):
            raise RecipeError(
                "R305",
                "`seeds` sets sampling.seed of each run, and a single seed is given, too",
                "leave out one of the two",
            )
        return seeds


class ResumeOptions(LaunchOptions, frozen=True, kw_only=True):
    """Options of `resume`.

    Attributes:
        overrides: Changes of length or use of the machine, such as `schedule.epochs=400` or `data.workers=4`. If the
            run so far differs from that of an undisturbed run of the new length, this is said (W510) and recorded.
        epochs: New length in passes over the training images; as the override `schedule.epochs`.
        workers: Processes that load images; as `data.workers`.
        data: Folder of the data set, if it was moved since the run began.
        device: Device to train on: `auto`, `cpu`, `cuda` or `cuda:N`. Left out, the device the run last used.
        track: Tracker that the run is sent to; may be given several times. Left out, the trackers of the run so far.
        evaluate: Score the result under every protocol of the recipe and write RUN/report.html at the end.
        shard: Whether each of several processes keeps only a part of the weights: `auto`, `never` or `always`. Left
            out, as the run last did.
    """

    overrides: Annotated[tuple[str, ...], Meta(extra={"hidden": True})] = ()
    epochs: Annotated[int, Meta(ge=1)] | None = None
    workers: Annotated[int, Meta(ge=0)] | None = None
    data: Path | None = None
    device: str | None = None
    track: Annotated[tuple[str, ...] | None, Meta(extra={"many": True, "metavar": "NAME"})] = None
    evaluate: bool = True
    shard: Sharding | None = None

    def all_overrides(self) -> list[str]:
        """The overrides, followed by those that the options stand for.

        Raises:
            RecipeError: R261, an option and an override set the same field; R202 or R262, an override names no field
                or several.
        """
        return with_shorthands(self, words_of(self.overrides), SHORTHANDS)


def with_shorthands(
    options: TrainOptions | ResumeOptions, overrides: list[str], shorthands: Mapping[str, str]
) -> list[str]:
    """Overrides, followed by those that the options stand for.

    Args:
        options: The options; those that are None or that the struct lacks stand for nothing.
        overrides: The overrides that were given.
        shorthands: Option -> the field of the recipe that it sets.

    Raises:
        RecipeError: R261, an option and an override set the same field; R202 or R262, an override names no field or
            several.
    """
    added = []
    for option, field in shorthands.items():
        value = getattr(options, option, None)
        if value is None:
            continue
        twice = [word for word in overrides if field_of(word) in _SAME.get(field, (field,))]
        if twice:
            raise RecipeError(
                "R261",
                f"`{option}` sets {field}, and {twice[0]} is given, too",
                f"leave out one of the two; without `{option}`, the override alone decides",
            )
        added.append(f"{field}={_text_of(value)}")
    return [*overrides, *added]


def _text_of(value: Any) -> str:
    """The value of an option as that of an override."""
    if isinstance(value, str | Path):
        return str(value)  # as it was typed: `none` unsets, and a path is not quoted
    if isinstance(value, tuple) and all(isinstance(one, Path) for one in value):
        names = list(map(str, value))
        return toml_value(names[0] if len(names) == 1 else names)
    return toml_value(value)
