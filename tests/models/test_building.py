from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.models.building import BUILDERS, builds
from pixelwise.models.enet import ENet
from pixelwise.models.unet import UNet
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.class_sets.tables import CAMVID, CITYSCAPES
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.model import SPECS, Spec


def test_a_recipe_of_a_known_data_set_knows_its_classes() -> None:
    model = build_model("enet-camvid")

    assert isinstance(model, ENet)
    assert model.classes == CAMVID.names
    assert model.classifier.weight.shape == (16, 11, 3, 3)


def test_a_recipe_itself_can_be_given() -> None:
    assert build_model(recipe("enet-cityscapes")).classes == CITYSCAPES.names


def test_a_recipe_file_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "unet-resnet18"\n[data]\ndataset = "folder"\nclasses = ["cat", "dog", "hat"]\n')

    model = build_model(str(path))

    assert isinstance(model, UNet)
    assert model.classes == ("cat", "dog", "hat")


def test_a_spec_with_a_number_of_classes_numbers_them() -> None:
    assert build_model(ENetSpec(), num_classes=2).classes == ("class_0", "class_1")


def test_a_number_of_classes_other_than_the_data_set_s_numbers_them() -> None:
    assert build_model("enet-camvid", num_classes=12).classes[10:] == ("class_10", "class_11")


def test_given_class_names_decide_the_number() -> None:
    assert build_model("enet-camvid", classes=["sky", "rest"]).num_classes == 2


def test_the_spec_s_options_reach_the_network() -> None:
    model = build_model(UNetSpec(decoder_channels=(32, 16)), num_classes=2)

    assert isinstance(model, UNet)
    assert model.strides == (16, 8)


def test_an_unknown_number_of_classes_is_asked_for() -> None:
    with pytest.raises(RecipeError, match="'unet-resnet18'") as caught:
        build_model("unet-resnet18")

    assert caught.value.code == "R206"
    assert "num_classes=5" in caught.value.help


def test_names_and_number_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"num_classes is 3\b.*\b2\b.*\(cat, dog\)") as caught:
        build_model(ENetSpec(), num_classes=3, classes=["cat", "dog"])

    assert caught.value.code == "R206"


@pytest.mark.parametrize("num_classes", [-1, 0, 256])
def test_numbers_of_classes_that_labels_cannot_hold_are_refused(num_classes: int) -> None:
    with pytest.raises(RecipeError, match=rf"{num_classes} classes; expected 1\.\.255") as caught:
        build_model(ENetSpec(), num_classes=num_classes)

    assert caught.value.code == "R206"


def test_an_unknown_recipe_is_an_error_with_near_misses() -> None:
    with pytest.raises(RecipeError, match="'enet-camvid'") as caught:
        build_model("enet-camvit")
    assert caught.value.code == "R200"


def test_an_argument_that_is_no_recipe_is_refused_with_the_types_that_are() -> None:
    with pytest.raises(TypeError, match=r"DDRNetSpec, .* UPerNetSpec; got int"):
        build_model(42)  # type: ignore[arg-type]


def test_a_family_has_one_builder() -> None:
    with pytest.raises(RecipeError, match=rf"'enet'.*pixelwise\.models\.enet\b.*{__name__}") as caught:
        builds(ENetSpec)(lambda spec, classes: ENet(spec, classes))
    assert caught.value.code == "R234"


def test_only_registered_specs_have_builders() -> None:
    class Unregistered(Spec, frozen=True, kw_only=True, tag="unregistered"):
        pass

    for wrong in (Unregistered, dict):
        with pytest.raises(TypeError, match="register_spec"):
            builds(wrong)


def test_a_family_without_a_builder_is_refused_with_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    class LonelySpec(Spec, frozen=True, kw_only=True, tag="lonely"):
        pass

    monkeypatch.setitem(SPECS, "lonely", LonelySpec)
    with pytest.raises(RecipeError, match=rf"'lonely'.*\b{__name__}\b.*\n.*builds\(LonelySpec\)") as caught:
        build_model(LonelySpec(), num_classes=2)
    assert caught.value.code == "R235"


@pytest.mark.parametrize("family", SPECS.own())
def test_every_family_has_a_network(family: str) -> None:
    assert BUILDERS.look_up(family) is not None


def test_the_same_seed_gives_the_same_weights() -> None:
    torch.manual_seed(3)
    first = build_model("town-demo").state_dict()
    torch.manual_seed(3)
    second = build_model("town-demo").state_dict()

    assert all(torch.equal(first[key], second[key]) for key in first)


def test_building_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a network connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)

    build_model("unet-resnet18", num_classes=2)


def test_recipes_are_listed_without_importing_torch() -> None:
    program = (
        "import sys; from pixelwise.recipes.catalog import list_recipes;"
        "print('enet-camvid' in list_recipes(), 'torch' in sys.modules)"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["True", "False"]


def test_a_recipe_with_more_bands_than_statistics_builds_no_network():
    waiting = apply_overrides(recipe("unet-resnet18"), ["data.channels=[0,1,2,3,4]"])
    with pytest.raises(RecipeError, match=r"data\.channels.* 5 .*model\.preprocessing.* 3\n") as caught:
        build_model(waiting, 2)
    assert caught.value.code == "R203"
