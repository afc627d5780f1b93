"""In which layer of its network timm counts each parameter, for learning rates that differ by layer.

Every architecture of timm has a `group_matcher`, which knows its blocks; timm's own layer-wise decay uses it. It is
written for the names of the whole network, and timm's feature extractors rename the blocks that they take out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

HEAD = "head"
"""The module that classifies, where timm does not say its name; no matcher knows it, as none knows a decoder."""


class _Named(NamedTuple):
    """What timm's grouping asks of a network: its parameters by name. Here the values are other names."""

    pairs: list[tuple[str, str]]

    def named_parameters(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


def layers_from_head(name: str, network: nn.Module) -> dict[str, int] | None:
    """How many layers before the head each parameter of a network of timm is, as timm counts them.

    Args:
        name: timm's name of the network.
        network: The network, or a feature extractor that timm made of it.

    Returns:
        Name of a parameter of `network` -> its distance: 1 for the last block, 0 for what timm counts with the
        head. None: timm does not know the blocks of this architecture.
    """
    import timm
    from timm.models import group_parameters

    with torch.device("meta"):
        whole: Any = timm.create_model(name, pretrained=False)
    if not hasattr(whole, "group_matcher"):
        return None
    known = {key for key, _ in whole.named_parameters()}
    # What stands in for the classifier, our decoder, is one layer behind the last block.
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
    # Without a matcher's knowledge all is one layer, or all is the head's.
    return {key: last - layer for key, layer in layers.items()} if len(set(layers.values())) > 1 else None


def original_name(key: str, known: Iterable[str]) -> str:
    """The name that a feature extractor's parameter has in the network it was taken from.

    timm's extractors put the network into `model`, or join the names of a container and of its parts:
    `stages.0.blocks.1.norm.weight` becomes `stages_0.blocks.1.norm.weight`.

    Args:
        key: In the extractor.
        known: All names in the network.

    Returns:
        That name; `key` itself if the network has nothing of the kind.
    """
    module = key.partition(".")[0]
    parted = (f"{key[:place]}.{key[place + 1 :]}" for place, letter in enumerate(module) if letter == "_")
    return next((name for name in (key, key.removeprefix("model."), *parted) if name in known), key)
