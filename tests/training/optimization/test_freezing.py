"""A frozen encoder: what changes in a training, and what does not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.errors import RecipeError
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.schema.training import Initialize
from pixelwise.training.batches import Batch
from pixelwise.training.optimization.freezing import freeze_encoder, refuse_random_frozen, set_training_mode
from pixelwise.training.runs import train
from pixelwise.training.state import begin_state
from pixelwise.training.step import train_step

CPU = torch.device("cpu")


class WithNewLayer(Encoder):
    """A pretrained layer, and one for which there are no weights."""

    untrained = ("new.",)

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.new = nn.Sequential(nn.BatchNorm2d(4), nn.Dropout(0.5))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.new(self.network(images))]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = WithNewLayer()
        self.head = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def frozen_recipe(*changes: str) -> Recipe:
    return apply_overrides(
        recipe("unet-resnet18"),
        ["model.encoder=efficientnet_b0", "data.classes=[a,b]", "ema.decay=0.5", "precision.dtype=float32",
         "initialize.freeze=true", *changes],
    )  # fmt: skip


def test_layers_without_pretrained_weights_are_trained():
    net = Net()
    freeze_encoder(net)
    trained = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    assert trained == [
        "encoder.new.0.weight", "encoder.new.0.bias", "head.0.weight", "head.0.bias", "head.1.weight", "head.1.bias",
    ]  # fmt: skip
    set_training_mode(net, frozen=True)
    training = [name for name, module in net.named_modules() if module.training]
    assert training == ["", "encoder.new", "encoder.new.0", "encoder.new.1", "head", "head.0", "head.1"]
    set_training_mode(net, frozen=False)
    assert all(module.training for module in net.modules())


def test_no_step_changes_the_encoder_and_every_step_the_rest():
    torch.manual_seed(0)
    chosen = frozen_recipe()
    state = begin_state(build_model(chosen), chosen, CPU)
    before = copy.deepcopy(state.model.state_dict())
    labels = torch.randint(0, 2, (2, 32, 32), dtype=torch.uint8)
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    for _ in range(2):
        outcome = train_step(chosen, state, state.model.head_logits, [Batch(pixels, labels, None, ["a", "b"])], None)
        assert outcome.kind == "done"
        state.progress.step += 1
    assert state.average is not None
    for found in (state.model.state_dict(), state.average.state_dict()):
        changed = {name for name, value in found.items() if not torch.equal(value, before[name])}
        assert changed == {name for name in before if not name.startswith("encoder.")}
    encoder = sum(parameter.numel() for parameter in state.model.encoder.parameters())  # type: ignore[union-attr]
    everything = sum(parameter.numel() for parameter in state.model.parameters())
    optimized = sum(parameter.numel() for group in state.optimizer.param_groups for parameter in group["params"])
    assert optimized == everything - encoder > 0
    assert all(parameter.grad is None for parameter in state.model.encoder.parameters())  # type: ignore[union-attr]


@pytest.mark.heavy
def test_groups_of_the_frozen_encoder_have_nothing_to_do():
    chosen = frozen_recipe('optimizer.groups=[{pattern="^encoder", lr=0.1}, {pattern="classifier", lr=10}]')
    state = begin_state(build_model(chosen), chosen, CPU)
    assert {group["lr_factor"] for group in state.optimizer.param_groups} == {1.0, 10.0}
    wrong = frozen_recipe('optimizer.groups=[{pattern="^encodr", lr=0.1}]')
    model = build_model(wrong)
    with pytest.raises(RecipeError) as caught:
        begin_state(model, wrong, CPU)
    assert caught.value.code == "R230"


def test_a_network_without_pretrained_encoder_is_refused():
    chosen = apply_overrides(recipe("enet-camvid"), ["initialize.freeze=true"])
    model = build_model(chosen)
    with pytest.raises(RecipeError) as caught:
        begin_state(model, chosen, CPU)
    assert caught.value.code == "R295"
    assert "ENet has none" in str(caught.value)


@pytest.mark.parametrize(
    ("start", "refused"),
    [
        (Initialize(freeze=True), True),
        (Initialize(freeze=False), False),
        (Initialize(freeze=True, encoder="default"), False),
        (Initialize(freeze=True, run="runs/a"), False),
    ],
)
def test_random_weights_are_not_frozen(start: Initialize, refused: bool):
    if refused:
        with pytest.raises(RecipeError) as caught:
            refuse_random_frozen(start)
        assert caught.value.code == "R295"
    else:
        refuse_random_frozen(start)


def test_a_run_with_random_weights_is_refused_before_its_folder_exists(tmp_path: Path):
    with pytest.raises(RecipeError) as caught:
        train("unet-resnet18", output=tmp_path / "run", overrides=["data.dataset=town", "initialize.freeze=true"])
    assert caught.value.code == "R295"
    assert not (tmp_path / "run").exists()


def test_other_weights_keep_the_freeze():
    assert frozen_recipe("initialize.encoder=default").initialize.freeze
