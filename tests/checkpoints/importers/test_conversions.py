from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pixelwise.checkpoints.importers.conversions import (
    IMPORTERS,
    Conversion,
    refuse_architecture,
    register_importer,
)
from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.schema.model import SPECS

RULES = Conversion(rules=((r"^theirs\.", ""),), classifiers=(("theirs.classifier.weight", 0),))


@pytest.fixture
def registered() -> Iterator[None]:
    register_importer("acme", "linear", "enet")(lambda source, model, state: RULES)
    yield
    IMPORTERS.discard("acme/linear")
    IMPORTERS.discard("acme/enet")


@pytest.mark.usefixtures("registered")
def test_weights_of_a_registered_source_are_read() -> None:
    model = build_model(LinearSpec(encoder="resnet18"), num_classes=2)
    theirs = {f"theirs.{key}": torch.ones_like(value) for key, value in model.state_dict().items()}
    assert len(import_weights(model, theirs, "acme").mapped) == len(theirs)
    assert bool((model.state_dict()["classifier.weight"] == 1).all())


@pytest.mark.usefixtures("registered")
def test_a_source_is_registered_once_per_family() -> None:
    with pytest.raises(RecipeError) as caught:
        register_importer("pytorch-enet", "enet")(lambda source, model, state: RULES)
    assert caught.value.code == "R234"
    assert "pixelwise.checkpoints.importers.sources.enet" in caught.value.message


@pytest.mark.usefixtures("registered")
def test_another_family_is_refused_with_those_that_are_read() -> None:
    register_importer("acme", "unet")
    with pytest.raises(CheckpointError, match=r"acme .*linear or enet\b.* fcn") as caught:
        import_weights(build_model("generic-fcn", num_classes=2), {}, "acme")
    assert caught.value.code == "K402"
    assert "sssegmentation" in caught.value.help


def test_an_unknown_source_lists_those_there_are() -> None:
    with pytest.raises(CheckpointError, match=r"'pytorch-ent'.* 'pytorch-enet'") as caught:
        import_weights(build_model(ENetSpec(), num_classes=2), {}, "pytorch-ent")
    assert caught.value.code == "K401"
    assert "mmsegmentation" in caught.value.help


def test_every_importer_is_for_a_family_that_exists() -> None:
    assert {importer.family for importer in IMPORTERS.own().values()} <= set(SPECS.own())
    assert all(key == f"{one.source}/{one.family}" for key, one in IMPORTERS.own().items())
    assert {one.source for one in IMPORTERS.own().values() if one.swaps_average} == {"mmsegmentation"}


def test_the_error_for_another_architecture_has_its_code() -> None:
    assert refuse_architecture("a", "b").code == "K402"
