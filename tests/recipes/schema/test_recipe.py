import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from distributions import install, python
from recipes.write_resolved import RESOLVED, resolved

from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.files import load_toml
from pixelwise.recipes.overrides import apply_overrides, to_toml
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.base import require
from pixelwise.recipes.schema.model import SPECS, Described
from pixelwise.recipes.schema.recipe import Recipe, Sampling, changed_values, without_unset


@pytest.mark.heavy
def test_the_resolved_recipes_are_the_committed_ones():
    # After an intended change: python tests/recipes/write_resolved.py
    committed, now = tomllib.loads(RESOLVED.read_text("utf-8")), resolved()
    assert committed["defaults"] == now["defaults"]
    assert list(committed["recipes"]) == list(now["recipes"])
    for name, values in now["recipes"].items():
        assert committed["recipes"][name] == without_unset(values), name


@pytest.mark.parametrize("name", ["enet-camvid", "segformer-b5-cityscapes", "camvid-cpu-1h"])
def test_changed_values_and_defaults_give_the_whole_recipe(name: str):
    assert from_plain(changed_values(recipe(name))) == recipe(name)


def test_equal_recipes_have_equal_hashes_and_any_change_alters_them():
    enet = recipe("enet-camvid")
    assert enet.hash() == msgspec.structs.replace(enet).hash()
    assert enet.hash() != apply_overrides(enet, ["sampling.seed=1"]).hash()


def test_what_changes_no_result_changes_no_hash():
    enet = recipe("enet-camvid")
    operational = ["data.workers=1", "data.cache=off", "checkpoints.keep=3", "checkpoints.every_steps=7"]
    black = f"data.palette={[[0, 0, 0]] * 11}"
    assert apply_overrides(enet, operational).hash() == enet.hash()
    assert msgspec.structs.replace(enet, notes="another remark", summary="other words").hash() == enet.hash()
    unnamed = msgspec.structs.replace(enet, published=None)
    assert apply_overrides(unnamed, [black]).hash() == unnamed.hash()


@pytest.mark.parametrize("name", ["enet-camvid", "enet-cityscapes", "town-demo"])
def test_what_a_run_fills_in_about_a_known_data_set_changes_no_hash(name: str, tmp_path: Path):
    known = recipe(name)
    folders = {
        "camvid": ["train", "trainannot"],
        "cityscapes": ["leftImg8bit/train/ulm", "gtFine/train/ulm"],
        "town": [],  # drawn into the cache folder
    }
    for folder in folders[known.data.dataset]:
        (tmp_path / folder).mkdir(parents=True)
    small = msgspec.structs.replace(known.data, town_images=(1, 1, 1), town_size=(48, 64))
    filled = settled(small, open_dataset(small, tmp_path if folders[small.dataset] else None))
    assert None not in (filled.classes, filled.palette, filled.label_map, filled.colors)
    before, after = (msgspec.structs.replace(known, data=data) for data in (small, filled))
    assert after.hash() == before.hash()
    assert load_toml_text(to_toml(after), tmp_path).hash() == before.hash()


def load_toml_text(text: str, folder: Path) -> Recipe:
    (folder / "recipe.toml").write_text(text, "utf-8")
    return load_toml(folder / "recipe.toml")


@pytest.mark.parametrize(
    "own", [{"classes": tuple("abcdefghijk")}, {"label_map": {"0": 1}}, {"colors": {"#000000": 0}}]
)
def test_custom_classes_for_a_known_data_set_change_the_hash(own: dict):
    enet = recipe("enet-camvid")
    data = msgspec.structs.replace(enet.data, **own)
    assert msgspec.structs.replace(enet, data=data).hash() != enet.hash()


def test_the_hash_covers_groups_and_stages_but_not_the_path_of_a_run():
    enet = recipe("enet-camvid")
    grouped = apply_overrides(enet, ['optimizer.groups=[{pattern="^head", lr=10}]'])
    staged = apply_overrides(enet, ['stages=[{name="first"}]'])
    begun = apply_overrides(enet, ["initialize.recipe=other"])
    assert len({enet.hash(), grouped.hash(), staged.hash(), begun.hash()}) == 4
    # Fields at their defaults count for nothing, so that later fields of groups change no hash.
    assert apply_overrides(enet, ['optimizer.groups=[{pattern="^head", lr=10.0}]']).hash() == grouped.hash()
    assert apply_overrides(begun, ["initialize.run=runs/a"]).hash() == begun.hash()


@pytest.mark.heavy
def test_the_hash_does_not_depend_on_whether_plug_ins_were_imported(tmp_path: Path):
    code = (
        "from pixelwise.datasets.format import Format, register\n"
        "from pixelwise.recipes.class_sets.tables import ClassSet\n"
        "known = ClassSet(names=('a',), palette=((0, 0, 0),), label_table={0: 0})\n"
        "register(Format(name='acme-set', title='x', expected='x', layout=lambda root: None, classes=known))\n"
    )
    install(tmp_path, "acme", "[pixelwise.plugins]\nacme = acme\n", code)
    script = (
        "import sys; from pixelwise.plugins import import_plugins\nimport pixelwise\n"
        "pixelwise.recipe('town-demo').hash(); assert 'acme' not in sys.modules\n"
        "if sys.argv[1:]: import_plugins()\n"
        "print(pixelwise.recipe('town-demo', ['data.dataset=acme-set', 'data.classes=[a]']).hash())"
    )
    first, second = (python("-c", script, *words, site=tmp_path) for words in ((), ("early",)))
    assert first.stdout == second.stdout != "", first.stderr


def test_recipes_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        recipe("enet-camvid").optimizer.lr = 1.0  # type: ignore[misc]


def test_normalisation_of_more_than_three_bands_may_be_open_or_given():
    unet = recipe("unet-resnet18")
    waiting = apply_overrides(unet, ["data.channels=[3,2,1,7]"])
    assert (waiting.data.bands, waiting.model.preprocessing.in_channels) == (4, 3)
    given = ["model.preprocessing.mean=[0.1,0.2,0.3,0.4]", "model.preprocessing.std=[1,1,1,1]"]
    assert apply_overrides(waiting, given).model.preprocessing.mean == (0.1, 0.2, 0.3, 0.4)
    assert apply_overrides(unet, [*given, "data.channels=[3,2,1,7]"]).data.bands == 4
    for channels, named in ((["data.channels=[0]"], "data.channels .*1 bands"), ([], "RGB")):
        with pytest.raises(RecipeError, match=f"{named}, model.preprocessing .* 4") as caught:
            apply_overrides(unet, [*given, *channels])
        assert caught.value.code == "R203"


def test_photometric_distortion_needs_rgb():
    with pytest.raises(RecipeError, match=r"augment\.photometric is mmseg, .* 4 channels") as caught:
        apply_overrides(recipe("unet-resnet18"), ["augment.photometric=mmseg", "data.channels=[0,1,2,3]"])
    assert caught.value.code == "R203"


def test_a_network_of_an_unregistered_family_is_refused_at_once():
    class UnregisteredSpec(LinearSpec, frozen=True, kw_only=True, tag="unregistered"):
        pass

    with pytest.raises(RecipeError, match=rf"{__name__}\..*UnregisteredSpec") as caught:
        msgspec.structs.replace(recipe("generic-linear"), model=UnregisteredSpec())
    assert caught.value.code == "R203"


def test_the_rules_of_a_family_see_the_whole_recipe(monkeypatch: pytest.MonkeyPatch):
    class PairsSpec(LinearSpec, frozen=True, kw_only=True, tag="pairs"):
        def check(self, recipe: Described) -> None:
            require(recipe.sampling.batch_size % 2 == 0, f"batch {recipe.sampling.batch_size}", "an even one")

    monkeypatch.setitem(SPECS, "pairs", PairsSpec)
    entry = msgspec.structs.replace(recipe("generic-linear"), model=PairsSpec(), sampling=Sampling(batch_size=2))
    with pytest.raises(RecipeError, match="batch 3"):
        msgspec.structs.replace(entry, sampling=Sampling(batch_size=3))


def test_one_line():
    assert repr(recipe("enet-camvid")) == "<Recipe enet-camvid; enet>"
    assert re.fullmatch(
        r"<Recipe unet; unet on tf_efficientnet_lite0; \d+ fields planned from the data>", repr(recipe("unet"))
    )
