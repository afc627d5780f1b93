"""Rules of prediction: from a recipe to an artefact's description, and from a description to a segmenter's settings."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pixelwise.datasets.samples import Reading
from pixelwise.prediction.segmenter import WHOLE_PIXELS, WINDOW, single_pass
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.inference import Blend, Inference, Resize, Scoring, fitted_to, plain_protocol
from pixelwise.runtimes.sidecar import Sidecar


def inference_of(recipe: Recipe, fixed: Size | None = None, *, gives_scores: bool = True) -> Inference:
    """How a run of this recipe predicts an image, for the description of an artefact.

    An artefact of one size sees images at the size at which the run sees them, through windows of its own size. Only if
    the recipe's protocol brings every image to exactly that size, the artefact does so too.

    Args:
        recipe: The recipe.
        fixed: (height, width) of the artefact's input; None: any.
        gives_scores: Whether the artefact returns logits, not class ids.

    Raises:
        RecipeError: R204, the recipe's first protocol is unknown.
    """
    data, protocol = recipe.data, single_pass(find_protocol(recipe.evaluation.protocols[0]))
    wanted = protocol.seen_size(recipe.evaluation.input_size)
    exact = is_exact(protocol, recipe.evaluation.input_size, fixed)
    seen = protocol if exact else fitted_to(protocol, fixed)
    kind: Resize = "exact" if exact else "fit" if protocol.fit is not None else "none" if wanted is None else "area"
    blend: Blend = seen.blend if gives_scores else "central"
    return Inference(
        exif=data.exif,
        alpha=data.alpha,
        channels=data.channels,
        input_range=data.input_range,
        max_pixels=data.max_pixels,
        resize=kind,
        size=wanted,
        shorter_side=None if protocol.fit is None else protocol.fit[0],
        longer_side=None if protocol.fit is None else protocol.fit[1],
        resampling=protocol.resampling,
        pad_to=seen.pad_to,
        window=seen.window,
        window_stride=seen.window_stride or seen.window,
        even_windows=seen.even_windows,
        blend=blend,
        whole_pixels=WHOLE_PIXELS,
        large_window=WINDOW,
        multilabel=data.multilabel,
    )


def is_exact(protocol: Protocol, input_size: Size | None, fixed: Size | None) -> bool:
    """Whether a protocol brings every image to the only size that an artefact takes, and shows it whole.

    Args:
        protocol: The protocol, without scales and flips.
        input_size: The recipe's `evaluation.input_size`.
        fixed: (height, width) of the artefact's input; None: any.
    """
    seen = protocol.seen_size(input_size)
    return fixed is not None and seen == fixed and protocol.one_look and protocol.pad_to is None


def resizes_logits(recipe: Recipe) -> bool:
    """Whether a run of this recipe enlarges logits to masks of another size than that at which it sees the images.

    Where images are padded, classes are decided at the size of the padded input instead.

    Args:
        recipe: The recipe.

    Raises:
        RecipeError: R204, the recipe's first protocol is unknown.
    """
    protocol = single_pass(find_protocol(recipe.evaluation.protocols[0]))
    resizes = protocol.fit is not None or protocol.seen_size(recipe.evaluation.input_size) is not None
    return resizes and protocol.argmax_at == "score"


def scoring_of(recipe: Recipe) -> Scoring:
    """How a run of this recipe is scored, for the description of an artefact."""
    evaluation = recipe.evaluation
    return Scoring(
        split=evaluation.split,
        input_size=evaluation.input_size,
        batch_size=evaluation.batch_size,
        protocol=plain_protocol(find_protocol(evaluation.protocols[0])),
    )


class Rules(NamedTuple):
    """Settings of a segmenter for an artefact.

    Attributes:
        inference: The artefact's own rules.
        protocol: The same, as far as a protocol expresses them.
        input_size: (height, width) whose area images are brought to; None: their own.
        run_size: The same for the run that it was exported from.
        run_protocol: The protocol of that run.
        reading: Rules for reading image files.
    """

    inference: Inference
    protocol: Protocol
    input_size: Size | None
    run_size: Size | None
    run_protocol: Protocol
    reading: Reading


def rules_of(sidecar: Sidecar, recipe: Recipe | None = None) -> Rules:
    """The rules in an artefact's description.

    A description of version 1 does not state them: they are the recipe's, and an artefact of one size brings every
    image to that size, as such artefacts always did.

    Args:
        sidecar: The description.
        recipe: The recipe in it; needed for version 1 alone.
    """
    found = sidecar.inference
    if found is not None and sidecar.scoring is not None:
        sizes, first = (found.size, found.size), sidecar.scoring.first_protocol()
    elif recipe is None:
        raise AssertionError("a description without rules has a recipe")
    else:
        found = inference_of(recipe, gives_scores=sidecar.output.name == "logits")
        sizes, first = (found.size, found.size), find_protocol(recipe.evaluation.protocols[0])
        if (only := sidecar.input.size) is not None:
            found = msgspec.structs.replace(
                found, resize="exact", size=only, shorter_side=None, longer_side=None, pad_to=None,
                window=None, window_stride=None, even_windows=False,
            )  # fmt: skip
            sizes = (only, sizes[1])
    reading = Reading(
        exif=found.exif,
        alpha=found.alpha,
        input_range=found.input_range,
        max_pixels=found.max_pixels,
        channels=found.channels,
    )
    return Rules(found, found.protocol(), *sizes, single_pass(first), reading)
