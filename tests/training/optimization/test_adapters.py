"""Adapters of a frozen encoder: which layers have one, what a training changes, and what a checkpoint holds."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pixelwise.backbones.lora import LowRankAdapted, adapted_layers, merged_state
from pixelwise.checkpoints.checkpoint import Checkpoint, save_checkpoint
from pixelwise.checkpoints.trained import load_weights
from pixelwise.errors import CheckpointError, RecipeError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.adapter import Adapter
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.batches import Batch
from pixelwise.training.optimization.adapters import add_adapters, is_divided
from pixelwise.training.optimization.freezing import freeze_encoder, set_training_mode
from pixelwise.training.state import TrainingState, begin_state
from pixelwise.training.step import train_step

CPU = torch.device("cpu")
ATTENTION = ("query", "key_value", "output")


class Two(Ranks):
    """The first of two processes."""

    @property
    def world(self) -> int:
        return 2


@cache
def network() -> SegmentationModel:
    """SegFormer-B0 with random weights; never changed."""
    torch.manual_seed(0)
    return build_model(adapted_recipe())


def adapted_recipe(*changes: str) -> Recipe:
    return apply_overrides(
        recipe("segformer-b0-cityscapes"),
        ["data.classes=[a,b]", "ema.decay=0.5", "precision.dtype=float32", "initialize.adapter.rank=2",
         "initialize.adapter.alpha=3", *changes],
    )  # fmt: skip


def begun(*changes: str) -> TrainingState:
    chosen = adapted_recipe(*changes)
    torch.manual_seed(1)
    return begin_state(copy.deepcopy(network()), chosen, CPU)


def learn(state: TrainingState, steps: int) -> None:
    chosen = adapted_recipe()
    for _ in range(steps):
        generator = torch.Generator().manual_seed(state.progress.step)
        labels = torch.randint(0, 2, (2, 32, 32), dtype=torch.uint8, generator=generator)
        pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=generator)
        for group in state.optimizer.param_groups:
            group["lr"] = 1e-2
        batches = [Batch(pixels, labels, None, ["a", "b"])]
        assert train_step(chosen, state, state.model.training_outputs, batches, None).kind == "done"
        state.progress.step += 1


def logits(model: SegmentationModel) -> Tensor:
    with torch.no_grad():
        return model.eval().head_logits(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5)))[0]


def test_without_a_pattern_the_layers_of_attention_are_adapted():
    model = begun().model
    names = list(adapted_layers(model))
    # MiT-B0: four stages of two blocks.
    assert len(names) == 4 * 2 * 3
    assert {name.rpartition(".")[2] for name in names} == set(ATTENTION)
    assert all(layer.scale == 1.5 for layer in adapted_layers(model).values())


@pytest.mark.parametrize(
    ("adapter", "message", "way_out"),
    [
        (Adapter(rank=2, layers=r"\.outptu$"), "did you mean 'output'", "such as"),
        (Adapter(rank=33), "has 32 inputs and 32 outputs", "initialize.adapter.rank=8"),
    ],
)
def test_missing_layers_and_ranks_that_are_too_large_are_refused(adapter: Adapter, message: str, way_out: str):
    model = copy.deepcopy(network())
    freeze_encoder(model)
    with pytest.raises(RecipeError) as caught:
        add_adapters(model, adapter)
    assert caught.value.code == "R297"
    assert message in caught.value.message
    assert way_out in caught.value.help
    assert not adapted_layers(model)


@pytest.mark.heavy
def test_the_way_out_of_an_encoder_without_attention_works():
    chosen = apply_overrides(
        recipe("unet-resnet18"), ["model.encoder=mobilenetv3_small_050", "data.classes=[a,b]", "initialize.freeze=true"]
    )
    model = build_model(chosen)
    freeze_encoder(model)
    with pytest.raises(RecipeError) as caught:
        add_adapters(model, Adapter(rank=2))
    assert caught.value.code == "R297"
    assert "has no attention" in caught.value.message
    pattern = caught.value.help.partition("initialize.adapter.layers=")[2].rstrip("'")
    add_adapters(model, Adapter(rank=2, layers=pattern))
    assert adapted_layers(model)


def test_before_the_first_step_it_computes_what_the_frozen_network_computes():
    adapted, frozen = begun(), begun("initialize.adapter.rank=0", "initialize.freeze=true")
    images = torch.randn(2, 3, 32, 32)
    found = []
    for state in (adapted, frozen):
        set_training_mode(state.model, frozen=True)
        torch.manual_seed(2)
        found.append(state.model.training_outputs(images)[0])
    assert torch.equal(found[0], found[1])
    assert torch.equal(logits(adapted.model), logits(frozen.model))


def test_only_adapters_and_the_rest_of_the_network_learn():
    state = begun()
    before, merged = copy.deepcopy(state.model.state_dict()), merged_state(state.model)
    learn(state, 2)
    assert state.average is not None
    for found in (state.model.state_dict(), state.average.state_dict()):
        changed = {name for name, value in found.items() if not torch.equal(value, before[name])}
        assert changed == {name for name in before if "lora_" in name or not name.startswith("encoder.")}
    given = {name for name, one in state.model.named_parameters() if one.grad is not None}
    assert given == {name for name, one in state.model.named_parameters() if one.requires_grad}
    changed = {name for name, value in merged_state(state.average).items() if not torch.equal(value, merged[name])}
    assert {name.rpartition(".")[0] for name in changed if name.startswith("encoder.")} == set(
        adapted_layers(state.model)
    )
    apart = {name for name, module in state.model.encoder.named_modules() if module.training}  # type: ignore[union-attr]
    assert apart == {name.removeprefix("encoder.") for name in adapted_layers(state.model)}


def test_a_checkpoint_holds_the_plain_network_and_goes_on_bit_for_bit(tmp_path: Path):
    chosen, state = adapted_recipe(), begun()
    learn(state, 2)
    saved = state.save(tmp_path, chosen)
    assert state.average is not None
    for name, trained in (("model", state.model), ("ema", state.average)):
        plain = copy.deepcopy(network())
        load_weights(plain, saved, name)
        assert torch.equal(logits(plain), logits(trained))
    learn(state, 2)
    torch.manual_seed(9)
    other = begin_state(build_model(chosen), chosen, CPU)  # with other weights, as a run that is resumed
    other.restore(saved)  # its random generators too
    learn(other, 2)
    for one, two in ((state.model, other.model), (state.average, other.average)):
        assert two is not None
        expected, found = one.state_dict(), two.state_dict()
        assert [name for name, value in expected.items() if not torch.equal(value, found[name])] == []


def test_a_checkpoint_without_its_adapters_is_damaged(tmp_path: Path):
    chosen, state = adapted_recipe("ema=none"), begun("ema=none")
    saved = state.save(tmp_path / "whole", chosen)
    files = {name: saved.tensors(name) for name in ("model", "training", "adapters")}

    def with_adapters(name: str, tensors: dict[str, Tensor]) -> Checkpoint:
        state_of = {"progress": {"longest_stale": 0}}
        contents = {**files, "adapters": tensors}
        return save_checkpoint(tmp_path / name, step=0, tensors=contents, state=state_of, miou=None, metadata={})

    some = next(iter(files["adapters"]))
    less = {name: value for name, value in files["adapters"].items() if name != some}
    cases = {
        "less": (less, f"lacks '{some}'"),
        "more": ({**files["adapters"], "model.x.lora_a": torch.zeros(1)}, "belongs to no adapted layer"),
        "other": ({**files["adapters"], some: torch.zeros(1)}, "instead of"),
    }
    for name, (tensors, message) in cases.items():
        with pytest.raises(CheckpointError) as caught:
            state.restore(with_adapters(name, tensors))
        assert caught.value.code == "K410"
        assert message in caught.value.message


@pytest.mark.heavy
def test_an_adapter_has_the_layer_decay_of_its_layer():
    whole = begun("initialize.adapter.rank=0", "optimizer.layer_decay=0.5")
    state = begun("optimizer.layer_decay=0.5")

    def factors(state: TrainingState) -> dict[str, float]:
        names = {id(parameter): name for name, parameter in state.model.named_parameters()}
        groups = state.optimizer.param_groups
        return {names[id(one)]: group["lr_factor"] for group in groups for one in group["params"]}

    expected, found = factors(whole), factors(state)
    layers = adapted_layers(state.model)
    assert len({found[f"{name}.lora_b"] for name in layers}) == 8  # one per block
    for name in layers:
        assert found[f"{name}.lora_a"] == found[f"{name}.lora_b"] == expected[f"{name}.weight"]


def test_processes_keep_whole_weights_of_a_network_with_adapters():
    model, two = nn.Sequential(LowRankAdapted(nn.Linear(2, 2), 1, 1.0)), Two()
    assert not is_divided("always", model, ALONE)
    assert not is_divided("auto", model, two)
    assert not is_divided("never", model, two)
    assert is_divided("always", nn.Linear(2, 2), two)
    with pytest.raises(RecipeError) as caught:
        is_divided("always", model, two)
    assert caught.value.code == "R297"
    assert "never" in caught.value.help
