import msgspec
import pytest

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.default_sizes import DEFAULT_SIZE, input_size, seen_size
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.augment import Augment
from pixelwise.recipes.schema.recipe import Recipe


def unsized(*overrides: str) -> Recipe:
    """A recipe of which neither page nor protocol nor data says a size."""
    whole = msgspec.structs.replace(recipe("unet-resnet18"), augment=Augment())
    return apply_overrides(whole, overrides)


def test_the_size_of_the_original_counts_comes_first():
    known = recipe("segformer-b0-cityscapes")
    assert known.augment.crop == (1024, 1024)
    assert (input_size(known), seen_size(known)) == ((1024, 2048), (1024, 2048))
    changed = apply_overrides(known, ["evaluation.input_size=[64, 32]"])
    assert seen_size(changed) == (1024, 2048)


@pytest.mark.parametrize(
    ("overrides", "said", "seen"),
    [
        ([], None, DEFAULT_SIZE),
        (["augment.crop=[32, 48]"], None, (32, 48)),
        (["augment.crop=[32, 48]", "evaluation.input_size=[64, 96]"], (64, 96), (64, 96)),
        (["data.dataset=town", "data.town_size=[40, 60]"], (40, 60), (40, 60)),
        (["data.dataset=town", "evaluation.input_size=[64, 96]"], (64, 96), (64, 96)),
        (["data.town_size=[40, 60]"], None, DEFAULT_SIZE),
        (
            ["evaluation.protocols=['cityscapes-2048x1024']", "evaluation.input_size=[64, 96]"],
            (1024, 2048),
            (1024, 2048),
        ),
    ],
)
def test_without_original_the_size_comes_from_protocol_recipe_data_crop_or_default(
    overrides: list[str], said: tuple[int, int] | None, seen: tuple[int, int]
):
    chosen = unsized(*overrides)
    assert (input_size(chosen), seen_size(chosen)) == (said, seen)


def test_every_recipe_has_a_size_of_its_own():
    for name in list_recipes():
        known = recipe(name)
        assert seen_size(known) == (input_size(known) or known.augment.crop), name
