"""Settings that are held against number and size of the images: batches, crops, hard pixels, and what is never seen."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pixelwise.errors import RecipeError
from pixelwise.recipes.lengths import images_per_epoch
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Augment, Recipe, Sampling
from pixelwise.recipes.sizes import Size
from pixelwise.storage.names import counted
from pixelwise.training.settings.unfit import Extent, Unfit

MOST_LEFT_OUT = 0.1
"""Largest share of the images that batches may leave out of an epoch."""
MOST_PADDING = 0.5
"""Largest share of a crop that may be padding."""
LEAST_SEEN = 0.5
"""Smallest share of the data that training has to see, counted in images times pixels."""
FITTING_SHARE = 0.0625
"""Share of the pixels for hard example mining that fits every crop; 100,000 of 1024x1024 x 1.5 images."""
STRIDE = 32
"""Proposed crops are multiples of it, where images are large enough."""


def unfit_batches(recipe: Recipe, run: Extent) -> Iterator[Unfit]:
    """The settings of a recipe that do not fit the number and the size of the images."""
    yield from unfit_sampling(recipe.sampling, run.images)
    if run.size is None:
        return
    size = _training_size(recipe.augment, run.size)
    yield from _padding(recipe, run.size, size)
    yield from _seen(recipe, run, size)
    yield from _mining(recipe, size)


def unfit_sampling(sampling: Sampling, images: int) -> Iterator[Unfit]:
    """A warning if batches leave out a large share of the images, or a last batch of one, or if there is no step."""
    used = images_per_epoch(images, sampling)
    if _is_fit(sampling, images):
        return
    left = images - used
    if sampling.accumulate > 1:
        steps = f"steps of {sampling.accumulate} x {sampling.batch_size} (sampling.accumulate, sampling.batch_size)"
    else:
        steps = f"batches of sampling.batch_size={sampling.batch_size}"
    dropped = ", sampling.drop_last=true" if sampling.drop_last else ""
    what = (
        f"{counted(left, 'image')} ({100 * left / images:.0f} %) {'is' if left == 1 else 'are'} left out of every epoch"
    )
    if not used:
        what = "they do not fill one step, which training refuses (R211)"
    elif left == 1 and not sampling.drop_last:
        what += ", because a batch of one image cannot train batch normalisation"
    fits = _fitting(sampling, images)
    changes = [
        f"sampling.{name}={str(getattr(fits, name)).lower()}"
        for name in ("batch_size", "accumulate", "drop_last")
        if getattr(fits, name) != getattr(sampling, name)
    ]
    yield Unfit(
        code="W515",
        message=f"{counted(images, 'training image')} in {steps}{dropped}: {what}",
        overrides=tuple(changes),
    )


def _is_fit(sampling: Sampling, images: int) -> bool:
    left = images - images_per_epoch(images, sampling)
    alone = not sampling.drop_last and sampling.batch_size > 1 and images % sampling.batch_size == 1
    return left < MOST_LEFT_OUT * images and not (alone and left)


def _fitting(sampling: Sampling, images: int) -> Sampling:
    """The sampling with the most images per step that fits, with as few changes as possible."""
    found: list[tuple[tuple[int, bool, int], Sampling]] = []
    for batch in range(1, min(sampling.batch_size, max(1, images)) + 1):
        for accumulate in range(1, sampling.accumulate + 1):
            for drop_last in {sampling.drop_last, False}:
                one = Sampling(batch_size=batch, accumulate=accumulate, drop_last=drop_last, seed=sampling.seed)
                if _is_fit(one, images):
                    # Batches of one image are the last resort, because batch normalisation may refuse them.
                    order = (batch * accumulate if batch > 1 else 0, drop_last == sampling.drop_last, batch)
                    found.append((order, one))
    return max(found, key=lambda candidate: candidate[0])[1]


def size_before_zoom(augment: Augment, size: Size) -> tuple[float, float]:
    """(height, width) of an image of that size when it has been resized and fitted."""
    height, width = (float(side) for side in augment.resize or size)
    if augment.fit is not None:
        if augment.fit_by == "stretch":
            height, width = map(float, augment.fit)
        else:
            factor = min(augment.fit) / min(height, width)
            if augment.fit_by == "inside":
                factor = min(factor, max(augment.fit) / max(height, width))
            height, width = height * factor, width * factor
    return height, width


def _training_size(augment: Augment, size: Size) -> tuple[float, float]:
    """(height, width) of an image of that size when it is cropped: as above, and zoomed as in the geometric mean."""
    height, width = size_before_zoom(augment, size)
    zoom = math.sqrt(augment.scale[0] * augment.scale[1]) if augment.scale is not None else 1.0
    return height * zoom, width * zoom


def _covered(crop: Size, size: tuple[float, float]) -> float:
    """Number of image pixels in a crop."""
    return min(crop[0], size[0]) * min(crop[1], size[1])


def _padding(recipe: Recipe, image: Size, size: tuple[float, float]) -> Iterator[Unfit]:
    crop = recipe.augment.crop
    if crop is None or _padded(crop, size) <= MOST_PADDING:
        return
    resized = "" if size == image else f", resized and zoomed to {size[0]:.0f}x{size[1]:.0f} in the mean"
    yield Unfit(
        code="W516",
        message=f"augment.crop={_written(crop)}, but the most frequent size of the images is {image[0]}x{image[1]} "
        f"(HxW){resized}: {100 * _padded(crop, size):.0f} % of such a crop is padding",
        overrides=_fitting_crop(recipe, crop, image, size),
    )


def _padded(crop: Size, size: tuple[float, float]) -> float:
    return 1 - _covered(crop, size) / (crop[0] * crop[1])


def _fitting_crop(recipe: Recipe, crop: Size, image: Size, size: tuple[float, float]) -> tuple[str, ...]:
    """A crop of the images' size, or the smallest one that the network takes, to which the images are enlarged."""
    own = image if recipe.augment.resize is None and recipe.augment.fit is None else size
    height, width = (_rounded(min(sides)) for sides in zip(crop, own, size, strict=True))
    for least in (1, STRIDE, 2 * STRIDE, 4 * STRIDE):
        smaller = (max(least, height), max(least, width))
        enlarged = max(smaller[0] / size[0], smaller[1] / size[1])
        overrides = [f"augment.crop={_written(smaller)}"]
        if _padded(smaller, size) > MOST_PADDING:
            before = recipe.augment.scale or (1.0, 1.0)
            zoom = [math.ceil(100 * enlarged * one) / 100 for one in before]
            overrides += [f"augment.scale=[{zoom[0]},{zoom[1]}]"]
            overrides += ["augment.scale_law=log-uniform"] if recipe.augment.scale_law == "two-sided" else []
        try:
            apply_overrides(recipe, overrides)
        except RecipeError:
            continue  # the network needs larger crops
        return tuple(overrides)
    return (f"augment.crop={_written((height, width))}",)


def _rounded(side: float) -> int:
    """A side as a multiple of the stride, unless that loses more than a tenth of it."""
    multiple = int(side) // STRIDE * STRIDE
    return multiple if multiple >= 0.9 * side else max(1, int(side))


def _written(size: Size | list[int]) -> str:
    return f"[{size[0]},{size[1]}]"


def _seen(recipe: Recipe, run: Extent, size: tuple[float, float]) -> Iterator[Unfit]:
    crop, schedule = recipe.augment.crop, recipe.schedule
    share = _covered(crop, size) / (size[0] * size[1]) if crop is not None else 1.0
    passes = run.steps / run.per_epoch * images_per_epoch(run.images, recipe.sampling) / run.images
    seen = passes * share
    if seen >= LEAST_SEEN:
        return
    of_image = "" if crop is None else f", of each {100 * share:.2g} % (augment.crop={_written(crop)})"
    name, value = ("epochs", schedule.epochs) if schedule.epochs is not None else ("iterations", schedule.iterations)
    yield Unfit(
        code="W517",
        message=f"schedule.{name}={value} is {run.in_words}, which take an image {passes:.2g} times{of_image}: "
        f"training sees {100 * seen:.2g} % of the data",
        overrides=(f"schedule.{name}={math.ceil((value or 1) / seen)}",),
    )


def _mining(recipe: Recipe, size: tuple[float, float]) -> Iterator[Unfit]:
    mining = recipe.loss.ohem
    if mining is None or mining.min_kept < 1:
        return
    height, width = recipe.augment.crop or size
    pixels = int(recipe.sampling.batch_size * height * width)
    if mining.min_kept >= pixels:
        yield Unfit(
            code="W518",
            message=f"loss.ohem.min_kept={mining.min_kept:.0f}, but a batch has {pixels} pixels: all of them are kept, "
            "so there is no mining of hard ones",
            overrides=(f"loss.ohem.min_kept={FITTING_SHARE}",),
        )
