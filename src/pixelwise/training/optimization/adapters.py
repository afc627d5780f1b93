"""Adapters of a frozen encoder (`initialize.adapter`): which layers get one, and what a checkpoint keeps of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.lora import LowRankAdapted, adapted_layers, exchange, is_adaptable
from pixelwise.errors import RecipeError
from pixelwise.ranks import Ranks
from pixelwise.ranks.options import Sharding
from pixelwise.ranks.sharding import is_divided as is_divided_without_adapters
from pixelwise.recipes.schema.adapter import Adapter
from pixelwise.suggestions import did_you_mean
from pixelwise.training.optimization.freezing import encoder_of

SHOWN = 3
"""Number of layers that an error names."""
_ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)


def add_adapters(model: nn.Module, adapter: Adapter) -> None:
    """Put adapted layers in place of those of a network's frozen encoder that a recipe names.

    Args:
        model: The network, its encoder frozen.
        adapter: Section `initialize.adapter` of the recipe.

    Raises:
        RecipeError: R295, the network has no encoder; R297, no layer is named, or one has fewer inputs or outputs than
            the rank.
    """
    encoder = encoder_of(model)
    # Layers without pretrained weights are trained themselves. A layer may have several names.
    candidates = {
        name: module
        for name, module in encoder.named_modules(remove_duplicate=False)
        if is_adaptable(module) and not next(module.parameters()).requires_grad
    }
    chosen = {name: module for name, module in candidates.items() if _is_named(encoder, name, adapter.layers)}
    if not chosen:
        raise _without_layers(encoder, adapter, candidates)
    small = {name: min(module.weight.shape[:2]) for name, module in chosen.items()}  # type: ignore[index]
    name = min(small, key=lambda one: small[one])
    if adapter.rank > small[name]:
        outputs, inputs = chosen[name].weight.shape[:2]  # type: ignore[index]
        raise RecipeError(
            "R297",
            f"initialize.adapter.rank is {adapter.rank}, but the layer {name} of the encoder has {inputs} inputs and "
            f"{outputs} outputs, so that no matrix added to it has a rank over {small[name]}",
            f"set initialize.adapter.rank={min(8, small[name])}, or name larger layers by initialize.adapter.layers",
        )
    layers: dict[nn.Module, LowRankAdapted] = {}
    for module in dict.fromkeys(chosen.values()):
        layers[module] = LowRankAdapted(module, adapter.rank, adapter.scale)  # type: ignore[arg-type]
    exchange(encoder, {name: layers[module] for name, module in chosen.items()})


def is_divided(sharding: Sharding, model: nn.Module, ranks: Ranks) -> bool:
    """Whether every process keeps only a part of a network; `auto` leaves one with adapters whole.

    Raises:
        RecipeError: R229, as without adapters; R297, parts are asked for of a network with adapters.
    """
    if ranks.world == 1 or not adapted_layers(model):
        return is_divided_without_adapters(sharding, model, ranks)
    if sharding == "always":
        raise RecipeError(
            "R297",
            "shard is 'always', but an encoder with adapters (initialize.adapter) is trained with whole weights only",
            "leave --shard at auto, or set it to never; few of the weights have gradients and moments",
        )
    return False


def adapter_tensors(model: nn.Module, average: nn.Module | None) -> dict[str, Tensor]:
    """What a checkpoint with merged weights lacks of a network and its average: original weights, and adapters."""
    tensors = {}
    for name, layer in _once(model):
        tensors[f"model.{name}.weight"] = layer.original.weight
    for kind, network in (("model", model), ("ema", average)):
        for name, layer in _once(network) if network is not None else ():
            tensors |= {f"{kind}.{name}.lora_a": layer.lora_a, f"{kind}.{name}.lora_b": layer.lora_b}
    return tensors


@torch.no_grad()
def restore_adapters(model: nn.Module, average: nn.Module | None, tensors: dict[str, Tensor]) -> None:
    """Restore what `adapter_tensors` gave, after the merged weights were loaded into the original layers.

    Raises:
        KeyError: A tensor is missing.
        ValueError: A tensor is of another shape, or of no layer.
    """
    own = adapter_tensors(model, average)
    unknown = [name for name in tensors if name not in own]
    if unknown:
        raise ValueError(f"{unknown[0]} belongs to no adapted layer")
    for name, tensor in own.items():
        if tensors[name].shape != tensor.shape:
            raise ValueError(f"{name} is {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
    for name, layer in _once(average) if average is not None else ():
        layer.original.weight.copy_(own[f"model.{name}.weight"])


def _once(network: nn.Module) -> list[tuple[str, LowRankAdapted]]:
    """The adapted layers with one name each."""
    return [(name, layer) for layer, name in {layer: name for name, layer in adapted_layers(network).items()}.items()]


def plain_name(name: str) -> str:
    """The name that the weight of an adapted layer has without adapters; another parameter's name as it is."""
    for ending in (".lora_a", ".lora_b"):
        if name.endswith(ending):
            return f"{name.removesuffix(ending)}.weight"
    return name


def _is_named(encoder: nn.Module, name: str, pattern: str | None) -> bool:
    """Whether a layer is one that a recipe names: by a pattern, or as a direct part of attention."""
    if pattern is not None:
        return re.search(pattern, name) is not None
    parent = name.rpartition(".")[0]
    kind = type(encoder.get_submodule(parent)).__name__ if parent else ""
    return any(map(_ATTENTION.search, (kind, parent.rpartition(".")[2])))


def _without_layers(encoder: Encoder, adapter: Adapter, candidates: Mapping[str, nn.Module]) -> RecipeError:
    if not candidates:
        return RecipeError(
            "R297",
            f"initialize.adapter adapts linear layers and 1x1 convolutions; '{encoder.name}' has no pretrained one",
            "set initialize.adapter.rank=0, with initialize.freeze=true to keep the encoder; or choose another one",
        )
    # Layers of different kinds, rather than the same one of every block.
    kinds = {re.sub(r"\d+", "N", name): name for name in reversed([*candidates])}
    some = ", ".join(list(reversed(kinds.values()))[:SHOWN])
    example = some.partition(",")[0].rpartition(".")[2]
    if adapter.layers is None:
        return RecipeError(
            "R297",
            f"'{encoder.name}' has no attention whose layers initialize.adapter could adapt; it has {len(candidates)} "
            f"other layers that can be, such as {some}",
            rf"name layers by a regular expression, for example 'initialize.adapter.layers=\.{example}$'",
        )
    plain = adapter.layers.replace("\\", "").strip(".^$")
    last = {name.rpartition(".")[2] for name in candidates}
    return RecipeError(
        "R297",
        f"initialize.adapter.layers: '{adapter.layers}' matches none of the {len(candidates)} linear layers and 1x1 "
        f"convolutions of '{encoder.name}'{did_you_mean(plain, [*candidates, *last])}",
        f"their names are such as {some}",
    )
