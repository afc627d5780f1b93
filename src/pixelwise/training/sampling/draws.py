"""How often an epoch draws each image: once, but large images once for every crop that they have room for.

One random crop of a scene of 20,000x20,000 pixels per epoch would say little about it, and a few scenes would not
fill a batch. The order of an epoch, and what is drawn for each of its positions, stay functions of seed and position.
"""

from __future__ import annotations

from pixelwise.datasets.reading.regions.images import large_image
from pixelwise.datasets.samples import WITHOUT_MASKS, Dataset, Sample
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.storage import printable
from pixelwise.training.settings.batches import size_before_zoom


def drawn_samples(dataset: Dataset, recipe: Recipe, largest: Size) -> tuple[Sample, ...]:
    """The training samples of an epoch; those that are read in parts occur once for every crop they have room for.

    Args:
        dataset: The opened data set, without its unusable pairs.
        recipe: The recipe; while its crop is still to be planned, every image counts once.
        largest: (height, width) of the largest image.

    Raises:
        DataError: D120, a setting needs images as a whole, but one is too large to be decoded whole, or has no mask;
            D221, there is no such split.
    """
    samples, augment = learned_samples(dataset, recipe), recipe.augment
    planned = augment.crop is None and "augment.crop" in recipe.planned
    if largest[0] * largest[1] <= dataset.reading.max_pixels or planned:
        return samples
    drawn: list[Sample] = []
    for sample in samples:
        found = large_image(sample.image_path, dataset.reading.max_pixels)
        if found is None:
            drawn.append(sample)
            continue
        if not sample.is_labelled:
            raise DataError(
                "D120",
                f"{printable(sample.image_path)}: {found.pixels / 1e6:.1f} million pixels, of which crops are read "
                "together with those of its mask, but it has none",
                "cut it into tiles, or set distillation.unlabelled=false to learn from images with a mask alone",
            )
        if augment.crop is None or augment.resize is not None:
            field = "augment.resize" if augment.resize is not None else "no augment.crop"
            raise DataError(
                "D120",
                f"{printable(sample.image_path)}: {found.pixels / 1e6:.1f} million pixels, of which crops are read, "
                f"but the recipe has {field}, for which it would be decoded whole",
                "set augment.crop=[512,512], say, and leave augment.resize out",
            )
        height, width = size_before_zoom(augment, found.size)
        drawn += [sample] * max(1, round(height * width / (augment.crop[0] * augment.crop[1])))
    return tuple(drawn)


def learned_samples(dataset: Dataset, recipe: Recipe) -> tuple[Sample, ...]:
    """The training split, followed by the images without masks that a teacher says something of.

    Raises:
        DataError: D221, there is neither.
    """
    further = dataset.splits.get(WITHOUT_MASKS, ())
    labelled = dataset.splits.get(recipe.data.train_split, ())
    return (*labelled, *further) if further else dataset.samples(recipe.data.train_split)


def drawn_once(usual: Size, recipe: Recipe) -> Size | None:
    """The (height, width) of the usual image if an epoch draws it once; None if it is unknown, or read in parts."""
    pixels = usual[0] * usual[1]
    return usual if 0 < pixels <= recipe.data.max_pixels else None
