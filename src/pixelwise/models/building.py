"""From a recipe's name, a recipe or a spec to a network with random weights.

A family registers its builder by the type of its spec:

    @builds(ENetSpec)
    def build(spec: ENetSpec, classes: tuple[str, ...]) -> ENet: ...

Which recipes exist is answered by `pixelwise.recipes.catalog` alone, without importing torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pixelwise.errors import RecipeError
from pixelwise.models.base import SegmentationModel
from pixelwise.recipes.classes.tables import IGNORE
from pixelwise.recipes.files import find
from pixelwise.recipes.schema.model import ModelSpec
from pixelwise.recipes.schema.recipe import Recipe

Builder = Callable[[Any, tuple[str, ...]], SegmentationModel]
AnyBuilder = TypeVar("AnyBuilder", bound=Builder)

_BUILDERS: dict[type, Builder] = {}


def builds(spec_type: type) -> Callable[[AnyBuilder], AnyBuilder]:
    """Register the decorated function as the builder of networks described by `spec_type`.

    Raises:
        ValueError: The type has a builder already.
    """

    def register(builder: AnyBuilder) -> AnyBuilder:
        if spec_type in _BUILDERS:
            taken = _BUILDERS[spec_type]
            raise ValueError(f"{spec_type.__name__} is built by {taken.__module__}.{taken.__qualname__} already")
        _BUILDERS[spec_type] = builder
        return builder

    return register


def build_model(
    model: str | Recipe | ModelSpec, num_classes: int | None = None, classes: Sequence[str] | None = None
) -> SegmentationModel:
    """Build a network with random weights, drawn from torch's global generator.

    Args:
        model: Name of a recipe, path of a recipe file, a recipe, or a model spec.
        num_classes: Number of outputs; None: that of `classes`, or of the recipe's data set.
        classes: Class names; None: the data set's own if their number fits, else class_0, class_1, ...

    Returns:
        The network, in training mode, on torch's default device.

    Raises:
        RecipeError: R200 unknown name; R206 the number of classes is unknown, contradictory or out
            of 1..255; R203 or R207 the spec cannot be built.
        TypeError: `model` is something else.
    """
    if isinstance(model, str):
        model = find(model)
    spec = model.model if isinstance(model, Recipe) else model
    builder = _BUILDERS.get(type(spec))
    if builder is None:
        known = ", ".join(sorted(spec_type.__name__ for spec_type in _BUILDERS))
        raise TypeError(f"expected a recipe, its name, or one of {known}; got {type(spec).__name__}")
    if isinstance(model, Recipe) and model.data.bands != spec.preprocessing.in_channels:
        raise RecipeError(
            "R203",
            f"recipe '{model.name}': data.channels takes {model.data.bands} bands, model.preprocessing is still for "
            f"{spec.preprocessing.in_channels}",
            "training measures mean and standard deviation of each band; elsewhere set model.preprocessing.mean and "
            ".std to one value per band",
        )
    known_names = model.data.class_names() if isinstance(model, Recipe) else None
    source = f"recipe '{model.name}'" if isinstance(model, Recipe) else type(spec).__name__
    built = builder(spec, _class_names(source, num_classes, classes, known_names))
    built.multilabel = isinstance(model, Recipe) and model.data.multilabel
    return built


def _class_names(
    source: str, num_classes: int | None, given: Sequence[str] | None, known: Sequence[str] | None
) -> tuple[str, ...]:
    if given is not None and num_classes is not None and len(given) != num_classes:
        raise RecipeError(
            "R206",
            f"{source}: num_classes is {num_classes} but {len(given)} class names are given ({', '.join(given)})",
            "give one name per class, or leave num_classes out",
        )
    names = given if given is not None else known
    if num_classes is None and names is None:
        raise RecipeError(
            "R206",
            f"{source} does not say how many classes there are; its data set decides that",
            "pass num_classes, for example build_model(..., num_classes=5), or classes",
        )
    count = num_classes if num_classes is not None else len(names or ())
    if not 1 <= count <= IGNORE:
        raise RecipeError(
            "R206",
            f"{source}: {count} classes; expected 1..{IGNORE}",
            f"class ids are stored as 0..{IGNORE - 1}, and {IGNORE} means ignored",
        )
    if names is not None and len(names) == count:
        return tuple(names)
    return tuple(f"class_{index}" for index in range(count))
