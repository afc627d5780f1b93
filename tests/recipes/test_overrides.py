from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import apply_overrides, from_plain, load_toml, to_toml
from pixelwise.recipes.schema import to_plain


@pytest.mark.parametrize("name", list_recipes())
def test_toml_is_read_back_equal(name: str, tmp_path: Path):
    path = tmp_path / "recipe.toml"
    path.write_text(to_toml(recipe(name)), "utf-8")
    assert load_toml(path) == recipe(name)


def test_values_are_toml_and_bare_words_are_text():
    changed = apply_overrides(
        recipe("enet-camvid"),
        ["optimizer.lr=0.02", "schedule.kind=cosine", "augment.crop=[64, 96]", "data.label_map={0 = 1, 255 = 255}"],
    )
    assert (changed.optimizer.lr, changed.schedule.kind, changed.augment.crop) == (0.02, "cosine", (64, 96))
    assert changed.data.label_map == {"0": 1, "255": 255}


def test_none_unsets():
    assert apply_overrides(recipe("enet-camvid"), ["augment.resize=none"]).augment.resize is None


def test_iterations_replace_epochs():
    schedule = apply_overrides(recipe("enet-camvid"), ["schedule.iterations=7"]).schedule
    assert (schedule.epochs, schedule.iterations) == (None, 7)


def test_another_family_starts_from_its_own_defaults():
    model = apply_overrides(recipe("unet-resnet18"), ["model.family=enet", "model.graph=overlapping"]).model
    assert to_plain(apply_overrides(recipe("unet-resnet18"), ["model.family=enet"]))["model"]["graph"] == "any-size"
    assert type(model).__name__ == "ENetSpec"


@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ("optimizer.lrr=1", "R202", "optimizer has no field 'lrr'; did you mean 'lr'"),
        ("optimiser.lr=1", "R202", "no field 'optimiser'; did you mean 'optimizer'"),
        ("model.encoder=resnet18", "R202", "model has no field 'encoder'"),
        ("optimizer.lr=fast", "R203", "optimizer.lr: expected float, got str"),
        ("optimizer.lr=-1", "R203", r"optimizer.lr is -1.0; expected more than 0"),
        ("augment.flip=2", "R203", r"augment.flip is 2.0; expected 0..1"),
        ("augment.scale=[0.5, 2]", "R203", "augment.crop is not set"),
        ("schedule.epochs=0", "R203", "schedule length is 0"),
        ("selection.every_epochs=0", "R203", "nothing is ever compared"),
        ("checkpoints.keep=1", "R203", "checkpoints.keep is 1; expected 2 or more"),
        ('evaluation.protocols=["nativ"]', "R204", "did you mean 'native'"),
        ("lr", "R201", "'lr' is not an override"),
        ("optimizer.lr.x=1", "R202", "'lr' has no fields"),
    ],
)
def test_mistakes_say_what_where_and_what_to_do(override: str, code: str, words: str):
    with pytest.raises(RecipeError, match=words) as caught:
        apply_overrides(recipe("enet-camvid"), [override])
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert caught.value.help or code == "R203"


def test_a_file_with_a_base_changes_only_what_it_names(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "enet-camvid"\n[optimizer]\nlr = 0.1\n[schedule]\niterations = 9\n', "utf-8")
    mine = recipe(str(path))
    assert (mine.name, mine.optimizer.lr, mine.optimizer.weight_decay) == ("mine", 0.1, 2e-4)
    assert (mine.schedule.epochs, mine.schedule.iterations) == (None, 9)
    assert mine.published is None


def test_a_file_that_is_not_toml_is_named(tmp_path: Path):
    path = tmp_path / "bad.toml"
    path.write_text("optimizer = [", "utf-8")
    with pytest.raises(RecipeError, match=r"bad\.toml") as caught:
        recipe(str(path))
    assert caught.value.code == "R205"


def test_an_unknown_field_in_a_file_names_the_file(tmp_path: Path):
    path = tmp_path / "typo.toml"
    path.write_text('base = "enet-camvid"\n[ema]\ndecai = 0.9\n', "utf-8")
    with pytest.raises(RecipeError, match=r"typo\.toml: ema has no field 'decai'; did you mean 'decay'"):
        recipe(str(path))


def test_plain_data_makes_the_same_recipe():
    assert from_plain(to_plain(recipe("town-demo"))) == recipe("town-demo")
