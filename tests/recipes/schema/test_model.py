from pathlib import Path

import pytest

from pixelwise import recipes
from pixelwise.errors import RecipeError
from pixelwise.recipes.families.fcn import FCNSpec
from pixelwise.recipes.families.hrnet import HRNetSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.schema.model import SPECS, Preprocessing, Spec, family_of, register_spec


@pytest.fixture
def registry():
    """What a test registers is taken out after it."""
    before = set(SPECS.all())
    yield SPECS
    for name in set(SPECS) - before:
        SPECS.discard(name)


def test_a_family_is_found_by_its_tag(registry):
    class MySpec(Spec, frozen=True, kw_only=True, tag="mine"):
        width: int = 8

    assert register_spec(MySpec) is MySpec
    assert registry.find("mine") is MySpec
    assert registry.module_of("mine") == __name__
    assert MySpec().family == family_of(MySpec) == "mine"


def test_the_tag_of_another_family_is_refused_with_both_modules(registry):
    class OtherSpec(Spec, frozen=True, kw_only=True, tag="enet"):
        pass

    with pytest.raises(RecipeError) as caught:
        register_spec(OtherSpec)
    assert caught.value.code == "R234"
    assert "pixelwise.recipes.families.real_time.enet" in caught.value.message
    assert __name__ in caught.value.message
    assert registry["enet"] is ENetSpec


def test_only_specs_are_registered():
    with pytest.raises(TypeError, match="Spec"):
        register_spec(dict)  # type: ignore[type-var]


def test_an_unknown_family_is_an_error_that_lists_ours():
    with pytest.raises(RecipeError) as caught:
        SPECS.find("segfomer")
    assert caught.value.code == "R235"
    assert "'segformer'" in caught.value.message
    assert "enet" in caught.value.help


def test_every_module_of_families_registers_one():
    folder = Path(next(iter(recipes.__path__))) / "families"
    files = (file.relative_to(folder).with_suffix("") for file in folder.rglob("[!_]*.py"))
    modules = {".".join(("pixelwise.recipes.families", *file.parts)) for file in files}
    assert {SPECS.module_of(name) for name in SPECS.own()} == modules


def test_means_and_deviations_go_in_pairs():
    assert Preprocessing(mean=(0.5,), std=(0.2,)).in_channels == 1
    for mean, std in (((0.5, 0.5), (0.2,)), ((), ())):
        with pytest.raises(RecipeError) as caught:
            Preprocessing(mean=mean, std=std)
        assert caught.value.code == "R203"


def test_the_encoder_or_the_variant_of_a_network_has_a_name():
    names = [spec.encoder_name for spec in (FCNSpec(encoder="resnet101"), HRNetSpec(variant="w48"), ENetSpec())]
    assert names == ["resnet101", "w48", None]
