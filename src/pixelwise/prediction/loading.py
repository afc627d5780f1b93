"""Loading of run folders and exported artefacts for prediction."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pixelwise.checkpoints.hub.resolving import run_path
from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.overrides import overridden
from pixelwise.datasets.samples import Reading
from pixelwise.errors import PixelwiseError, RecipeError
from pixelwise.observer import SILENT, Observer, Warn
from pixelwise.prediction.deviations import Once
from pixelwise.prediction.rules import rules_of
from pixelwise.prediction.segmenter import Segmenter, through_windows
from pixelwise.recipes.overrides import Overrides
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.sizes import Size
from pixelwise.records.data_facts import read_data_facts
from pixelwise.runtimes import is_artefact
from pixelwise.runtimes.opened import Artefact, open_artefact
from pixelwise.runtimes.packages import TRAIN, has_torch, require
from pixelwise.runtimes.plain import PlainArtefact
from pixelwise.storage import printable

if TYPE_CHECKING:
    import torch

    from pixelwise.runtimes.artefact import ArtefactModel


def load(
    run: str | os.PathLike[str],
    *,
    device: str | torch.device | None = None,
    window: Size | None = None,
    overrides: Overrides = (),
    trust: bool = False,
    threads: int | None = None,
    observer: Observer = SILENT,
    warn: Warn | None = None,
) -> Segmenter:
    """Load the result of a run, ready to predict images as its recipe's first protocol evaluates them.

    Args:
        run: A run folder, or an exported artefact: its folder or its file, such as `model.onnx`; or either on the
            Hugging Face Hub, `hub://OWNER/NAME`. An artefact predicts as its description says; one of a fixed size sees
            images of other sizes through windows of that size.
        device: Device to run on; None for a GPU if there is one. Artefacts always run on the CPU.
        window: (height, width) of sliding windows that overlap by a quarter; None to do as the protocol says.
        overrides: Settings for reading images that differ from those of the training, such as
            `data.input_range=[0, 65535]`; see `pixelwise.datasets.reading.overrides`.
        trust: Whether whoever made the artefact may run code here; a `torch.export` artefact is not opened without it.
        threads: Threads of an artefact's runtime; None for one per core. A run uses those of PyTorch.
        observer: Receives a warning if a damaged checkpoint was skipped, and, while an artefact predicts, the first of
            each kind of warning that its masks can differ from the run's (W471 to W475).
        warn: Function that receives the code and message of these warnings instead.

    Raises:
        CheckpointError: The folder is not a run or has no valid checkpoint; K490 to K496, what is on the hub
            cannot be fetched; K462 or K463, the artefact is damaged; K470 to K472, it contradicts itself, or is not
            safe to open.
        RecipeError: R240, the package that runs the artefact is not installed; R251, `window` is given for an artefact
            of a fixed size; R201, R203 or R285, an override is malformed, has a wrong value or does not concern the
            reading of images.
    """
    run = run_path(run, warn or observer.warn)
    if is_artefact(run):
        artefact = open_artefact(run, _kind(), threads, trust=trust)
        segmenter = _exported(run, artefact, window, overrides)
        segmenter.warn, segmenter.observer = Once(warn or observer.warn), observer
        return segmenter
    require("torch", f"predicting with a run ({printable(run)}) rather than an exported network", TRAIN)
    from pixelwise.checkpoints.trained import load_trained
    from pixelwise.machine.devices import choose_device

    trained = load_trained(run, warn or observer.warn)
    protocol = find_protocol(trained.recipe.evaluation.protocols[0])
    segmenter = Segmenter(
        trained.model,
        palette=trained.palette,
        input_size=protocol.seen_size(trained.recipe.evaluation.input_size),
        device=choose_device(device),
        reading=overridden(Reading.of(trained.recipe.data), overrides, trained.model.preprocessing.in_channels),
        protocol=protocol if window is None else through_windows(protocol, window),
    )
    segmenter.label_table, segmenter.observer = recorded_table(trained.recipe.data), observer
    segmenter.training_scale = _training_scale(segmenter, run)
    return segmenter


def _training_scale(segmenter: Segmenter, run: Path) -> float | None:
    """Factor by which the network saw the sides of most images of its training; None if they are not recorded."""
    try:
        height, width = read_data_facts(run).usual_image
    except PixelwiseError:
        return None
    seen = segmenter.seen_size((height, width)) if height and width else (0, 0)
    return math.sqrt(seen[0] * seen[1] / (height * width)) if all(seen) else None


def recorded_table(data: Data) -> LabelTable | None:
    """The label table that a recipe records; None if its labels were drawn from annotations, or it records none.

    Args:
        data: The data section of a run's recipe.
    """
    if data.labels is not None or data.multilabel:
        return None
    ids = {int(raw): class_id for raw, class_id in (data.label_map or {}).items()}
    if data.mask_threshold is not None and not ids and not data.colors:
        ids = {0: 0, 1: 1}
    table = table_of(ids, data.colors)
    return msgspec.structs.replace(table, threshold=data.mask_threshold, from_alpha=data.mask_channel == "alpha")


def _kind() -> type[ArtefactModel] | type[PlainArtefact]:
    """What computes around an artefact's runtime: PyTorch, if it is there."""
    if not has_torch():
        return PlainArtefact
    from pixelwise.runtimes.artefact import ArtefactModel

    return ArtefactModel


def _exported(path: Path, model: ArtefactModel | PlainArtefact, window: Size | None, overrides: Overrides) -> Segmenter:
    sidecar = model.sidecar
    rules = rules_of(sidecar, sidecar.resolved_recipe(path) if sidecar.inference is None else None)
    protocol = rules.protocol
    if window is not None:
        if model.fixed_size is not None:
            height, width = model.fixed_size
            raise RecipeError(
                "R251",
                f"`window` does not apply to {printable(path)}, which takes only images of {width}x{height}",
                "leave `window` out, or export the run again with `dynamic`",
            )
        protocol = through_windows(protocol, window)
    segmenter = Segmenter(
        model,
        palette=sidecar.palette,
        input_size=rules.input_size,
        device="cpu",
        reading=overridden(rules.reading, overrides, model.preprocessing.in_channels),
        protocol=protocol,
    )
    segmenter.label_table = _table_of_artefact(model, path)
    segmenter.exact = rules.inference.resize == "exact"
    segmenter.run_size, segmenter.run_protocol = rules.run_size, rules.run_protocol
    segmenter.whole_pixels, segmenter.large_window = rules.inference.whole_pixels, rules.inference.large_window
    return segmenter


def _table_of_artefact(model: Artefact, path: Path) -> LabelTable | None:
    """The label table of an artefact's run; None if its description does not hold it: most predictions need none."""
    try:
        return recorded_table(model.sidecar.data_section(path))
    except PixelwiseError:
        return None
