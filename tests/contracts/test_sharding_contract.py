"""Every network can be divided over processes: its blocks are called as modules, so that they gather their weights."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from network_sizes import parameters

import pixelwise
from pixelwise.models import build_model
from pixelwise.ranks import Ranks
from pixelwise.ranks.sharding import Sharded, blocks_of, is_divided
from pixelwise.recipes.families.fpn import FPNSpec
from pixelwise.recipes.schema.model import Spec
from tests.contracts.test_models_contract import SMALL, SPECS
from tests.ranks.processes import in_ranks

OF_ENCODERS: dict[str, Spec] = {
    name: FPNSpec(encoder=name) for name in ("vit_tiny_patch16_224", "convnext_atto", "swin_tiny_patch4_window7_224")
}


FIRST = {type(SPECS[name]): name for name in sorted(SMALL, key=parameters, reverse=True)}
"""The smallest network of each family, which is tried in parts with the heavy tests; the others with the longest."""


def test_nobody_else_knows_how_processes_talk_and_networks_are_wrapped():
    source = Path(pixelwise.__file__).parent
    found = {
        word: {path.relative_to(source).as_posix() for path in source.rglob("*.py") if word in path.read_text("utf-8")}
        for word in ("torch.distributed", "torch.nn.parallel", "DistributedDataParallel(", "fully_shard(")
    }
    assert found.pop("DistributedDataParallel(") == found.pop("torch.nn.parallel") == {"ranks/adding.py"}
    assert found.pop("fully_shard(") == {"ranks/sharding.py"}
    assert {name for name in found["torch.distributed"] if not name.startswith("ranks/")} == set()


class Two(Ranks):
    """One of two processes, for what needs no others."""

    world = property(lambda self: 2)  # type: ignore[assignment]


def differing(ranks: Ranks, spec: Spec) -> list[str]:
    """The parameters whose gradient is another one if a network is divided into as many blocks as it has."""
    found = []
    torch.manual_seed(0)
    plain = build_model(spec, 5).train()
    model = copy.deepcopy(plain)
    images = torch.rand(2, plain.preprocessing.in_channels, 64, 64)
    torch.manual_seed(1)
    sum(logits.square().mean() for logits in plain.head_logits(images)).backward()  # type: ignore[union-attr]
    sharded = Sharded(model, model.head_logits, ranks, smallest=1)
    torch.manual_seed(1)
    sum(logits.square().mean() for logits in sharded(images)).backward()  # type: ignore[union-attr]
    sharded.clip_gradients(float("inf"))
    for key, parameter in plain.named_parameters():
        gradient = sharded.parts[key].grad
        assert parameter.grad is not None
        assert gradient is not None
        if not torch.allclose(gradient, parameter.grad, rtol=1e-3, atol=1e-6):
            found.append(key)
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.heavy if name in (*OF_ENCODERS, *FIRST.values()) else pytest.mark.fuzz)
        for name in (*OF_ENCODERS, *SMALL)
    ],
)
def test_a_network_computes_the_same_in_parts(name: str):
    spec = (OF_ENCODERS | SPECS)[name]
    assert in_ranks(1, lambda ranks: differing(ranks, spec)) == [[]]


@pytest.mark.parametrize("name", [*OF_ENCODERS, *SMALL])
def test_no_network_has_a_parameter_that_has_no_parts(name: str):
    with torch.device("meta"):
        assert is_divided("always", build_model((OF_ENCODERS | SPECS)[name], 5), Two())


@pytest.mark.heavy
def test_the_blocks_of_a_transformer_are_divided_one_by_one():
    with torch.device("meta"):
        model = build_model(OF_ENCODERS["vit_tiny_patch16_224"], 5)
    names = {module: name for name, module in model.named_modules()}
    blocks = [names[block] for block in blocks_of(model)]
    assert blocks[:12] == [f"encoder.network.blocks.{number}" for number in range(12)]
    alone = sum(one.numel() for block in blocks_of(model) for one in block.parameters())
    assert alone > 0.9 * sum(one.numel() for one in model.parameters())
