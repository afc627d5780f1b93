"""What happens before the first step, by itself; whole runs are in test_runs.py and test_stages.py."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import torch
from observers import Told
from PIL import Image
from torch import nn

from pixelwise.datasets.samples import Dataset
from pixelwise.errors import CheckpointError, DataError, RecipeError
from pixelwise.models import SegmentationModel
from pixelwise.models.building import BUILDERS, builds
from pixelwise.models.quantization.aware import QuantizationAwareModel
from pixelwise.observer import SILENT, Observer
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.model import SPECS, Spec, register_spec
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.terms import TERMS, Term, register_term
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.log import WarningRecord, read_log
from pixelwise.records.run_folder import CHECKPOINTS, write_recipe
from pixelwise.training.runs import resume, train
from pixelwise.training.setup import (
    PreparedRun,
    look_at_data,
    planned_steps,
    prepare_run,
    refuse_without_run,
    use_processor,
    with_auto_batch,
    with_chosen_format,
)

CPU = torch.device("cpu")
UNWATCHED = ("selection.every_epochs=0", "selection.weights=last")
Looked = tuple[Dataset, DataFacts, Recipe]


@pytest.fixture(scope="module")
def looked(tiny_data: Path, tiny_recipe: Path) -> Looked:
    """The tiny data and what is known of it, and the tiny recipe with what it left open."""
    return look_at_data(find_recipe(str(tiny_recipe)), tiny_data, SILENT)


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """The tiny data, to be changed."""
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


@pytest.fixture
def tiny(tiny_recipe: Path) -> Recipe:
    return find_recipe(str(tiny_recipe))


def prepare(
    looked: Looked, run: Path, *changes: str, begin: Path | None = None, observer: Observer = SILENT
) -> PreparedRun:
    dataset, facts, recipe = looked
    return prepare_run(apply_overrides(recipe, changes), dataset, facts, run, CPU, observer, begin)


def weights(prepared: PreparedRun) -> dict[str, torch.Tensor]:
    return prepared.state.model.state_dict()


def finished(looked: Looked, run: Path, *changes: str) -> PreparedRun:
    """A run of the tiny recipe that has a checkpoint, of weights that training never makes."""
    prepared = prepare(looked, run, "sampling.seed=77", *changes)
    with torch.no_grad():
        for parameter in prepared.state.model.parameters():
            parameter.fill_(0.5)
    if prepared.state.average is not None:
        prepared.state.average.load_state_dict(prepared.state.model.state_dict())
    prepared.state.progress.step = 16
    prepared.state.save(run / CHECKPOINTS, prepared.recipe)
    write_recipe(run, prepared.recipe)
    return prepared


def test_what_is_recorded_of_the_data_is_what_lies_in_the_folder(looked: Looked, tiny_data: Path):
    _, facts, recipe = looked
    assert (facts.splits, facts.images) == (("train", "test", "val"), {"train": 8, "test": 3, "val": 3})
    assert facts.classes == recipe.data.classes == ("ground", "box", "ball")
    assert facts.largest_image == (48, 64)
    assert facts.unusable == {}
    masks = [np.asarray(Image.open(path)) for path in (tiny_data / "masks" / "train").iterdir()]
    counted = facts.statistics["train"]
    assert counted.images == 8
    assert counted.pixels == tuple(sum(int((mask == label).sum()) for mask in masks) for label in range(3))
    assert counted.void_pixels == sum(int((mask == 255).sum()) for mask in masks) == 8 * 2 * 64


def test_the_recipe_gets_what_the_data_says_and_the_rest_of_it_stays(looked: Looked, tiny: Recipe):
    _, _, recipe = looked
    assert tiny.data.classes is None
    assert recipe.data.palette is not None
    assert len(recipe.data.palette) == 3
    assert msgspec.structs.replace(recipe, data=tiny.data) == tiny


@pytest.mark.parametrize(
    ("changes", "splits"),
    [
        (UNWATCHED, ("train", "test")),
        (("evaluation.split=val",), ("train", "val")),
        (("selection.split=test",), ("train", "test")),
        ((*UNWATCHED, "evaluation.split=train"), ("train",)),
    ],
)
def test_only_the_splits_that_a_run_uses_are_looked_at(
    changes: tuple[str, ...], splits: tuple[str, ...], tiny: Recipe, tiny_data: Path
):
    _, facts, _ = look_at_data(apply_overrides(tiny, changes), tiny_data, SILENT)
    assert facts.splits == splits == tuple(facts.statistics)


def test_rare_classes_weigh_more_and_none_weighs_nothing_special(looked: Looked, tiny: Recipe, tiny_data: Path):
    found = looked[1].class_weights
    assert found is not None
    # ENet: 1 / ln(1.02 + share of the class), of all pixels of the split.
    pixels = np.array(looked[1].statistics["train"].pixels)
    assert found[0] == min(found)
    assert sorted(found, reverse=True) == [found[index] for index in np.argsort(pixels)]
    _, facts, _ = look_at_data(apply_overrides(tiny, ["loss.class_weights=none"]), tiny_data, SILENT)
    assert facts.class_weights is None


def test_a_missing_split_is_said_before_the_images_are_looked_at(tiny: Recipe, tiny_data: Path):
    said: list[str] = []
    with pytest.raises(DataError) as caught:
        look_at_data(apply_overrides(tiny, ["evaluation.split=dev"]), tiny_data, Told(phase=said.append))
    assert caught.value.code == "D221"
    assert "'dev'" in caught.value.message
    assert said == ["opening the data"]


def test_a_damaged_pair_stops_a_run_or_is_left_out_where_that_is_allowed(tiny: Recipe, data: Path, tmp_path: Path):
    (data / "images" / "train" / "03.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        look_at_data(tiny, data, SILENT)
    assert "train/03.png" in caught.value.message

    said: list[str] = []
    allowing = apply_overrides(tiny, [f"data.allow=['{caught.value.code}']"])
    dataset, facts, recipe = look_at_data(allowing, data, Told(warn=lambda code, _: said.append(code)))
    assert caught.value.code in said
    assert facts.unusable == {"train": ("03",)}
    assert (facts.images["train"], facts.statistics["train"].images) == (8, 7)
    assert facts.findings is not None
    assert caught.value.code in {finding.code for finding in facts.findings}
    prepared = prepare_run(recipe, dataset, facts, tmp_path / "run", CPU, SILENT, None)
    assert [sample.id for sample in prepared.dataset.samples("train")] == [f"{n:02d}" for n in range(8) if n != 3]


def test_bands_are_normalised_by_what_was_measured(tiny: Recipe, tiny_data: Path):
    said: list[str] = []
    chosen = apply_overrides(tiny, ["data.channels=[2,0]", "augment.brightness=0"])
    _, facts, recipe = look_at_data(chosen, tiny_data, Told(warn=lambda code, _: said.append(code)))
    pixels = np.stack([np.asarray(Image.open(path)) for path in (tiny_data / "images" / "train").iterdir()])[
        ..., [2, 0]
    ]
    assert recipe.model.preprocessing.mean == pytest.approx(pixels.mean((0, 1, 2)) / 255, abs=1e-3)
    assert recipe.model.preprocessing.std == pytest.approx(pixels.std((0, 1, 2)) / 255, abs=1e-3)
    assert facts.statistics["train"].mean == pytest.approx(recipe.model.preprocessing.mean, abs=1e-3)
    assert said.count("W108") == 1


def test_a_normalisation_that_is_given_stays(tiny: Recipe, tiny_data: Path):
    said: list[str] = []
    given = ["data.channels=[2,0]", "model.preprocessing.mean=[0.5,0.25]", "model.preprocessing.std=[1,2]"]
    _, _, recipe = look_at_data(apply_overrides(tiny, given), tiny_data, Told(warn=lambda code, _: said.append(code)))
    assert (recipe.model.preprocessing.mean, recipe.model.preprocessing.std) == ((0.5, 0.25), (1, 2))
    assert "W108" not in said


def test_a_constant_band_is_refused(tiny: Recipe, data: Path):
    for path in (data / "images").rglob("*.png"):
        pixels = np.array(Image.open(path))
        pixels[..., 1] = 7
        Image.fromarray(pixels).save(path)
    with pytest.raises(DataError) as caught:
        look_at_data(apply_overrides(tiny, ["data.channels=[0,1]"]), data, SILENT)
    assert caught.value.code == "D107"
    assert "band 1 " in caught.value.message


@pytest.fixture
def two_masks_each(tmp_path: Path) -> Path:
    """Eight images with a mask per class."""
    root = tmp_path / "shapes"
    for folder in ("images", "masks/disc", "masks/bar"):
        (root / folder).mkdir(parents=True)
    for number in range(8):
        random = np.random.default_rng(number)
        Image.fromarray(random.integers(0, 256, (16, 24, 3), np.uint8)).save(root / "images" / f"{number}.png")
        for name in ("disc", "bar"):
            mask = (random.random((16, 24)) < 0.5).astype(np.uint8) * 255
            Image.fromarray(mask).save(root / "masks" / name / f"{number}.png")
    return root


def test_multi_label_data_is_recognised(two_masks_each: Path):
    recipe = apply_overrides(find_recipe("unet-resnet18"), UNWATCHED)
    said: list[str] = []
    dataset, facts, found = look_at_data(recipe, two_masks_each, Told(phase=said.append))
    assert (recipe.data.multilabel, found.data.multilabel, dataset.multilabel) == (False, True, True)
    assert facts.classes == ("bar", "disc")
    assert any("data.multilabel=true" in phase for phase in said)
    again: list[str] = []
    asked = apply_overrides(recipe, ["data.multilabel=true"])
    assert look_at_data(asked, two_masks_each, Told(phase=again.append))[2] == found
    assert not any("data.multilabel=true" in phase for phase in again)


def test_a_loss_that_does_not_go_with_the_labels_is_refused_before_files_are_looked_at(two_masks_each: Path):
    said: list[str] = []
    recipe = apply_overrides(find_recipe("unet-resnet18"), [*UNWATCHED, "loss.lovasz=1"])
    with pytest.raises(RecipeError) as caught:
        look_at_data(recipe, two_masks_each, Told(phase=said.append))
    assert caught.value.code == "R203"
    assert "lovasz" in caught.value.message
    assert "looking at the data" not in said


def test_a_loss_for_several_labels_is_refused_where_a_pixel_has_one(tiny: Recipe, tiny_data: Path):
    @register_term("several")
    class Several(Term, frozen=True, kw_only=True):
        single_label: ClassVar[bool] = False
        multi_label: ClassVar[bool] = True

    said: list[str] = []
    try:
        recipe = msgspec.structs.replace(tiny, loss=Loss(terms={"several": Several()}))
        with pytest.raises(RecipeError) as caught:
            look_at_data(recipe, tiny_data, Told(phase=said.append))
    finally:
        TERMS.discard("several")
    assert caught.value.code == "R203"
    assert "loss.terms.several" in caught.value.message
    assert said == ["opening the data"]


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ((), 16),
        (("schedule.iterations=5",), 5),
        (("schedule.epochs=3",), 12),
        (("schedule.epochs=3", "sampling.accumulate=2"), 6),
        (("schedule.epochs=3", "sampling.batch_size=3"), 9),
        (("schedule.epochs=3", "sampling.batch_size=3", "sampling.drop_last=true"), 6),
    ],
)
def test_eight_images_make_so_many_steps(changes: tuple[str, ...], steps: int, looked: Looked):
    assert planned_steps(apply_overrides(looked[2], changes), looked[0], (0, 0)) == steps


def test_more_images_per_step_than_there_are_is_refused(looked: Looked, tmp_path: Path):
    for changes, words in (
        (["sampling.batch_size=9", "sampling.drop_last=true"], "sampling.batch_size=9"),
        (['stages=[{name="first", overrides=["sampling.accumulate=5"]}]'], "stage 'first'"),
    ):
        with pytest.raises(RecipeError) as caught:
            prepare(looked, tmp_path / "run", *changes)
        assert caught.value.code == "R211"
        assert words in caught.value.message
        assert "8 training images" in caught.value.message
    assert not (tmp_path / "run").exists()


def test_the_seed_alone_decides_the_weights_of_step_0(looked: Looked, tmp_path: Path):
    made = []
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)
        made.append(weights(prepare(looked, tmp_path / "run", f"sampling.seed={seed}")))
    first, again, other = made
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


def test_a_prepared_run_has_done_nothing_yet(looked: Looked, tmp_path: Path):
    said: list[str] = []
    prepared = prepare(looked, tmp_path / "run", observer=Told(phase=said.append))
    assert (prepared.steps, prepared.state.progress.step, prepared.device) == (16, 0, CPU)
    assert prepared.state.average is not None
    assert prepared.state.model.classes == ("ground", "box", "ball")
    assert (prepared.initial_weights.encoder, prepared.initial_weights.run) == ("none", None)
    assert said == ["building the network"]
    assert not (tmp_path / "run").exists()


@pytest.mark.heavy
def test_a_run_begins_with_the_weights_of_the_run_that_its_recipe_names(looked: Looked, tmp_path: Path):
    finished(looked, tmp_path / "first")
    said: list[str] = []
    named = [f"initialize.run={tmp_path / 'first'}", "initialize.recipe=tiny"]
    prepared = prepare(looked, tmp_path / "run", *named, observer=Told(phase=said.append))
    assert all((parameter == 0.5).all() for parameter in prepared.state.model.parameters())
    assert prepared.state.average is not None
    assert all((parameter == 0.5).all() for parameter in prepared.state.average.parameters())
    begun, total = prepared.initial_weights.run, len(weights(prepared))
    assert begun is not None
    assert (begun.recipe, begun.step, begun.loaded, begun.random) == ("tiny", 16, total, ())
    assert [phase for phase in said if phase.startswith(f"beginning with {total} of {total} tensors")] != []


def test_the_run_of_another_recipe_is_refused(looked: Looked, tmp_path: Path):
    finished(looked, tmp_path / "first")
    with pytest.raises(CheckpointError) as caught:
        prepare(looked, tmp_path / "run", f"initialize.run={tmp_path / 'first'}", "initialize.recipe=enet-camvid")
    assert caught.value.code == "K451"
    assert "'tiny'" in caught.value.message
    assert "'enet-camvid'" in caught.value.message


def test_of_the_run_before_it_a_stage_takes_what_fits(looked: Looked, tmp_path: Path):
    finished(looked, tmp_path / "first")
    dataset, facts, recipe = looked
    data = msgspec.structs.replace(
        recipe.data, classes=("a", "b"), palette=((0, 0, 0), (9, 9, 9)), label_map={"0": 0, "1": 1, "2": 1}, colors=None
    )  # fmt: skip
    fewer = msgspec.structs.replace(recipe, data=data)
    prepared = prepare_run(fewer, dataset, facts, tmp_path / "run", CPU, SILENT, tmp_path / "first")
    begun = prepared.initial_weights.run
    assert begun is not None
    assert begun.random
    for name, parameter in prepared.state.model.named_parameters():
        assert bool((parameter == 0.5).all()) != (name in begun.random), name


@pytest.mark.heavy
def test_the_stages_weights_have_the_last_word(looked: Looked, tmp_path: Path):
    finished(looked, tmp_path / "named")
    stage = finished(looked, tmp_path / "stage")
    with torch.no_grad():
        for state in (stage.state.model, stage.state.average):
            assert state is not None
            for parameter in state.parameters():
                parameter.fill_(0.25)
    stage.state.progress.step = 17
    stage.state.save(tmp_path / "stage" / CHECKPOINTS, stage.recipe)
    named = f"initialize.run={tmp_path / 'named'}"
    prepared = prepare(looked, tmp_path / "run", named, begin=tmp_path / "stage")
    assert all((parameter == 0.25).all() for parameter in prepared.state.model.parameters())
    assert prepared.initial_weights.run is not None
    assert prepared.initial_weights.run.step == 17


@pytest.mark.heavy
def test_what_has_a_checkpoint_begins_with_nothing_else(looked: Looked, tmp_path: Path):
    finished(looked, tmp_path / "first")
    finished(looked, tmp_path / "run")
    prepared = prepare(looked, tmp_path / "run", f"initialize.run={tmp_path / 'first'}", begin=tmp_path / "first")
    assert prepared.initial_weights.run is None
    assert not all((parameter == 0.5).all() for parameter in prepared.state.model.parameters())


def test_published_weights_are_for_the_beginning_alone(looked: Looked, tmp_path: Path):
    wanted = "initialize.encoder=resnet18.tv_in1k"
    with pytest.raises(CheckpointError) as caught:
        prepare(looked, tmp_path / "run", wanted)
    assert caught.value.code == "K441"  # ENet has no encoder for them
    assert "'resnet18.tv_in1k'" in caught.value.message
    finished(looked, tmp_path / "run")
    said: list[str] = []
    prepared = prepare(looked, tmp_path / "run", wanted, observer=Told(phase=said.append))
    assert prepared.initial_weights.sha256 is None
    assert said == ["building the network"]


class Enough(Exception):
    """Raised by an observer that has heard what it waited for."""


def test_eight_bits_from_random_weights_are_a_warning(looked: Looked, tmp_path: Path):
    def warned(code: str, message: str) -> None:
        raise Enough(code, "edgeai-8bit" in message)

    # Whoever watches ends it here: the network itself takes seconds to be captured.
    with pytest.raises(Enough) as heard:
        prepare(looked, tmp_path / "run", "quantization=edgeai-8bit", observer=Told(warn=warned))
    assert heard.value.args == ("W219", True)


class Pixels(SegmentationModel):
    """One convolution, which is captured in no time."""

    def __init__(self, spec: Spec, classes: tuple[str, ...]) -> None:
        super().__init__(spec, classes)
        self.classifier = nn.Conv2d(3, self.num_classes, 1)

    def head_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.classifier(images),)


@pytest.fixture
def pixels():
    """The family of that network, while the test runs."""

    @register_spec
    class PixelsSpec(Spec, frozen=True, kw_only=True, tag="pixels"):
        pass

    builds(PixelsSpec)(Pixels)
    yield PixelsSpec()
    BUILDERS.discard("pixels")
    SPECS.discard("pixels")


@pytest.mark.heavy
def test_eight_bits_after_a_training_in_float_are_none(pixels: Spec, looked: Looked, tmp_path: Path):
    pytest.importorskip("torchao", reason="pip install 'pixelwise[quantization]'")
    dataset, facts, recipe = looked
    small = dataset, facts, msgspec.structs.replace(recipe, model=pixels)
    finished(small, tmp_path / "first")
    said: list[str] = []
    observer = Told(warn=lambda code, message: said.append(code), phase=said.append)
    changes = ["quantization=edgeai-8bit", f"initialize.run={tmp_path / 'first'}"]
    prepared = prepare(small, tmp_path / "run", *changes, observer=observer)
    assert any("int8" in words for words in said)
    assert "W219" not in said
    assert isinstance(prepared.state.model, QuantizationAwareModel)
    assert prepared.state.model.scheme == "edgeai-8bit"
    assert all((parameter == 0.5).all() for parameter in prepared.state.model.parameters())


@pytest.mark.heavy
def test_a_result_to_begin_with_must_be_named_and_be_there(tiny: Recipe, looked: Looked, tmp_path: Path):
    refuse_without_run(tiny)
    with pytest.raises(RecipeError) as unnamed:
        refuse_without_run(apply_overrides(tiny, ["initialize.recipe=enet-camvid"]))
    assert unnamed.value.code == "R232"
    assert "'tiny'" in unnamed.value.message
    assert "'enet-camvid'" in unnamed.value.message
    named = apply_overrides(tiny, ["initialize.recipe=tiny", f"initialize.run={tmp_path / 'first'}"])
    with pytest.raises(CheckpointError) as missing:
        refuse_without_run(named)
    assert missing.value.code == "K420"
    finished(looked, tmp_path / "first")
    refuse_without_run(named)


@pytest.mark.heavy
def test_a_batch_that_fits_stays_and_one_that_does_not_is_changed_with_a_warning(looked: Looked):
    _, facts, recipe = looked
    phases: list[str] = []
    codes: list[str] = []
    observer = Told(phase=phases.append, warn=lambda code, message: codes.append(code))
    assert with_auto_batch(recipe, facts, CPU, observer) == recipe
    assert codes == []
    assert "batch of 2 fits" in phases[-1]
    # Two to the power of 24 images of 32 x 48 pixels need terabytes.
    asked = apply_overrides(recipe, [f"sampling.batch_size={1 << 24}"])
    changed = with_auto_batch(asked, facts, CPU, observer)
    assert codes == ["W605"]
    assert changed.sampling.batch_size < 1 << 24
    assert changed.sampling.batch_size * changed.sampling.accumulate == 1 << 24
    assert msgspec.structs.replace(changed, sampling=asked.sampling) == asked


@pytest.mark.heavy
def test_the_number_format_that_is_left_open_is_chosen_and_said(looked: Looked):
    _, facts, recipe = looked
    phases: list[str] = []
    asked = apply_overrides(recipe, ["precision.dtype=auto"])
    chosen = with_chosen_format(asked, facts, CPU, Told(phase=phases.append))
    assert chosen.recipe.precision.dtype == "float32"
    assert len(chosen.milliseconds) > 1
    assert phases[-1] == chosen.message
    assert msgspec.structs.replace(chosen.recipe, precision=asked.precision) == asked


def test_training_takes_the_threads_it_is_given():
    for threads in (2, 1):
        use_processor(CPU, threads)
        assert torch.get_num_threads() == threads


@pytest.mark.heavy
def test_settings_that_do_not_fit_are_said_before_the_first_step(tiny_recipe: Path, tiny_data: Path, tmp_path: Path):
    said: list[tuple[str, str]] = []
    observer = Told(
        warn=lambda code, message: said.append((code, message)),
        step=lambda status: said.append(("step", str(status.step))),
    )
    overrides = ["schedule.iterations=4", "schedule.warmup_iterations=100", "selection.every_epochs=1"]
    run = train(
        str(tiny_recipe), data=tiny_data, output=tmp_path / "run", threads=1, overrides=overrides, observer=observer
    )
    codes = [code for code, _ in said]
    assert codes == ["W511", "W514", "step", "step", "step", "step"]
    assert said[0][1].endswith("decays in 0 steps; schedule.warmup_iterations=0 fits")
    logged = read_log(run).of(WarningRecord)
    assert [(record.step, record.code, record.message) for record in logged] == [(0, *one) for one in said[:2]]
    # Resumed with another length, what no longer fits is said again.
    said.clear()
    resume(run, overrides=["schedule.iterations=8"], observer=observer)
    assert [code for code, _ in said if code != "step"] == ["W511"]
