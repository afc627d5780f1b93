"""Building a network with random weights from a recipe, its name, or a model spec.

A family registers the builder of its networks under the type of its spec:

    @builds(ENetSpec)
    def build(spec: ENetSpec, classes: tuple[str, ...]) -> ENet: ...

Registering does not import torch: a builder that imports its network inside the function keeps listing recipes fast.
The list of recipes itself is in `pixelwise.recipes.catalog`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pixelwise.errors import RecipeError
from pixelwise.plugins import Registry
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.files import find
from pixelwise.recipes.schema.model import SPECS, Spec, family_of
from pixelwise.recipes.schema.recipe import Recipe

if TYPE_CHECKING:
    from pixelwise.models.base import SegmentationModel

Builder = Callable[[Any, tuple[str, ...]], "SegmentationModel"]
AnyBuilder = TypeVar("AnyBuilder", bound=Builder)

BUILDERS: Registry[Builder] = Registry(
    "network of the family", RecipeError, "R235", built_in=("pixelwise.models",), heavy=True
)
"""Family -> function that builds its network from a spec and class names."""


def builds(spec_type: type[Spec]) -> Callable[[AnyBuilder], AnyBuilder]:
    """Register the decorated function as the builder of networks described by `spec_type`.

    Raises:
        TypeError: `spec_type` is not registered by `register_spec`.
        RecipeError: R234, the family already has a builder.
    """
    if not (isinstance(spec_type, type) and issubclass(spec_type, Spec)) or _registered(spec_type) is not spec_type:
        raise TypeError(
            f"{spec_type!r} is not a model family; decorate its class with pixelwise.recipes.schema.model.register_spec"
        )

    def register(builder: AnyBuilder) -> AnyBuilder:
        BUILDERS.add(family_of(spec_type), builder)
        return builder

    return register


def _registered(spec_type: type[Spec]) -> type[Spec] | None:
    return SPECS.get(family_of(spec_type))


def build_model(
    model: str | Recipe | Spec, num_classes: int | None = None, classes: Sequence[str] | None = None
) -> SegmentationModel:
    """Build a network with random weights, drawn from torch's global generator.

    Args:
        model: Name of a recipe, path of a recipe file, a recipe, or a model spec.
        num_classes: Number of outputs; None: the number of `classes`, or of classes in the recipe's data set.
        classes: Class names; None: those of the data set if there are `num_classes` of them, else class_0, class_1, ...

    Returns:
        The network, in training mode, on torch's default device.

    Raises:
        RecipeError: R200, unknown name; R206, the number of classes is unknown, contradictory or outside
            1..255; R203 or R207, the spec cannot be built; R235, its family has no builder.
        TypeError: `model` is of another type.
    """
    if isinstance(model, str):
        model = find(model)
    spec = model.model if isinstance(model, Recipe) else model
    builder = _builder_of(spec)
    if isinstance(model, Recipe) and model.data.bands != spec.preprocessing.in_channels:
        raise RecipeError(
            "R203",
            f"recipe '{model.name}': data.channels selects {model.data.bands} bands, but model.preprocessing has "
            f"values for {spec.preprocessing.in_channels}",
            "training measures the mean and standard deviation of each band; without training, set "
            "model.preprocessing.mean and model.preprocessing.std to one value per band",
        )
    known_names = model.data.class_names() if isinstance(model, Recipe) else None
    source = f"recipe '{model.name}'" if isinstance(model, Recipe) else type(spec).__name__
    built = builder(spec, _class_names(source, num_classes, classes, known_names))
    built.multilabel = isinstance(model, Recipe) and model.data.multilabel
    return built


def _builder_of(spec: Any) -> Builder:
    if not isinstance(spec, Spec) or _registered(type(spec)) is not type(spec):
        known = ", ".join(sorted(spec_type.__name__ for spec_type in SPECS.all().values()))
        raise TypeError(f"expected a recipe, its name, or one of {known}; got {type(spec).__name__}")
    builder = BUILDERS.look_up(spec.family)
    if builder is None:
        raise RecipeError(
            "R235",
            f"the model family '{spec.family}', defined in {type(spec).__module__}, has no registered builder",
            "import the module of its network, in which a function is decorated with "
            f"pixelwise.models.building.builds({type(spec).__name__})",
        )
    return builder


def _class_names(
    source: str, num_classes: int | None, given: Sequence[str] | None, known: Sequence[str] | None
) -> tuple[str, ...]:
    if given is not None and num_classes is not None and len(given) != num_classes:
        raise RecipeError(
            "R206",
            f"{source}: num_classes is {num_classes}, but there are {len(given)} class names ({', '.join(given)})",
            "pass one name per class, or leave num_classes out",
        )
    names = given if given is not None else known
    if num_classes is None and names is None:
        raise RecipeError(
            "R206",
            f"{source} does not define the number of classes, which depends on the data set",
            "pass num_classes, for example build_model(..., num_classes=5), or classes",
        )
    count = num_classes if num_classes is not None else len(names or ())
    if not 1 <= count <= IGNORE:
        raise RecipeError(
            "R206",
            f"{source}: {count} classes; expected 1..{IGNORE}",
            f"class ids are stored as 0..{IGNORE - 1}, and {IGNORE} marks ignored pixels",
        )
    if names is not None and len(names) == count:
        return tuple(names)
    return tuple(f"class_{index}" for index in range(count))
