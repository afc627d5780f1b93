"""Optimizers and their parameter groups: learning rates and weight decay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from pixelwise.backbones.base import Encoder
from pixelwise.backbones.lora import adapted_layers, without_adapters
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.recipe import Group, Optimizer, Recipe
from pixelwise.suggestions import did_you_mean
from pixelwise.training.optimization.adapters import plain_name
from pixelwise.training.optimization.schedules import base_learning_rate, learning_rate, learning_rate_of_group

FACTOR = "lr_factor"
"""Key of a parameter group for the factor of its learning rate."""
WARMUP = "own_warmup"
"""Key of a parameter group for its own warm-up: steps without learning, steps of the warm-up; None: the schedule's."""
PREPARED = "graph."
"""What the names of the parameters of a network that is prepared for int8 begin with."""
_CONTAINER = re.compile(r"(?:stages?|layers?|blocks?|features)(?:_?\d+)?|[sb]\d+")
"""Part of a parameter's name that stands for stages or blocks: `blocks`, `stages_0`, `layer1`, RegNet's `s1.b2`."""


def build_optimizer(
    model: nn.Module, optimizer: Optimizer, beside: Mapping[str, nn.Parameter] | None = None
) -> torch.optim.Optimizer:
    """The optimizer over all parameters of `model` that require gradients.

    Without `decay_all`, parameters with fewer than two dimensions (biases, normalisation, activation slopes) have no
    weight decay. Each parameter group of the result has an `lr_factor`, see `set_learning_rates`.

    Args:
        model: The network; the patterns of `optimizer.groups` are searched in the names of its parameters.
        optimizer: Section `optimizer` of the recipe.
        beside: Name -> parameter that is trained beside the network, as its head is: patterns are searched in these
            names as well, and `layer_decay` does not concern them.

    Raises:
        RecipeError: R230, a group has no parameter; R231, `layer_decay` is set for a network without an encoder whose
            blocks can be counted.
    """
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    named |= beside or {}
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    groups = _groups_of(named, optimizer.groups, frozen)
    depths = _depth_factors(model, named, optimizer.layer_decay)
    # Insertion order: parameters that decay come before those that do not.
    sorted_out: dict[tuple[float, float, tuple[int, int] | None], list[nn.Parameter]] = {}
    for decays in (True,) if optimizer.decay_all else (True, False):
        for name, parameter in named.items():
            if not optimizer.decay_all and (parameter.ndim >= 2) != decays:
                continue
            group = groups.get(name)
            decay = optimizer.weight_decay if group is None or group.weight_decay is None else group.weight_decay
            factor = (1.0 if group is None else group.lr) * depths.get(name, 1.0)
            warmup = None
            if group is not None and group.warmup_iterations is not None:
                warmup = group.warmup_after, group.warmup_iterations
            sorted_out.setdefault((factor, decay if decays else 0.0, warmup), []).append(parameter)
    described = [
        {"params": parameters, "weight_decay": decay, "lr": optimizer.lr * factor, FACTOR: factor, WARMUP: warmup}
        for (factor, decay, warmup), parameters in sorted_out.items()
    ]
    # Fused: one pass over each tensor instead of about ten, on CPU and GPU alike.
    if optimizer.kind == "sgd":
        return torch.optim.SGD(described, lr=optimizer.lr, momentum=optimizer.momentum, fused=True)
    if optimizer.kind == "adam":
        return torch.optim.Adam(described, lr=optimizer.lr, betas=optimizer.betas, fused=True)
    return torch.optim.AdamW(described, lr=optimizer.lr, betas=optimizer.betas, fused=True)


def set_learning_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Set the learning rate of every parameter group for a step.

    Args:
        optimizer: Optimizer built by `build_optimizer`.
        recipe: Only its `optimizer`, `schedule` and `sampling` are used.
        step: Number of steps done before this one.
        steps_per_epoch: Number of optimizer steps per epoch.

    Returns:
        The learning rate of parameters whose factor is 1.
    """
    base = base_learning_rate(recipe.optimizer, recipe.sampling)
    for group in optimizer.param_groups:
        own, warmup = base * group[FACTOR], group[WARMUP]
        if warmup is None:
            group["lr"] = learning_rate(recipe.schedule, own, step, steps_per_epoch)
        else:
            group["lr"] = learning_rate_of_group(recipe.schedule, own, step, steps_per_epoch, warmup)
    return learning_rate(recipe.schedule, base, step, steps_per_epoch)


def _groups_of(named: dict[str, nn.Parameter], groups: Iterable[Group], frozen: Iterable[str]) -> dict[str, Group]:
    """Parameter name -> its group, for the parameters that have one; a group may consist of frozen ones."""
    found: dict[str, Group] = {}
    for group in groups:
        fitting = [name for name in named if _fits(group, name)]
        taken = [name for name in fitting if name not in found]
        if not taken and not any(_fits(group, name) for name in frozen):
            raise _without_parameters(group, fitting, named)
        found |= dict.fromkeys(taken, group)
    return found


def _fits(group: Group, name: str) -> bool:
    """Whether a pattern matches a name, of a network prepared for int8 also the name that it had before."""
    return any(re.search(group.pattern, one) for one in (name, name.removeprefix(PREPARED)))


def _without_parameters(group: Group, fitting: list[str], named: dict[str, nn.Parameter]) -> RecipeError:
    if fitting:
        return RecipeError(
            "R230",
            f"optimizer.groups: every parameter that '{group.pattern}' matches, for example {fitting[0]}, belongs to "
            "an earlier group",
            "the first pattern that matches a name decides: put the narrower one first",
        )
    plain = group.pattern.replace("\\", "").strip("^$")
    prefixes = dict.fromkeys(
        ".".join(parts[: end + 1]) for parts in (name.split(".") for name in named) for end in range(len(parts))
    )
    outermost = dict.fromkeys(name.partition(".")[0] for name in named)
    return RecipeError(
        "R230",
        f"optimizer.groups: '{group.pattern}' matches the name of no parameter{did_you_mean(plain, prefixes)}",
        f"parameter names begin with {', '.join(outermost)}; for example {next(iter(named), 'none')}",
    )


def _depth_factors(model: nn.Module, named: dict[str, nn.Parameter], decay: float) -> dict[str, float]:
    """Learning-rate factors of the encoder's parameters: `decay` to the power of their distance from the head.

    For timm's networks the layer of each parameter is known; in other encoders blocks are counted. Layers that an
    encoder adds after a pretrained network are new and have the factor of the head, 1.
    """
    if decay == 1:
        return {}
    if adapted_layers(model):
        # An adapter is as far from the head as its layer, and blocks without one count as well.
        with without_adapters(model):
            factors = _depth_factors(model, dict(model.named_parameters()), decay)
        return {name: factors[plain_name(name)] for name in named if plain_name(name) in factors}
    encoder = getattr(model, "encoder", None)
    known = encoder.layers_from_head() if isinstance(encoder, Encoder) else None
    distances = (
        _counted_by_name(encoder, named)
        if known is None
        else {f"encoder.{name}": distance for name, distance in known.items()}
    )
    if not distances:
        raise RecipeError(
            "R231",
            f"optimizer.layer_decay is {decay}, but {type(model).__name__} has no encoder with blocks to count",
            "leave out optimizer.layer_decay, or set the learning rates of optimizer.groups",
        )
    return {name: decay**distance for name, distance in distances.items()}


def _counted_by_name(encoder: object, named: dict[str, nn.Parameter]) -> dict[str, int]:
    """Distance in layers between each encoder parameter and the head, from the blocks in the parameters' names.

    Blocks are counted in the order of their definition, over all stages. Everything before the first block is layer 0;
    modules between two blocks (downsampling, normalisation) belong to the layer of the block before them.

    Args:
        encoder: The encoder; its attribute `network`, if any, is the pretrained part.
        named: Name -> trainable parameter, of the whole model.

    Returns:
        Parameter name -> distance; empty if no name contains numbered blocks.
    """
    network = getattr(encoder, "network", encoder)
    own = {id(parameter) for parameter in network.parameters()} if isinstance(network, nn.Module) else set()
    numbered = {name: _numbered(name) for name, parameter in named.items() if id(parameter) in own}
    blocks = set(numbered.values())
    layers: dict[str, int] = {}
    last, count = "", 0
    for name, block in numbered.items():
        # A stage that consists of blocks is not a block itself.
        innermost = not any(other.startswith(f"{block}.") for other in blocks)
        if block not in ("", last) and innermost:
            last, count = block, count + 1
        layers[name] = count
    return {name: count + 1 - layer for name, layer in layers.items()} if count else {}


def _numbered(name: str) -> str:
    """A parameter's name up to its innermost stage or block number; empty without one."""
    parts = name.split(".")
    block, at = "", 0
    while at < len(parts) and (_CONTAINER.fullmatch(parts[at]) or not block):
        end = at + 1
        if _CONTAINER.fullmatch(parts[at]):
            while end < len(parts) and parts[end].isdigit():
                end += 1
            if parts[end - 1][-1].isdigit():
                block = ".".join(parts[:end])
        at = end
    return block
