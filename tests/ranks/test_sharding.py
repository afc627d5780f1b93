"""Networks of which every process keeps a part, against one process that has all of it."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.ranks import Ranks
from pixelwise.ranks import sharding as sharding_module
from pixelwise.ranks.adding import adding_later
from pixelwise.ranks.sharding import Sharded, blocks_of, is_divided
from tests.ranks.processes import in_ranks


class Place(Ranks):
    """One of several processes, for what needs no others."""

    world = property(lambda self: 2)  # type: ignore[assignment]


class Net(nn.Module):
    """Blocks of which one is computed twice, more processes than rows, a buffer, and weights that are not trained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 5, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(5, 5, 3, padding=1), nn.GELU()) for _ in range(3))
        self.norm = nn.BatchNorm2d(5)
        self.slope = nn.Parameter(torch.ones(1))
        self.fixed = nn.Parameter(torch.full((5, 1, 1), 2.0), requires_grad=False)
        self.head = nn.Conv2d(5, 2, 1)
        self.register_buffer("scale", torch.tensor(3.0), persistent=False)

    def logits(self, images: Tensor) -> tuple[Tensor, ...]:
        values = self.stem(images) * self.slope + self.fixed
        for block in (*self.blocks, self.blocks[0]):
            values = values + block(values)
        return (self.head(self.norm(values)) * self.scale,)


def network(kind: torch.dtype = torch.float64) -> Net:
    return Net().to(kind)


def images_of(rank: int, place: int, kind: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(10 * rank + place)).to(kind)


def alone(world: int, limit: float) -> tuple[Net, Tensor]:
    """The network with the gradient of all processes' images, of norm `limit` at most, and the norm before."""
    net = network()
    for rank in range(world):
        for place in (0, 1):
            net.logits(images_of(rank, place))[0].pow(2).sum().backward()
    norm = nn.utils.clip_grad_norm_([one for one in net.parameters() if one.grad is not None], limit)
    return net, norm


@pytest.mark.heavy
@pytest.mark.parametrize("world", [2, 3])
def test_gradients_are_added_and_clipped_as_by_one_process(world: int):
    expected, norm = alone(world, limit=2.0)

    def work(ranks: Ranks) -> tuple:
        net = network()
        sharded = Sharded(net, net.logits, ranks, smallest=100)
        for place in (0, 1):
            with adding_later(sharded):
                sharded(images_of(ranks.rank, place))[0].pow(2).sum().backward()
        found = sharded.clip_gradients(2.0)
        parts = {name: part.grad for name, part in sharded.parts.items() if part.grad is not None}
        assert all(type(part) is Tensor for part in parts.values())
        return found, {name: sharded.whole(name, part) for name, part in parts.items()}

    for found, gradients in in_ranks(world, work):
        assert torch.allclose(found, norm, rtol=1e-12)
        assert found.dtype == torch.float64
        assert gradients.keys() == {name for name, one in expected.named_parameters() if one.requires_grad}
        for name, value in gradients.items():
            assert torch.allclose(value, expected.get_parameter(name).grad, rtol=1e-9, atol=1e-12), name  # type: ignore[arg-type]


@pytest.mark.heavy
def test_the_norm_does_not_depend_on_the_number_of_processes():
    def work(ranks: Ranks) -> float:
        net = network(torch.float32)
        sharded = Sharded(net, net.logits, ranks, smallest=100)
        for place in range(6):  # as many images in all
            if place % ranks.world == ranks.rank:
                sharded(images_of(0, place, torch.float32))[0].pow(2).sum().backward()
        return float(sharded.clip_gradients(float("inf")))

    two, three = in_ranks(2, work), in_ranks(3, work)
    assert len({*two}) == len({*three}) == 1  # every process has the same bits
    assert two[0] == pytest.approx(three[0], rel=1e-6)


def test_a_gradient_that_is_not_finite_in_one_process_is_so_in_all():
    def work(ranks: Ranks) -> bool:
        net = network(torch.float32)
        sharded = Sharded(net, net.logits, ranks)
        images = images_of(ranks.rank, 0, torch.float32)
        if ranks.rank == 1:
            images[0, 0, 0, 0] = float("nan")
        sharded(images)[0].pow(2).sum().backward()
        return bool(sharded.clip_gradients(1.0).isfinite())

    assert in_ranks(2, work) == [False, False]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_an_optimizer_moves_the_parts_as_it_moves_the_whole(kind: str):
    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        if kind == "sgd":
            return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True)
        return torch.optim.AdamW(parameters, lr=0.01, fused=True)

    def steps(forward, clip, moved: list[nn.Parameter], rank: int, world: int) -> None:
        chosen = optimizer(moved)
        for step in range(3):
            chosen.zero_grad(set_to_none=True)
            for place in range(6):
                if place % world == rank:
                    forward(images_of(step, place))[0].pow(2).mean().backward()
            clip()
            chosen.step()

    expected = network().eval()
    trained = [one for one in expected.parameters() if one.requires_grad]
    steps(expected.logits, lambda: None, trained, 0, 1)

    def work(ranks: Ranks) -> dict[str, Tensor]:
        net = network().eval()  # statistics of each process's own images would differ
        sharded = Sharded(net, net.logits, ranks, smallest=100)
        moved = [part for part in sharded.parts.values() if part.requires_grad]
        steps(sharded, lambda: sharded.clip_gradients(float("inf")), moved, ranks.rank, ranks.world)
        return sharded.whole_state(everywhere=False)

    for world in (2, 3):
        first, *others = in_ranks(world, work)
        assert first.keys() == expected.state_dict().keys()
        for name, value in expected.state_dict().items():
            assert torch.allclose(first[name], value, rtol=1e-10, atol=1e-12), name
        assert all("stem.weight" not in other for other in others)


def test_a_process_keeps_its_part_alone():
    def work(ranks: Ranks) -> dict[str, tuple[int, ...]]:
        net = network()
        sharded = Sharded(net, net.logits, ranks, smallest=100)
        sharded(images_of(0, 0))[0].sum().backward()
        sharded.clip_gradients(1.0)
        held = sum(one.untyped_storage().nbytes() for one in sharded.parts.values()) // 8
        rows = [(shape[0] + 1) // 2 * math.prod(shape[1:]) for shape in shapes.values()]
        assert held == sum(rows)  # in each of the two, although the second one needs less
        assert [name for name, one in net.named_parameters() if tuple(one.shape) != shapes[name]] == []
        return {name: tuple(part.shape) for name, part in sharded.parts.items()}

    shapes = {name: tuple(one.shape) for name, one in network().named_parameters()}
    first, second = in_ranks(2, work)
    assert (first["stem.weight"], second["stem.weight"]) == ((3, 3, 3, 3), (2, 3, 3, 3))
    assert (first["slope"], second["slope"]) == ((1,), (0,))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_put_together_it_predicts_as_before_and_needs_nobody(layout: torch.memory_format):
    net = network().to(memory_format=layout).eval()  # type: ignore[call-overload]
    expected = net.logits(images_of(0, 7))[0]

    def work(ranks: Ranks) -> list[Tensor]:
        mine = copy.deepcopy(net)
        sharded = Sharded(mine, mine.logits, ranks, smallest=100)
        seen = []
        for _ in range(2):
            with sharded.put_together() as whole, torch.no_grad():
                assert type(whole) is Net
                assert not whole.training
                assert whole.get_parameter("stem.weight").is_contiguous(memory_format=layout)
                # One process predicts more often than the other.
                seen += [whole.logits(images_of(0, 7))[0] for _ in range(ranks.rank + 1)]
            assert all(one.is_meta for one in whole.parameters())
        sharded(images_of(0, 0))[0].sum().backward()  # training goes on
        return seen

    found = in_ranks(2, work)
    assert [len(one) for one in found] == [2, 4]
    assert all(torch.allclose(one, expected, rtol=1e-12) for seen in found for one in seen)


@pytest.mark.heavy
def test_parts_of_moments_become_whole_again():
    moment = torch.randn(5, 3, 3, 3)

    def work(ranks: Ranks) -> Tensor:
        net = network(torch.float32)
        sharded = Sharded(net, net.logits, ranks)
        part = sharded.part_of("stem.weight", moment.to(memory_format=torch.channels_last))
        assert part.shape == sharded.parts["stem.weight"].shape
        return sharded.whole("stem.weight", part)

    assert all(torch.equal(found, moment) for world in (2, 3) for found in in_ranks(world, work))


def test_the_state_of_a_process_is_its_part_and_the_buffers():
    def work(ranks: Ranks) -> tuple[list[str], bool]:
        net = network()
        sharded = Sharded(net, net.logits, ranks)
        state = sharded.state_dict()
        with torch.no_grad():
            state["stem.weight"].fill_(7.0)
            state["norm.running_mean"].fill_(5.0)
        whole = sharded.whole_state(everywhere=True)
        return list(state), bool((whole["stem.weight"] == 7).all() and (net.norm.running_mean == 5).all())  # type: ignore[union-attr]

    assert in_ranks(2, work) == [(list(network().state_dict()), True)] * 2


def names_of(model: nn.Module, smallest: int) -> list[str]:
    names = {module: name for name, module in model.named_modules()}
    return [names[block] for block in blocks_of(model, smallest)]


def test_blocks_are_the_innermost_large_elements():
    assert names_of(Net(), 100) == ["blocks.0.0", "blocks.1.0", "blocks.2.0"]
    assert names_of(Net(), 1000) == []

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Conv2d(4, 8, 3)
            self.shortcut = nn.Sequential(nn.Conv2d(4, 8, 1))

        def forward(self, images: Tensor) -> Tensor:
            return self.main(images) + self.shortcut(images[..., 1:-1, 1:-1])

    stages = nn.ModuleDict({"a": nn.Sequential(Residual(), Residual()), "b": nn.ModuleList([nn.ModuleList()])})
    assert names_of(stages, 20) == ["a.0", "a.1"]


def test_what_several_modules_share_is_no_block_of_one_of_them():
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert names_of(tied, 1) == ["2"]

    def work(ranks: Ranks) -> tuple[list[str], bool]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
        net[1].weight = net[0].weight
        before = copy.deepcopy(net.state_dict())
        sharded = Sharded(net, lambda images: (net(images),), ranks, smallest=1)
        sharded(torch.ones(1, 4))[0].sum().backward()
        sharded.clip_gradients(1.0)
        whole = sharded.whole_state(everywhere=True)
        return list(whole), all(torch.equal(whole[name], value) for name, value in before.items())

    names = [f"{place}.{kind}" for place in range(3) for kind in ("weight", "bias")]
    assert in_ranks(2, work) == [(names, True)] * 2


def test_large_networks_are_divided_unless_it_is_forbidden(monkeypatch: pytest.MonkeyPatch):
    net = Net()
    size = sum(one.numel() for one in net.parameters())
    for largest, expected in ((size, False), (size - 1, True)):
        monkeypatch.setattr(sharding_module, "LARGE", largest)
        assert is_divided("auto", net, Place()) is expected
        assert is_divided("always", net, Place())
        assert not is_divided("never", net, Place())
        assert not is_divided("always", net, Ranks())


def test_a_single_number_has_no_parts(monkeypatch: pytest.MonkeyPatch):
    net = Net()
    net.temperature = nn.Parameter(torch.tensor(1.0))
    monkeypatch.setattr(sharding_module, "LARGE", 0)
    assert not is_divided("auto", net, Place())
    with pytest.raises(RecipeError, match="temperature is a single number") as caught:
        is_divided("always", net, Place())
    assert caught.value.code == "R229"
