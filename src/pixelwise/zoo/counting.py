"""Parameters and GMACs of the networks built here, compared with those of the original implementations.

Counting takes about half a second per network, so counts are kept in the cache folder under a hash of everything that
determines them: the code of the networks and of the counter, the versions of torch and timm, the spec, the number of
outputs and the image size. A cached count was therefore made by exactly this code.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.recipes.default_sizes import input_size
from pixelwise.recipes.schema.model import Spec
from pixelwise.recipes.schema.recipe import Original, Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.storage import remembered
from pixelwise.storage.cache_kinds import COMPLEXITY
from pixelwise.storage.caches import subject_of

UNITS = {"k": 10**3, "m": 10**6, "g": 10**9}


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters and GMACs of a network.

    Attributes:
        parameters: Number of parameters, including auxiliary heads; None if the network could not be counted.
        gmacs: Multiply-accumulates for inference on one image, in units of 10^9.
        outputs: Number of output channels the network was built with.
        size: (height, width) of the image.
        problem: Why the network could not be counted, as a sentence; empty if it could.
    """

    parameters: int | None = None
    gmacs: float | None = None
    outputs: int | None = None
    size: Size | None = None
    problem: str = ""


def count_recipe(recipe: Recipe) -> Count:
    """Count a recipe's network at the original's number of outputs and image size, or else at its own.

    The network is built on the meta device, so no values are computed.
    """
    outputs, size = counted_at(recipe)
    if outputs is None or size is None:
        what = "number of classes" if outputs is None else "image size"
        return Count(problem=f"The {what} depends on the data.")
    return _count(recipe.model, outputs, size)


def counted_at(recipe: Recipe) -> tuple[int | None, Size | None]:
    """(outputs, (height, width)) at which a recipe's network is counted; None for what depends on the data."""
    original = recipe.published.original if recipe.published else None
    if original is not None:
        return original.outputs, input_size(recipe)
    names = recipe.data.class_names()
    return len(names) if names else None, input_size(recipe)


@cache
def _count(spec: Spec, outputs: int, size: Size) -> Count:
    """Count a network, or read the count that the same code made before."""
    described = msgspec.json.encode((msgspec.to_builtins(spec), outputs, size), order="sorted")
    key = hashlib.sha256(_code() + described).hexdigest()
    return remembered(
        COMPLEXITY,
        key,
        Count,
        lambda: _count_now(spec, outputs, size),
        subject=subject_of(msgspec.to_builtins(spec), outputs, size),
        keep=lambda counted: not counted.problem,
    )


def _count_now(spec: Spec, outputs: int, size: Size) -> Count:
    import torch

    from pixelwise.models import build_model
    from pixelwise.profiling.complexity import complexity

    try:
        with torch.device("meta"):
            network = build_model(spec, num_classes=outputs)
    except (RecipeError, TypeError) as error:
        return Count(problem=f"This network cannot be built here: {error.args[0]}.")
    found = complexity(network, *size)
    return Count(parameters=found.parameters, gmacs=found.gmacs, outputs=outputs, size=size)


@cache
def _code() -> bytes:
    """SHA-256 digest of the code and the package versions that determine a count."""
    from importlib.metadata import version

    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256("".join(version(name) for name in ("torch", "timm")).encode())
    for folder in ("models", "layers", "backbones", "profiling"):
        for file in sorted((package / folder).glob("*.py")):
            digest.update(f"{folder}/{file.name}".encode() + file.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.digest()


def disagreements(original: Original | None, counted: Count) -> list[str]:
    """Why `counted` does not verify the network as the original one, as sentences; empty if it does.

    Parameters have to agree in every digit that `original` gives, GMACs within its tolerance.
    """
    if counted.problem or counted.parameters is None or counted.gmacs is None:
        return [counted.problem or "Nothing was counted."]
    if original is None:
        return ["The counts of the original implementation are not known."]
    found = []
    if not same_digits(original.parameters, counted.parameters):
        found.append(f"The original has {original.parameters} parameters, the network here {counted.parameters}.")
    if original.gmacs is not None and abs(counted.gmacs - original.gmacs) > original.tolerance * original.gmacs:
        found.append(f"The original has {original.gmacs:g} GMACs, the network here {counted.gmacs:g}.")
    return found


def same_digits(text: str, count: int) -> bool:
    """Whether `count` agrees with `text`: exactly for `2428976`, to the last written digit for `40.067M`."""
    unit = UNITS.get(text[-1].lower(), 1)
    number = Decimal(text.rstrip("kKmMgG"))
    last_digit = Decimal(1).scaleb(int(number.as_tuple().exponent))
    return abs(Decimal(count) / unit - number) <= (last_digit / 2 if unit > 1 else 0)
