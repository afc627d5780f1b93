"""The deploy card: a run in every form in which it could be delivered, scored and timed beside each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.checkpoints.trained import load_trained
from pixelwise.deployment.card.candidates import Made, Shape, make_artefact, plan_artefacts
from pixelwise.deployment.card.images import comparison_images
from pixelwise.deployment.card.latencies import with_latencies
from pixelwise.deployment.card.options import DeployOptions
from pixelwise.deployment.card.rows import CardRow, artefact_row, eager_rows, with_drops
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.machine.facts import Machine, machine_facts, version_facts
from pixelwise.observer import SILENT, Observer
from pixelwise.options import chosen
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable

CARD = "card.json"
FORMAT = 1


class DeployCard(msgspec.Struct, frozen=True, kw_only=True):
    """All forms of a network, and what they were measured with. The first row is the reference.

    Attributes:
        format: Version of this file; 1.
        recipe: Name of the recipe.
        recipe_hash: SHA-256 of it, resolved.
        weights_sha256: SHA-256 of the run's weights file.
        weights: `ema` (averaged) or `model`.
        source: The images that were scored and compared, in words.
        split: Name of the split that was scored; empty: the images have no labels.
        protocol: Name of the protocol; empty likewise.
        images: Number of images.
        seen_size: (height, width) of the images as the networks saw them; None: the protocol's or their own.
        shape: What the artefacts take and give, and the size that latency is measured at.
        threads: Numbers of threads that were measured.
        rounds: Measured passes of each row and number of threads; 0: latency was not measured.
        max_miou_drop: Largest drop that is allowed, in points of mIoU (percent); None: any.
        machine: The hardware that everything was measured on.
        versions: Versions of Python and of the packages that matter.
        rows: One row per form of the network.
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

    def over_budget(self) -> tuple[CardRow, ...]:
        """The rows whose mIoU drops by more than is allowed."""
        allowed = self.max_miou_drop
        if allowed is None:
            return ()
        # A drop of exactly what is allowed must not fail by rounding.
        return tuple(row for row in self.rows if row.miou_drop is not None and 100 * row.miou_drop > allowed + 1e-9)

    def check_budget(self) -> None:
        """Fail where a form loses more mIoU than is allowed.

        Raises:
            CheckpointError: K468, naming the rows.
        """
        broken = self.over_budget()
        if broken:
            found = ", ".join(f"{row.name} {100 * (row.miou_drop or 0.0):.2f}" for row in broken)
            raise CheckpointError(
                "K468",
                f"the mIoU drops by more than {self.max_miou_drop:g} points: {found}",
                "deliver another row of the card, quantize with more `calibration_images`, or train with 8-bit numbers "
                "(pixelwise train RECIPE quantization=x86-8bit --from RUN) and add qat to `int8` with that `qat_run`",
            )


def make_card(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: DeployOptions | None = None,
    *,
    observer: Observer = SILENT,
    **changes: Any,
) -> DeployCard:
    """Export a run to several formats, score and time all of them beside PyTorch.

    What cannot be made (a package is missing, an operator has no place in a format) is a row with the reason.

    Args:
        run: The run folder.
        output: Folder for the artefacts, one folder each; their results are kept in `evaluations` beside them.
        options: Which forms are made, what they are scored on, and how they are timed.
        observer: Told what is being done.
        changes: Fields of `DeployOptions` by name.

    Raises:
        RecipeError: R243 `output` holds something, R248 or R249 a contradiction between options, R250 no such target.
        CheckpointError: `run` is no run, or has no weights.
        DataError: The data cannot be opened or read.
    """
    options = chosen(DeployOptions, options, changes)
    run, folder = Path(run), Path(output)
    _refuse(folder, options)
    observer.phase("reading the run")
    trained = load_trained(run, observer.warn)
    images = comparison_images(run, trained.recipe, options)
    shape = Shape(
        size=images.latency_size,
        dynamic=images.fixed is None,
        uint8_input=options.uint8_input,
        argmax=options.argmax,
    )
    made = [make_artefact(plan, folder, observer) for plan in plan_artefacts(run, options, shape)]
    rows = [
        *eager_rows(trained, images, folder, observer),
        *(artefact_row(one, trained, images, observer) for one in made),
    ]
    rows = with_latencies(with_drops(rows), run, folder, shape.size, options.threads, options.rounds, observer)
    return DeployCard(
        recipe=trained.recipe.name,
        recipe_hash=trained.recipe.hash(),
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
    )


def _refuse(output: Path, options: DeployOptions) -> None:
    if not options.threads:
        raise RecipeError("R248", "`threads` names no number of threads", "give one number or several, such as 1")
    if output.is_dir() and any(output.iterdir()):
        raise RecipeError("R243", f"{printable(output)} is not empty", "choose another `output`")
    if options.max_miou_drop is not None and options.images is not None:
        raise RecipeError(
            "R249",
            "`max_miou_drop` needs labels, and `images` has none",
            "leave one of them out, or give labelled images as `data`",
        )


def _versions_of(made: Sequence[Made]) -> dict[str, str]:
    """The versions of the packages that made the artefacts."""
    found: dict[str, str] = {}
    for one in made:
        if one.exported is not None:
            found |= one.exported.sidecar.versions
    return found
