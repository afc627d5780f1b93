"""Choice of the image size of an artefact: any, or the one that its runtime needs."""

from __future__ import annotations

from pixelwise.datasets.reading.decoding import image_sizes
from pixelwise.datasets.run_data import knows_its_data, open_run_data
from pixelwise.datasets.samples import Dataset
from pixelwise.deployment.export.options import ExportOptions
from pixelwise.deployment.export.sources import Source
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import Warn
from pixelwise.prediction.rules import is_exact, resizes_logits
from pixelwise.recipes.default_sizes import input_size, seen_size
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.graphs import GraphOptions
from pixelwise.runtimes.targets import Target

HEAD = "head"
"""`output_stride` for the stride of the network's own logits."""


def graph_options(source: Source, target: Target, options: ExportOptions, warn: Warn) -> GraphOptions:
    """Input and output formats of an artefact.

    An artefact takes images of any size, as a run does, unless `size` asks for one size or its runtime needs one. That
    one is the size at which the run sees every image, never that of its training crops.

    Args:
        source: The network and its origin.
        target: Export target.
        options: The options of the export.
        warn: Receives W470 if the size was not asked for and images of other sizes will be seen through windows.

    Raises:
        RecipeError: R244, the target supports only artefacts of one size, and the run has none; R242, the output
            stride is neither a number nor `head`.
    """
    any_size = options.dynamic or (options.size is None and target.any_size)
    size = options.size
    if size is None:
        size = seen_size(source.recipe) if any_size else _only_size(source, target, warn)
    return GraphOptions(
        uint8_input=options.uint8_input,
        argmax=options.argmax,
        output_stride=_output_stride(source, options),
        dynamic=any_size,
        size=size,
    )


def _output_stride(source: Source, options: ExportOptions) -> int | None:
    """The stride of the result; None for the network's own.

    A run that resizes its images before the network enlarges their logits once, to the size of the mask. An artefact
    whose graph enlarges them too does it twice, which changes pixels along outlines.
    """
    wanted = options.output_stride
    if wanted is None:
        return None if resizes_logits(source.recipe) and not options.argmax else 1
    if isinstance(wanted, str):
        if wanted == HEAD:
            return None
        raise RecipeError("R242", f"`output_stride` is '{wanted}'; expected a number or {HEAD}", f"choose 1 or {HEAD}")
    return wanted


def _only_size(source: Source, target: Target, warn: Warn) -> Size:
    """The size of an artefact for a target that needs one."""
    recipe = source.recipe
    protocol = find_protocol(recipe.evaluation.protocols[0])
    shown = protocol.seen_size(recipe.evaluation.input_size)
    if shown is not None and is_exact(protocol, recipe.evaluation.input_size, shown):
        return shown
    reason = "that of the padded input" if protocol.pad_to is not None else "the size of all images of its split"
    size = shown or protocol.pad_to or _size_of_data(source, protocol)
    if size is None and source.run is None:
        # Random weights have no data; such an artefact is made to measure latency.
        size, reason = input_size(recipe) or seen_size(recipe), "the usual one of this recipe"
    if size is None:
        raise RecipeError(
            "R244",
            f"{target.name} supports only artefacts of one image size, and the run sees its images at different sizes",
            "give `size`: images that the run sees at another size then go through windows of that size; or choose "
            "another `target`, which takes any size",
        )
    warn(
        "W470",
        f"{target.name} supports only artefacts of one image size: {size[1]}x{size[0]} is chosen, {reason}; images "
        "that the run sees at another size go through windows of that size, so their masks can differ; give `size` to "
        "choose another one",
    )
    return size


def _size_of_data(source: Source, protocol: Protocol) -> Size | None:
    """(height, width) of all images of the split that the run is evaluated on; None if they differ or are not known."""
    recipe = source.recipe
    if source.run is None or not knows_its_data(source.run, recipe):
        return None
    try:
        dataset = open_run_data(source.run, recipe)
        return one_size(dataset, recipe.evaluation.split, protocol, recipe.evaluation.input_size)
    except DataError:
        return None  # the data has been moved


def one_size(dataset: Dataset, split: str, protocol: Protocol, wanted: Size | None) -> Size | None:
    """The network's input size if it is the same for every image of a split, otherwise None.

    Args:
        dataset: The data set.
        split: Name of the split.
        protocol: Protocol that decides at which size images are seen.
        wanted: The recipe's `evaluation.input_size`.

    Raises:
        DataError: D221, there is no such split.
    """
    if (seen := protocol.seen_size(wanted)) is not None:
        return seen
    if protocol.fit is not None:
        return None
    sizes = set()
    for sample in dataset.samples(split):
        try:
            sizes.add(image_sizes(sample.image_path)[1])
        except DataError:  # a stack of bands has no such header; damaged files are reported when they are read
            return None
        if len(sizes) > 1:
            return None
    return next(iter(sizes), None)
