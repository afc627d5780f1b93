"""The benchmark of several processes: what it counts, what it predicts, and that it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import torch
import torch.distributed as dist
from ranks.processes import in_ranks

from pixelwise.models import build_model
from pixelwise.ranks import Ranks
from pixelwise.recipes.catalog import recipe

Script = Callable[[str], ModuleType]
LINK = 100e9 / 8


def test_messages_take_as_long_as_the_formulas_say(script: Script) -> None:
    traffic = script("traffic")
    network = traffic.Network(100, 5e-6)

    def seconds(part: str, operation: str, host: bool, size: int, world: int) -> float:
        return traffic.seconds_of(traffic.Message(part, operation, host, size), world, network)

    large = 10**9
    assert seconds("gradients", "all_reduce", False, large, 8) == pytest.approx(
        10e-6 + 6 * 5e-6 + 2 * 7 / 8 * large / LINK
    )
    # They are gathered on a processor alone.
    assert seconds("gradients", "all_gather", False, large, 8) == seconds("gradients", "all_reduce", False, large, 8)
    assert seconds("normalisation", "all_gather", False, 800, 8) == pytest.approx(10e-6 + 3 * 5e-6 + 7 * 800 / LINK)
    assert seconds("agreement", "all_reduce", True, 32, 64) == pytest.approx(2 * 63 * 30e-6)


def test_a_step_waits_for_what_the_backward_pass_does_not_hide(script: Script) -> None:
    traffic = script("traffic")
    network = traffic.Network(100, 0.0)
    # A bucket whose sum takes a second over 2 processes.
    bucket = traffic.Message("gradients", "all_reduce", False, int(LINK * (1 - traffic.LAUNCH)))
    small = traffic.Message("normalisation", "all_reduce", False, 0)
    assert traffic.efficiency([bucket], 9.0, 2, network) == pytest.approx(0.9)
    assert traffic.efficiency([bucket] * 3, 9.0, 2, network) == pytest.approx(0.9)
    assert traffic.efficiency([bucket] * 10, 9.0, 2, network) == pytest.approx(9 / (9 + 10 - 6 * 0.9))
    assert traffic.efficiency([bucket, *[small] * 100_000], 9.0, 2, network) == pytest.approx(9 / 11)
    assert traffic.efficiency([], 9.0, 2, network) == 1.0
    made = traffic.predicted({"whole": [bucket]}, 9.0, (2, 8))
    assert list(made["whole"]) == [f"{world} GPUs, {rate} Gb/s" for world in (2, 8) for rate in (10, 100, 400)]


def test_messages_outside_of_a_step_are_refused(script: Script) -> None:
    traffic, original = script("traffic"), dist.all_reduce
    with traffic.observed() as messages, pytest.raises(RuntimeError, match="no part of a step"):
        dist.all_reduce(torch.zeros(3))
    assert messages == []
    assert dist.all_reduce is original


@pytest.mark.heavy
def test_the_messages_of_a_step_of_enet(script: Script) -> None:
    folder = str(Path(script("traffic").__file__).parent)

    def work(ranks: Ranks) -> dict[str, Any]:
        import sys

        sys.path.insert(0, folder)
        import traffic

        return {kind: traffic.totals(traffic.count("enet-camvid", kind, ranks)) for kind in traffic.KINDS}

    found, other = in_ranks(2, work)
    assert found == other
    network = build_model(recipe("enet-camvid"))
    parameters = sum(one.numel() for one in network.parameters())
    layers = sum(isinstance(one, torch.nn.BatchNorm2d) for one in network.modules())
    for parts in found.values():
        assert (parts["gradients"]["processors"], parts["gradients"]["bytes"]) == (0, 4 * parameters)
        assert parts["gradients"]["devices"] >= 1
        assert (parts["agreement"]["devices"], parts["agreement"]["processors"]) == (0, 1)
    # Mean, variance and gradients of every layer; or the statistics of all layers, at once. Sizes are known to all.
    assert found["split"]["normalisation"]["devices"] == 3 * layers
    assert found["whole"]["normalisation"]["devices"] == found["whole"]["losses"]["devices"] == 1
    for parts in found.values():
        assert [parts[part]["processors"] for part in ("normalisation", "losses")] == [0, 0]
    assert found["whole"]["normalisation"]["bytes"] > found["split"]["normalisation"]["bytes"] / 4


@pytest.mark.fuzz
@pytest.mark.timeout(900)
def test_the_benchmark_writes_its_page(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    distributed = script("distributed")
    written: dict[str, Any] = {}
    monkeypatch.setattr(distributed, "write_result", lambda name, content: written.update({name: content}))
    monkeypatch.setattr(distributed, "HERE", tmp_path)
    words = ["--rounds", "1", "--steps", "1", "--measure", "enet-camvid", "--count", "enet-camvid"]
    assert distributed.main(words) == 0
    content = written["distributed"]
    measured = content["measured"]["enet-camvid"]
    assert list(measured) == ["whole", "split"]
    for found in measured.values():
        assert all(rate["low"] > 0 for rate in found["images_per_second"].values())
        speeds = {shape: rate["median"] for shape, rate in found["images_per_second"].items()}
        one, threads, processes, apart = speeds.values()
        assert found["efficiency"]["threads"]["median"] == pytest.approx(threads / one / 2)
        assert found["efficiency"]["processes"]["median"] == pytest.approx(processes / one / 2)
        # Two trainings take twice the images of one.
        assert found["efficiency"]["apart"]["median"] == pytest.approx(apart / one / 2)
        assert found["efficiency"]["processes_over_threads"]["median"] == pytest.approx(processes / threads)
    assert all(0 < share < 1 for by in content["predicted"]["enet-camvid"].values() for share in by.values())
    page = (tmp_path / "distributed.md").read_text()
    assert page.count("| enet-camvid |") == 6
    # Counted again, with what was measured before as it was, of which an older version knew less.
    del measured["whole"]["efficiency"]["apart"]
    (tmp_path / "distributed.json").write_bytes(msgspec.json.encode({**content, "traffic": {}}))
    monkeypatch.setattr(distributed, "RESULTS", tmp_path)
    assert distributed.main(["--recount", "--count", "enet-camvid"]) == 0
    assert written["distributed"] == msgspec.json.decode(msgspec.json.encode(content))
    again = (tmp_path / "distributed.md").read_text()
    assert [one for one in again.splitlines() if one not in page.splitlines()] == [
        one for one in again.splitlines() if " | - | " in one
    ]
