"""Layer numbers of the parameters of timm networks, for layer-wise learning-rate decay.

Every timm architecture has a `group_matcher`, which knows its blocks; timm's own layer-wise decay uses it. It expects
the parameter names of the whole network, but timm's feature extractors rename the blocks that they take out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

HEAD = "head"
"""Name for the classifier where timm does not give one; no matcher knows it, just as none knows a decoder."""


class _Named(NamedTuple):
    """Stand-in for a network in timm's grouping, which needs only named parameters; here their values are names."""

    pairs: list[tuple[str, str]]

    def named_parameters(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


def layers_from_head(name: str, network: nn.Module) -> dict[str, int] | None:
    """The distance of each parameter of a timm network from the head, in layers as timm counts them.

    Args:
        name: timm's name of the network.
        network: The network, or a feature extractor that timm built from it.

    Returns:
        Name of a parameter of `network` -> its distance: 1 for the last block, 0 for parameters that timm assigns to
        the head. None if timm does not know the blocks of this architecture.
    """
    import timm
    from timm.models import group_parameters

    with torch.device("meta"):
        whole: Any = timm.create_model(name, pretrained=False)
    if not hasattr(whole, "group_matcher"):
        return None
    known = {key for key, _ in whole.named_parameters()}
    # The decoder, which replaces the classifier, is one layer after the last block.
    classifier = getattr(whole, "pretrained_cfg", {}).get("classifier") or HEAD
    head = f"{classifier if isinstance(classifier, str) else classifier[0]}.weight"
    pairs = [(original_name(key, known), key) for key, _ in network.named_parameters()]
    groups = group_parameters(
        _Named([*pairs, (head, "")]),  # type: ignore[arg-type]
        whole.group_matcher(coarse=False),
        return_values=True,
    )
    layers = {key: layer for layer, keys in groups.items() for key in keys}
    last = layers.pop("")
    # Where the matcher knows nothing, all parameters are in one layer, or all belong to the head.
    return {key: last - layer for key, layer in layers.items()} if len(set(layers.values())) > 1 else None


def original_name(key: str, known: Iterable[str]) -> str:
    """The name that a parameter of a feature extractor has in the original network.

    timm's extractors put the network into `model`, or join the names of a container and its parts:
    `stages.0.blocks.1.norm.weight` becomes `stages_0.blocks.1.norm.weight`.

    Args:
        key: Name of the parameter in the extractor.
        known: All parameter names of the original network.

    Returns:
        The original name; `key` itself if the network has no matching parameter.
    """
    module = key.partition(".")[0]
    parted = (f"{key[:place]}.{key[place + 1 :]}" for place, letter in enumerate(module) if letter == "_")
    return next((name for name in (key, key.removeprefix("model."), *parted) if name in known), key)
