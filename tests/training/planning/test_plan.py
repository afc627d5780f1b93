"""Plans of real folders; the pace is given."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.api.train import train
from pixelwise.errors import RecipeError
from pixelwise.observer import SILENT, Observer, TrainingStart
from pixelwise.prediction.loading import load
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import apply_overrides, changes_between, to_toml
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.planning import rules
from pixelwise.training.planning.pace import Pace
from pixelwise.training.planning.plan import Plan, Time, plan, with_time_limit
from pixelwise.training.setup import look_at_data

USUAL = Pace(0.5, 2.0)
CPU = torch.device("cpu")
SMALL = ["model.encoder=mobilenetv3_small_050", "initialize.encoder=none", "precision.dtype=float32"]


@pytest.fixture
def folder(make_folder: Callable[..., Path]) -> Path:
    """20 images of 64x96, a tenth of which is the object: 15 to train on."""
    mask = np.zeros((64, 96), np.uint8)
    mask[:10, :60] = 1
    return make_folder({f"p{number}x": mask for number in range(20)})


def planned(
    folder: Path, overrides: list[str], minutes: float | None = None, pace: Pace = USUAL, observer: Observer = SILENT
) -> Plan:
    wanted = with_time_limit(apply_overrides(recipe("unet"), [*SMALL, *overrides]), minutes, overrides)
    dataset, facts, resolved = look_at_data(wanted, folder, SILENT)
    limit = Time(minutes, time.monotonic())
    return plan(resolved, dataset, facts, CPU, limit, observer, measured=lambda *arguments: pace)


def values(found: Plan) -> dict[str, object]:
    return {one.field: one.value for one in found.choices}


@pytest.mark.heavy
def test_everything_planned_is_chosen(folder: Path) -> None:
    found = planned(folder, [])
    assert values(found) == {
        "augment.crop": [64, 96],
        "sampling.batch_size": 2,
        "loss.class_weights": "inverse-sqrt",
        "schedule.epochs": 286,  # 7 steps per epoch
        "selection.every_epochs": 28,
        "ema.decay": 0.99001,  # 2,002 steps
    }
    assert found.recipe.planned == ()
    assert found.facts.class_weights is not None
    assert found.facts.class_weights[1] > found.facts.class_weights[0]
    assert found.seconds is None


@pytest.mark.heavy
def test_what_is_set_is_kept(folder: Path) -> None:
    found = planned(folder, ["augment.crop=[32,32]", "schedule.epochs=7", "ema=none", "loss.class_weights=none"])
    assert found.recipe.augment.crop == (32, 32)
    assert found.recipe.schedule.epochs == 7
    assert found.recipe.ema is None
    assert values(found) == {"sampling.batch_size": 2, "selection.every_epochs": 1}


@pytest.mark.heavy
def test_large_images_are_shrunk_in_training_and_wherever_the_run_predicts(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Images of 64x96 are 6,144 pixels. At most 8 x 512 = 4,096 are wanted: 52x78, or 32x64 in multiples of 32. Into
    # these bounds they fit with 32x48.
    monkeypatch.setitem(rules.MOST_PIXELS, "cpu", 512)
    wanted = [*SMALL, "schedule.epochs=1"]
    run = train("unet", folder, tmp_path / "run", overrides=wanted, observer=SILENT)
    assert run.recipe.augment.fit == (32, 64)
    assert run.recipe.augment.crop == (32, 32)
    assert run.recipe.evaluation.protocols == ("within-64x32",)
    segmenter, sizes = load(run), set()
    segmenter.model.encoder.register_forward_pre_hook(lambda _, inputs: sizes.add(tuple(inputs[0].shape[2:])))
    mask = segmenter.predict(np.zeros((64, 96, 3), np.uint8)).labels
    assert sizes == {(32, 48)}
    assert mask.shape == (64, 96)


@pytest.mark.heavy
@pytest.mark.parametrize("given", ["augment.fit=none", "augment.resize=[64,96]", "evaluation.protocols=[native]"])
def test_large_images_keep_the_size_that_somebody_decided(
    folder: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(rules.MOST_PIXELS, "cpu", 512)
    assert not {"augment.fit", "augment.resampling", "evaluation.protocols"} & set(values(planned(folder, [given])))


@pytest.mark.heavy
def test_minutes_become_steps_of_this_machine(folder: Path) -> None:
    found = planned(folder, [], minutes=10)
    # 600 s less the final score of 2 s and 10 evaluations, less the moments of this test.
    assert found.recipe.schedule.iterations == pytest.approx(1156, abs=60)
    assert found.recipe.schedule.epochs is None
    assert found.seconds == pytest.approx(600, abs=30)


@pytest.mark.heavy
def test_slow_evaluations_become_rarer(folder: Path) -> None:
    found = planned(folder, [], minutes=10, pace=Pace(0.5, 60.0))
    steps = found.recipe.schedule.iterations or 0
    evaluations = -(-steps // (7 * found.recipe.selection.every_epochs))
    assert steps == pytest.approx(864, abs=60)  # 540 s, of which a fifth is for evaluations
    assert evaluations <= 2


@pytest.mark.heavy
def test_too_few_minutes_are_said_with_a_number_that_would_do(folder: Path) -> None:
    warnings: list[str] = []

    class Told(Observer):
        def warn(self, code: str, message: str) -> None:
            warnings.append(f"{code} {message}")

    found = planned(folder, [], minutes=1, pace=Pace(3.0, 20.0), observer=Told())
    assert found.recipe.schedule.iterations is not None
    (said,) = (one for one in warnings if one.startswith("W520"))
    # 100 steps of 3 s and 11 evaluations of 20 s: 520 s, and the moments of this test.
    assert said.endswith("100 steps take about 9 minutes")


def test_minutes_lengthen_a_fixed_recipe_alone(folder: Path) -> None:
    before = apply_overrides(recipe("unet-resnet18"), SMALL)
    wanted = with_time_limit(before, 10, [])
    dataset, facts, resolved = look_at_data(wanted, folder, SILENT)
    found = plan(resolved, dataset, facts, CPU, Time(10, time.monotonic()), SILENT, measured=lambda *_: Pace(1, 1))
    changed = [word.partition("=")[0] for word in changes_between(resolved, found.recipe)]
    assert sorted(changed) == ["planned", "schedule.epochs", "schedule.iterations"]


def test_two_lengths_are_refused() -> None:
    for given in ("schedule.epochs=3", "schedule.iterations=9"):
        with pytest.raises(RecipeError, match="`minutes` is 5") as caught:
            with_time_limit(apply_overrides(recipe("unet"), [given]), 5, [given])
        assert caught.value.code == "R227"
    staged = recipe("unetlite-mobilenetv2-cityscapes-768x384-qat")
    with pytest.raises(RecipeError, match="2 trainings"):
        with_time_limit(staged, 5, [])


def test_a_recipe_without_plan_is_untouched(folder: Path) -> None:
    dataset, facts, resolved = look_at_data(apply_overrides(recipe("unet-resnet18"), SMALL), folder, SILENT)
    found = plan(resolved, dataset, facts, CPU, Time(None, 0), SILENT)
    assert found == Plan(resolved, facts, (), None)


@pytest.mark.heavy
def test_the_recorded_changes_repeat_the_plan(folder: Path) -> None:
    found = planned(folder, [])
    _, _, asked = look_at_data(apply_overrides(recipe("unet"), SMALL), folder, SILENT)
    again = apply_overrides(asked, changes_between(asked, found.recipe))
    assert again == found.recipe


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("[augment]\ncrop = [64, 64]\n", {"augment.crop"}),
        ("[augment]\nflip = 0.5\n", set()),
        ("[schedule]\niterations = 5\n", {"schedule.epochs"}),
        ('[schedule]\nkind = "constant"\n', set()),
        ('[precision]\ndtype = "float32"\n', {"precision"}),
    ],
)
def test_a_file_decides_the_fields_that_it_sets(tmp_path: Path, text: str, decided: set[str]) -> None:
    (tmp_path / "mine.toml").write_text(f'base = "unet"\n{text}')
    assert set(recipe("unet").planned) - set(find(tmp_path / "mine.toml").planned) == decided


def test_a_planned_recipe_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "unet.toml").write_text(to_toml(recipe("unet")))
    assert find(tmp_path / "unet.toml") == recipe("unet")


def test_only_known_fields_are_planned() -> None:
    with pytest.raises(RecipeError, match=r"planned names optimizer\.lr"):
        apply_overrides(recipe("unet"), ['planned=["optimizer.lr"]'])


@pytest.mark.heavy
def test_a_plan_ends_in_a_run_that_says_what_was_chosen(folder: Path, tmp_path: Path) -> None:
    import pixelwise
    from pixelwise.records.log import PlanRecord, read_log
    from pixelwise.records.run_folder import read_recipe

    told: list[TrainingStart] = []

    class Told(Observer):
        def begin(self, start: TrainingStart) -> None:
            told.append(start)

    words = [*SMALL, "schedule.iterations=2"]
    run = pixelwise.train("unet", folder, tmp_path / "run", overrides=words, evaluate=False, observer=Told())
    written: Recipe = read_recipe(run)
    assert written.planned == ()
    assert written.augment.crop == (64, 96)
    (record,) = read_log(run).of(PlanRecord)
    assert [one.field for one in record.choices] == [field for field, _, _ in told[0].choices]
    assert told[0].data == "15 images to train on, 5 in val; 2 classes: class_0, class_1"
    assert told[0].weights == "random"
    assert told[0].batches == "crops of 96x64, batches of 2, 2 steps (0.3 epochs)"
