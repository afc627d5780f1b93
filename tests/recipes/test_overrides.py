import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.overrides import apply_overrides, changes_between, field_of, with_parts
from pixelwise.recipes.schema.recipe import to_plain


def test_values_are_toml_and_bare_words_are_text():
    changed = apply_overrides(
        recipe("enet-camvid"),
        ["optimizer.lr=0.02", "schedule.kind=cosine", "augment.crop=[64, 96]", "data.label_map={0 = 1, 255 = 255}"],
    )
    assert (changed.optimizer.lr, changed.schedule.kind, changed.augment.crop) == (0.02, "cosine", (64, 96))
    assert changed.data.label_map == {"0": 1, "255": 255}


def test_the_field_of_an_override_is_what_it_changes():
    for override in ("data.channels=[0]", " data.channels = [0] ", "data.channels=a=b"):
        assert field_of(override) == "data.channels"


def test_bare_words_within_brackets_are_text():
    changed = apply_overrides(recipe("enet-camvid"), ["evaluation.protocols=[native, camvid-480x360]"])
    assert changed.evaluation.protocols == ("native", "camvid-480x360")
    assert apply_overrides(recipe("enet-camvid"), ["data.classes=[a]"]).data.classes == ("a",)
    with pytest.raises(RecipeError, match=r"augment\.crop\[1\]: ") as caught:
        apply_overrides(recipe("enet-camvid"), ["augment.crop=[64, wide]"])
    assert caught.value.code == "R203"


@pytest.mark.parametrize(
    "overrides",
    [
        ["schedule.epochs=3", "augment.crop=[64, 96]", "data.classes=none"],
        {"schedule.epochs": 3, "augment.crop": (64, 96), "data.classes": None},
    ],
)
def test_overrides_are_words_or_a_dict(overrides):
    changed = apply_overrides(recipe("unet-resnet18"), overrides)

    assert (changed.schedule.epochs, changed.augment.crop, changed.data.classes) == (3, (64, 96), None)


def test_a_single_override_may_be_given_as_text():
    assert apply_overrides(recipe("unet-resnet18"), "schedule.epochs=3").schedule.epochs == 3


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
        ("optimizer.lrr=1", "R202", "optimizer .*'lrr'.*'lr'"),
        ("optimiser.lr=1", "R202", "'optimiser.lr'.*'optimizer.lr'"),
        ("model.encoder=resnet18", "R202", "model .*'encoder'"),
        ("optimizer.lr=fast", "R203", "optimizer.lr: .* got 'fast'"),
        ("schedule.epochs=three", "R203", "schedule.epochs: .* none, got 'three'"),
        ("augment.crop=256", "R203", r"augment.crop: .*\[256, 256\] or none, got 256"),
        ("augment.crop=[256,256", "R203", r"augment.crop: .* none, got '\[256,256'"),
        ("optimizer.lr=-1", "R203", r"optimizer.lr is -1.0; expected more than 0"),
        ("augment.flip=2", "R203", r"augment.flip is 2.0; expected 0..1"),
        ("augment.scale=[0.5, 2]", "R203", "augment.scale, .*augment.crop "),
        ("schedule.epochs=0", "R203", "schedule.epochs is 0; expected 1 or more"),
        ("schedule.iterations=0", "R203", "schedule.iterations is 0; expected 1 or more"),
        ("schedule.gamma=0", "R203", "schedule.gamma is 0.0; expected more than 0"),
        ("schedule.power=-1", "R203", "schedule.power is -1.0; expected more than 0"),
        ("schedule.min_lr_ratio=1.5", "R203", r"schedule.min_lr_ratio is 1.5; expected 0\.\.1"),
        ("schedule.warmup_ratio=-0.5", "R203", r"schedule.warmup_ratio is -0.5; expected 0\.\.1"),
        ("schedule.warmup_iterations=-1", "R203", "schedule.warmup_iterations is -1; expected 0 or more"),
        ("evaluation.batch_size=0", "R203", "evaluation.batch_size is 0; expected 1 or more"),
        ("evaluation.input_size=[0, 480]", "R203", r"evaluation.input_size is \[0, 480\]"),
        ("augment.resize=[360, -1]", "R203", r"augment.resize is \[360, -1\]"),
        ("augment.crop=[0, 0]", "R203", r"augment.crop is \[0, 0\]"),
        ("data.town_size=[0, 64]", "R203", r"data.town_size is \[0, 64\]"),
        ("data.town_images=[8, 0, 8]", "R203", r"data.town_images is \[8, 0, 8\]; expected 1 or more"),
        ("data.town_seed=-1", "R203", "data.town_seed is -1; expected 0 or more"),
        ("data.input_range=[5, 5]", "R203", r"data.input_range is \[5.0, 5.0\]"),
        ("data.max_pixels=0", "R203", "data.max_pixels is 0; expected 1 or more"),
        ("data.workers=-1", "R203", "data.workers is -1; expected 0 or more"),
        ("optimizer.betas=[0.9, 1]", "R203", r"optimizer.betas is \[0.9, 1.0\]"),
        ("optimizer.momentum=1", "R203", "optimizer.momentum is 1.0; expected 0 or more and less than 1"),
        ("optimizer.weight_decay=-1", "R203", "optimizer.weight_decay is -1.0; expected 0 or more"),
        ("optimizer.weight_decay=nan", "R203", "optimizer.weight_decay is nan; expected 0 or more"),
        ("optimizer.clip_norm=0", "R203", "optimizer.clip_norm is 0.0; expected more than 0"),
        ("loss.label_smoothing=1", "R203", "loss.label_smoothing is 1.0; expected 0 or more and less than 1"),
        ("loss.dice=-1", "R203", "loss.dice is -1.0; expected 0 or more"),
        ("loss.auxiliary=-1", "R203", "loss.auxiliary is -1.0; expected 0 or more"),
        ("checkpoints.every_minutes=0", "R203", "checkpoints.every_minutes is 0.0; expected more than 0"),
        ("checkpoints.every_steps=0", "R203", "checkpoints.every_steps is 0; expected 1 or more"),
        ("selection.every_epochs=-1", "R203", "selection.every_epochs is -1; expected 0 or more"),
        ("sampling.seed=-1", "R203", "sampling.seed is -1; expected 0 or more"),
        ("sampling.batch_size=0", "R203", "sampling.batch_size is 0; expected 1 or more"),
        (
            "schedule.kind=polyy",
            "R203",
            "schedule.kind: .*'polyy'.* constant, step, poly, cosine, one-cycle; .*'poly'",
        ),
        ("model.graph=any", "R203", "model.graph: .*'any'.* overlapping, any-size; .*'any-size'"),
        ("model.family=enett", "R235", r"model\.family: .*'enett'.*'enet'"),
        ("data.cache=3", "R203", "data.cache: .* got 3"),
        ("selection.every_epochs=0", "R203", "selection.weights is 'best' but selection.every_epochs is 0"),
        ("checkpoints.keep=1", "R203", "checkpoints.keep is 1; expected 2 or more"),
        ('evaluation.protocols=["nativ"]', "R204", "'nativ'.*'native'"),
        ("lr", "R201", "'lr'"),
        ("optimizer.lr.x=1", "R202", r"'optimizer\.lr\.x': 'lr' "),
        ('optimizer.groups=[{pattern="a", rate=1}]', "R202", r"optimizer.groups\[0\] .*'rate'"),
        ('optimizer.groups=[{pattern="("}]', "R203", r"optimizer\.groups: '\('"),
        ("optimizer.lr_batch=0", "R203", "optimizer.lr_batch is 0; expected 1 or more"),
        ("optimizer.layer_decay=1.5", "R203", r"optimizer.layer_decay is 1.5; expected 0\.\.1"),
        ("selection.patience=0", "R203", "selection.patience is 0; expected 1 or more"),
        ("selection.min_delta=-1", "R203", "selection.min_delta is -1.0; expected 0 or more"),
    ],
)
def test_wrong_overrides_are_errors_with_field_value_and_help(override: str, code: str, words: str):
    with pytest.raises(RecipeError, match=words) as caught:
        apply_overrides(recipe("enet-camvid"), [override])
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert caught.value.help


def test_the_published_number_is_claimed_only_by_the_published_experiment():
    row = recipe("enet-camvid")
    same = ["data.workers=1", "data.cache=off", 'data.allow=["D133"]', "checkpoints.keep=3", "sampling.seed=1"]
    assert apply_overrides(row, []) == row
    assert apply_overrides(row, ["optimizer.lr=0.0005", "schedule.epochs=300"]) == row
    assert apply_overrides(row, same).published == row.published
    for override in ("schedule.epochs=299", "ema.decay=0.9", "published.miou_percent=99"):
        changed = apply_overrides(row, [*same, override])
        assert (changed.name, changed.published) == (row.name, None)


def test_another_encoder_weight_keeps_the_initial_run_but_not_the_licence():
    begun = ["initialize.recipe=enet-camvid", "initialize.run=runs/a", "initialize.licence=MIT"]
    changed = apply_overrides(recipe("unet-resnet18"), [*begun, "initialize.encoder=default"]).initialize
    assert (changed.encoder, changed.recipe, changed.run, changed.licence) == (
        "default",
        "enet-camvid",
        "runs/a",
        "",
    )


@pytest.mark.parametrize("name", list_recipes())
def test_changes_between_two_recipes_turn_one_into_the_other(name: str):
    after = recipe(name)
    for start in ("town-demo", "erfnet-cityscapes", "deeplab-xception65-cityscapes"):
        before = recipe(start)
        changes = changes_between(before, after)
        assert apply_overrides(before, changes) == msgspec.structs.replace(
            after, published=before.published if not changes else None
        )


def test_changes_are_written_like_overrides_typed_by_hand():
    before = recipe("enet-camvid")
    wanted = [
        "augment.crop=[64, 96]", "optimizer.lr=0.02", "schedule.epochs=none", "schedule.iterations=7",
        "sampling.batch_size=4", "precision.dtype=float32", "precision.channels_last=true",
    ]  # fmt: skip
    before = apply_overrides(before, ["precision.dtype=auto"])
    assert changes_between(before, apply_overrides(before, wanted)) == wanted
    assert changes_between(before, before) == []


@pytest.mark.parametrize("text", ["none", "true", "7", "a b", 'say "so"', "[x]", "ä\n\t\x7f", "", " x", "{a = 1}"])
def test_any_text_survives_being_written_as_a_change(text: str):
    before = recipe("enet-camvid")
    after = msgspec.structs.replace(before, summary=text, published=None)
    assert apply_overrides(before, changes_between(before, after)).summary == text


def test_keys_that_need_quotes_survive():
    before = recipe("town-demo")
    data = msgspec.structs.replace(
        before.data, dataset="folder", classes=("a", "b"), colors={"#ff0000": 0, "#00ff00": 1}
    )
    after = with_parts(before, data=data)
    assert apply_overrides(before, changes_between(before, after)).data == data


def test_other_sections_drop_the_published_result_unless_the_experiment_is_the_same():
    row = recipe("enet-camvid")
    more = msgspec.structs.replace(row.sampling, batch_size=20)
    kept = msgspec.structs.replace(row.data, workers=3)
    assert with_parts(row, data=kept).published == row.published
    assert with_parts(row, sampling=more).published is None
    assert with_parts(row, sampling=more) == apply_overrides(row, ["sampling.batch_size=20"])


def test_a_length_of_the_warm_up_replaces_one_in_another_unit():
    generic = recipe("unet-resnet18")
    assert generic.schedule.warmup_share == 0.05
    steps = apply_overrides(generic, ["schedule.warmup_iterations=0"])
    assert (steps.schedule.warmup_iterations, steps.schedule.warmup_share) == (0, 0.0)
    assert apply_overrides(generic, ["schedule.warmup_epochs=2"]).schedule.warmup_share == 0
    back = apply_overrides(apply_overrides(generic, ["schedule.warmup_epochs=2"]), ["schedule.warmup_share=0.05"])
    assert back == generic
