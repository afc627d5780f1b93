"""Deploy card: all deployable variants of a run, scored and timed side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.checkpoints.licences import licence_of_run
from pixelwise.checkpoints.trained import TrainedModel, load_trained
from pixelwise.deployment.card.candidates import PlanResult, Shape, make_artefact, plan_artefacts
from pixelwise.deployment.card.images import ComparisonImages, comparison_images
from pixelwise.deployment.card.latencies import with_latencies
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.card.rows import CardRow, artefact_row, eager_rows, with_drops
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.facts import Machine, machine_facts, version_facts
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.sizes import Size
from pixelwise.records.environment import Licence
from pixelwise.storage import printable
from pixelwise.storage.atomic import is_vacant

CARD = "card.json"
FORMAT = 1


class DeployCard(msgspec.Struct, frozen=True, kw_only=True):
    """All variants of a network and the conditions of their measurement. The first row is the reference.

    Attributes:
        format: Version of this file; 1.
        recipe: Name of the recipe.
        recipe_hash: SHA-256 of the resolved recipe.
        weights_sha256: SHA-256 of the run's weights file.
        weights: `ema` (averaged) or `model`.
        source: Description of the images that were scored and compared.
        split: Name of the evaluated split; empty if the images have no labels.
        protocol: Name of the evaluation protocol; empty if the images have no labels.
        images: Number of images.
        seen_size: (height, width) of the network's input; None: the protocol's, or each image's own.
        shape: Input and output formats of the artefacts, and the size at which latency is measured.
        threads: Numbers of threads that latency was measured with.
        rounds: Timed passes per row and number of threads; 0: latency was not measured.
        max_miou_drop: Largest allowed drop in points of mIoU (percent); None: any.
        machine: Hardware of all measurements.
        versions: Versions of Python and the relevant packages.
        rows: One row per variant of the network.
        licence: Licences of the run's weights and of the code, and the networks that the weights were derived from;
            None in cards of earlier versions.
    """

    format: int = FORMAT
    recipe: str
    recipe_hash: str
    weights_sha256: str
    weights: str
    source: str
    split: str
    protocol: str
    images: int
    seen_size: Size | None
    shape: Shape
    threads: tuple[int, ...]
    rounds: int
    max_miou_drop: float | None
    machine: Machine
    versions: dict[str, str]
    rows: tuple[CardRow, ...]
    licence: Licence | None = None

    def over_budget(self) -> tuple[CardRow, ...]:
        """The rows whose mIoU drops by more than `max_miou_drop`."""
        allowed = self.max_miou_drop
        if allowed is None:
            return ()
        # A drop of exactly the allowed amount must not fail because of rounding.
        return tuple(row for row in self.rows if row.miou_drop is not None and 100 * row.miou_drop > allowed + 1e-9)

    def check_budget(self) -> None:
        """Raise an error if a variant loses more mIoU than `max_miou_drop`.

        Raises:
            CheckpointError: K468; the message names the rows.
        """
        broken = self.over_budget()
        if broken:
            found = ", ".join(f"{row.name} {100 * (row.miou_drop or 0.0):.2f}" for row in broken)
            raise CheckpointError(
                "K468",
                f"the mIoU drops by more than {self.max_miou_drop:g} points: {found}",
                "deploy another row of the card, quantize with more `calibration_images`, or train with quantization "
                "(pixelwise train RECIPE quantization=x86-8bit initialize.run=RUN), add qat to `int8` and give that "
                "run as `qat_run`",
            )


def make_card(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DeployOptions | None = None,
    *,
    named: str | os.PathLike[str] | None = None,
    observer: Observer = SILENT,
    **changes: Any,
) -> DeployCard:
    """Export a run to several formats, and score and time all of them beside PyTorch.

    If an artefact cannot be made (a package is missing, a format does not support an operator), its row has the reason.

    Args:
        run: The run folder.
        output: Folder for the artefacts, with one subfolder each, which also holds the artefact's `evaluations`.
        options: Variants to make, images to score them on, and settings of the timing.
        named: Where `output` will be found later, for the texts that name it; None if it stays there.
        observer: Receives progress and warnings.
        changes: Fields of `DeployOptions` by name.

    Raises:
        RecipeError: R243 `output` is not empty; R248, R249, R251 options contradict each other; R250 no such target.
        CheckpointError: `run` is not a run, or has no weights.
        DataError: The data cannot be opened or read.
    """
    options = chosen(DeployOptions, options, changes)
    run, folder = run_path(run, observer.warn), Path(output)
    if options.qat_run is not None:
        options = msgspec.structs.replace(options, qat_run=run_path(options.qat_run, observer.warn))
    named = folder if named is None else Path(named)
    _refuse(options)
    refuse_occupied(folder)
    observer.phase("reading the run")
    trained = load_trained(run, observer.warn)
    images = comparison_images(run, trained.recipe, options, observer.warn)
    shape = _shape(images, options)
    made = [make_artefact(plan, folder, observer) for plan in plan_artefacts(run, options, shape)]
    licence = licence_of_run(run, trained.recipe)
    rows = [
        *eager_rows(trained, images, folder, observer, licence.derived_from),
        *(artefact_row(one, trained, images, named / one.plan.name, observer) for one in made),
    ]
    rows = with_latencies(with_drops(rows), run, folder, shape.size, options.threads, options.rounds, observer)
    rows = [_renamed(row, folder, named) for row in rows]
    return _card(trained, licence, images, shape, options, made, rows)


def _shape(images: ComparisonImages, options: DeployOptions) -> Shape:
    return Shape(
        size=images.latency_size,
        dynamic=images.fixed is None,
        uint8_input=options.uint8_input,
        argmax=options.argmax,
    )


def _card(
    trained: TrainedModel,
    licence: Licence,
    images: ComparisonImages,
    shape: Shape,
    options: DeployOptions,
    made: Sequence[PlanResult],
    rows: Sequence[CardRow],
) -> DeployCard:
    return DeployCard(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe_hash,
        weights_sha256=trained.weights_sha256,
        weights=trained.weights,
        source=images.source,
        split=images.split,
        protocol=images.protocol.name if images.dataset is not None else "",
        images=images.count,
        seen_size=images.fixed,
        shape=shape,
        threads=tuple(options.threads),
        rounds=options.rounds,
        max_miou_drop=options.max_miou_drop,
        machine=machine_facts(),
        versions=version_facts() | _versions_of(made),
        rows=tuple(rows),
        licence=licence,
    )


def refuse_occupied(output: Path) -> None:
    """Refuse a card's folder that is not empty.

    Raises:
        RecipeError: R243.
    """
    if not is_vacant(output):
        raise RecipeError("R243", f"{printable(output)} is not empty", "choose another `output`")


def _refuse(options: DeployOptions) -> None:
    options.refuse_two_sources("split")
    if not options.threads:
        raise RecipeError("R248", "`threads` is empty", "give one or more numbers of threads, such as 1")
    if options.max_miou_drop is not None and options.images is not None:
        raise RecipeError(
            "R249",
            "`max_miou_drop` needs labels, and `images` has none",
            "leave out `max_miou_drop` or `images`, or give labelled images as `data`",
        )


def _renamed(row: CardRow, folder: Path, named: Path) -> CardRow:
    """The row with a reason that names the files where they will be found."""
    return msgspec.structs.replace(row, reason=row.reason.replace(printable(folder), printable(named)))


def _versions_of(made: Sequence[PlanResult]) -> dict[str, str]:
    """Versions of the packages that wrote the artefacts."""
    found: dict[str, str] = {}
    for one in made:
        if one.exported is not None:
            found |= one.exported.sidecar.versions
    return found
