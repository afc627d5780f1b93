import os
import shutil

import msgspec
import pytest
import torch
from torch import nn

from pixelwise.models import SegmentationModel
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.distillation import Distillation
from pixelwise.recipes.schema.model import IMAGENET, Preprocessing
from pixelwise.recipes.schema.recipe import Precision
from pixelwise.training import step
from pixelwise.training.batches import Batch
from pixelwise.training.distillation.teachers import Teachers
from pixelwise.training.optimization.ema import build_average
from pixelwise.training.optimization.optimizers import build_optimizer
from pixelwise.training.precision import training_outputs
from pixelwise.training.state import TrainingState
from pixelwise.training.step import _seed_of, prepare, train_step


def batch(colors: torch.Tensor | None = None) -> Batch:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    return Batch(images, torch.zeros(1, 1, 1, dtype=torch.uint8), colors, ["a"])


def test_images_become_normalised_floats_in_channel_order():
    images, labels = prepare(batch(), IMAGENET, torch.device("cpu"), channels_last=False)
    expected = (torch.tensor([0, 0.2, 1.0]) - torch.tensor(IMAGENET.mean)) / torch.tensor(IMAGENET.std)
    torch.testing.assert_close(images.reshape(3), expected)
    assert images.shape == (1, 3, 1, 1)
    assert labels.dtype == torch.uint8


def test_colour_comes_before_normalisation():
    swap = torch.tensor([[[0.0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0]]])
    images, _ = prepare(batch(swap), Preprocessing(), torch.device("cpu"), channels_last=True)
    torch.testing.assert_close(images.reshape(3), torch.tensor([1.0, 0.2, 0.0]))


class Linear(SegmentationModel):
    """Per-pixel linear classifier: no batch statistics, no dropout."""

    def __init__(self) -> None:
        super().__init__(ENetSpec(), ("a", "b"))
        self.conv = nn.Conv2d(3, 2, 1)

    def head_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.conv(images),)


def test_accumulated_gradients_are_those_of_the_large_batch():
    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (4, 5, 5, 3), dtype=torch.uint8), torch.randint(0, 2, (4, 5, 5))
    labels = labels.to(torch.uint8)
    halves = [Batch(images[i : i + 2], labels[i : i + 2], None, ["x", "y"]) for i in (0, 2)]
    weights = []
    for batches, accumulate in (([Batch(images, labels, None, list("abcd"))], 1), (halves, 2)):
        torch.manual_seed(1)
        model = Linear()
        recipe = apply_overrides(
            find_recipe("town-demo"), [f"sampling.accumulate={accumulate}", "optimizer.kind=sgd", "optimizer.lr=0.5"]
        )
        state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
        for group in state.optimizer.param_groups:
            group["lr"] = 0.5
        assert train_step(recipe, state, model.head_logits, batches, None).kind == "done"
        weights.append(model.conv.weight.detach().clone())
    torch.testing.assert_close(weights[0], weights[1])


@pytest.mark.heavy
def test_a_compiled_network_learns_the_same_within_rounding():
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("compiling needs a C++ compiler")
    recipe = apply_overrides(find_recipe("town-demo"), ["optimizer.kind=sgd", "optimizer.lr=0.1"])
    images = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    labels = torch.randint(0, 2, (2, 8, 8), dtype=torch.uint8)
    weights = []
    # On a CPU nothing is recorded as a graph; the rest of what `cuda_graphs` does is the same.
    for precision in (Precision(), Precision(compile=True), Precision(compile=True, cuda_graphs=True)):
        torch.manual_seed(1)
        model = Linear()
        state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
        network = training_outputs(model, precision)
        chosen = msgspec.structs.replace(recipe, precision=precision)
        for _ in range(3):
            outcome = train_step(chosen, state, network, [Batch(images, labels, None, ["a", "b"])] * 2, None)
            assert outcome.kind == "done"
        weights.append(model.conv.weight.detach().clone())
    torch.testing.assert_close(weights[0], weights[1])
    torch.testing.assert_close(weights[0], weights[2])


@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_recorded_graphs_are_told_once_where_a_step_begins(cuda_graphs: bool, monkeypatch: pytest.MonkeyPatch):
    told = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: told.append("begin"))
    changes = [f"precision.cuda_graphs={str(cuda_graphs).lower()}", "precision.compile=true", "optimizer.kind=sgd"]
    recipe, model = apply_overrides(find_recipe("town-demo"), changes), Linear()
    state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
    images = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    one = Batch(images, torch.zeros(2, 4, 4, dtype=torch.uint8), None, ["a", "b"])
    for _ in range(2):
        train_step(recipe, state, model.head_logits, [one, one], None)
    assert told == ["begin"] * 2 * cuda_graphs


def test_a_dropped_step_restores_the_statistics_of_normalisation():
    class Normalised(Linear):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(2)

        def head_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (self.norm(self.conv(images)) * float("nan"),)

    model = Normalised()
    recipe = find_recipe("town-demo")
    state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    batch_ = Batch(images, torch.zeros(2, 4, 4, dtype=torch.uint8), None, ["a", "b"])
    assert train_step(recipe, state, model.head_logits, [batch_], None).kind == "bad"
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_device_and_host_decide_alike(kind: str, monkeypatch: pytest.MonkeyPatch):
    class Normalised(Linear):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(2)
            self.factor = 1.0

        def head_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (self.norm(self.conv(images)) * self.factor,)

    def trained() -> tuple[list[str], list[torch.Tensor], list[torch.Tensor]]:
        torch.manual_seed(0)
        model = Normalised()
        recipe = apply_overrides(find_recipe("town-demo"), [f"optimizer.kind={kind}", "ema.decay=0.9"])
        state = TrainingState(model, build_average(model), build_optimizer(model, recipe.optimizer))
        kinds = []
        for factor in (float("nan"), 1.0, float("inf"), 1.0, float("nan")):
            model.factor = factor
            images = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
            labels = torch.randint(0, 2, (2, 4, 4), dtype=torch.uint8)
            outcome = train_step(recipe, state, model.head_logits, [Batch(images, labels, None, ["a", "b"])], None)
            kinds.append(outcome.judged().kind)
            state.progress.step += 1
        moments = [value for values in state.optimizer.state.values() for value in values.values()]
        assert state.average is not None
        return kinds, [*model.state_dict().values(), *moments], list(state.average.state_dict().values())

    by_host = trained()
    monkeypatch.setattr(step, "decides_on_device", lambda optimizer, device: len(optimizer.state) > 0)
    by_device = trained()

    assert by_device[0] == by_host[0] == ["bad", "done", "bad", "done", "bad"]
    assert all(torch.equal(one, other) for one, other in zip(by_device[1], by_host[1], strict=True))
    torch.testing.assert_close(by_device[2], by_host[2])


def test_processes_batches_and_steps_draw_numbers_of_their_own():
    unet = find_recipe("unet-resnet18")
    places = [(step, place, rank) for step in (0, 1, 70_000) for place in (0, 1) for rank in (0, 1, 2)]
    seeds = [_seed_of(unet, *place) for place in places]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [_seed_of(unet, *place) for place in places]
    other = apply_overrides(unet, ["sampling.seed=1"])
    assert not set(seeds) & {_seed_of(other, *place) for place in places}


class Said(Teachers):
    """Teachers that say the same of every image, and what they were shown."""

    def __init__(self) -> None:
        super().__init__((), Distillation(), multilabel=False, records=())
        self.seen: list[torch.Tensor] = []

    def say(self, images: torch.Tensor, like: torch.Tensor, answers: torch.Tensor | None = None) -> torch.Tensor:
        assert answers is None
        self.seen.append(images)
        return torch.full_like(like, 0.25)

    def loss(self, logits: torch.Tensor, taught: torch.Tensor, ranks: object = None) -> torch.Tensor:
        return (logits * taught).sum()


@pytest.mark.parametrize("with_labels", [True, False])
def test_what_teachers_say_is_added_to_what_labels_teach_or_takes_its_place(with_labels: bool):
    words = ["teacher=runs/t", f"with_labels={str(with_labels).lower()}", "optimizer.kind=sgd"]
    taught, alone = apply_overrides(find_recipe("town-demo"), words), find_recipe("town-demo")
    images = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    labels = torch.randint(0, 2, (2, 4, 4), dtype=torch.uint8)
    gradients, losses = [], []
    for recipe, teachers in ((alone, None), (taught, Said())):
        torch.manual_seed(0)
        model = Linear()
        state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
        state.teachers = teachers
        one = Batch(images, labels, None, ["a", "b"])
        losses.append(step.add_gradients(recipe, state, model.head_logits, [one], None))
        gradients.append(model.conv.bias.grad)
        if teachers is not None:
            shown, _ = prepare(one, model.preprocessing, torch.device("cpu"), channels_last=False)
            assert torch.equal(teachers.seen[0], shown)
            logits = model.head_logits(shown)[0]
            torch.testing.assert_close(losses[1] - with_labels * losses[0], logits.sum() / 4)
    # The sum over 2 x 4 x 4 pixels of a quarter of the logits.
    torch.testing.assert_close(gradients[1], with_labels * gradients[0] + 8)


def test_a_step_without_labels_is_void_unless_a_teacher_has_an_answer():
    model, kinds = Linear(), []
    images, ignored = torch.zeros(2, 4, 4, 3, dtype=torch.uint8), torch.full((2, 4, 4), 255, dtype=torch.uint8)
    for words, teachers in (([], None), (["teacher=runs/t"], Said())):
        recipe = apply_overrides(find_recipe("town-demo"), [*words, "optimizer.kind=sgd"])
        state = TrainingState(model, None, build_optimizer(model, recipe.optimizer))
        state.teachers = teachers
        one = Batch(images, ignored, None, ["a", "b"])
        kinds.append(train_step(recipe, state, model.head_logits, [one], None).kind)
    assert kinds == ["void", "done"]
