"""How large networks are, known before they are built: modules that list the tests cannot build all of them.

`python tests/network_sizes.py` counts them and writes `network_sizes.toml`; what that file lacks is counted when it is
asked for.
"""

from __future__ import annotations

import functools
import sys
import tomllib
from pathlib import Path

import torch

from pixelwise.backbones.building import ENCODERS, build_encoder
from pixelwise.models import build_model
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.schema.model import SPECS
from pixelwise.zoo.queries import number

FILE = Path(__file__).with_suffix(".toml")


def parameters(name: str) -> float:
    """Number of parameters of the original of a recipe; of a recipe without one, or of a family, counted here."""
    if name in list_recipes():
        published = recipe(name).published
        if published is not None and published.original is not None:
            return number(published.original.parameters)
    return _written()["networks"].get(name) or count_network(name)


def encoder_parameters(name: str) -> int:
    """Number of parameters of an encoder."""
    return _written()["encoders"].get(name) or count_encoder(name)


def count_network(name: str) -> int:
    """Number of parameters of a recipe's or family's network for 5 classes."""
    network = name if name in list_recipes() else SPECS.own()[name]()
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(network, 5).parameters())


def count_encoder(name: str) -> int:
    """Number of parameters of an encoder for three channels."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_encoder(name).parameters())


def counted() -> dict[str, dict[str, int]]:
    """Everything that `parameters` and `encoder_parameters` would have to count."""
    recipes = [name for name in list_recipes() if (own := recipe(name).published) is None or own.original is None]
    used = {type(recipe(name).model) for name in list_recipes()}
    families = [name for name, spec in SPECS.own().items() if spec not in used]
    networks = {name: count_network(name) for name in sorted({*recipes, *families})}
    return {"networks": networks, "encoders": {name: count_encoder(name) for name in sorted(ENCODERS.own())}}


@functools.cache
def _written() -> dict[str, dict[str, int]]:
    return tomllib.loads(FILE.read_text()) if FILE.exists() else {"networks": {}, "encoders": {}}


def main() -> None:
    """Write the file."""
    parts = (
        f"[{kind}]\n" + "".join(f'"{name}" = {size}\n' for name, size in sizes.items())
        for kind, sizes in counted().items()
    )
    FILE.write_text("\n".join(parts))


if __name__ == "__main__":
    sys.exit(main())
