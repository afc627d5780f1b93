"""An evaluation by several processes has the result of one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError, StoppedError
from pixelwise.evaluation import passes
from pixelwise.evaluation.evaluate import evaluate_model
from pixelwise.evaluation.tally import Measurement
from pixelwise.evaluation.thumbnails import Thumbnails
from pixelwise.models import build_model
from pixelwise.observer import Observer
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.protocols import protocol
from tests.ranks.processes import in_ranks

METRICS = ("miou_interval", "boundary_iou")


def scored(ranks: Ranks, folder: Path | None = None, batch_size: int = 2, **options: Any) -> Measurement:
    """The score of a random network on seven images of the town."""
    words = ["data.dataset=town", "data.town_images=[1,7,1]", "data.town_size=[32,48]"]
    chosen = apply_overrides(recipe("town-demo"), words)
    dataset = open_dataset(chosen.data, None)
    torch.manual_seed(0)
    model = build_model(
        msgspec.structs.replace(chosen, data=msgspec.structs.replace(chosen.data, classes=dataset.classes))
    )
    groups = {sample.id: "even" if int(sample.id) % 2 == 0 else "odd" for sample in dataset.samples("val")}
    with Thumbnails() as thumbnails:
        found = evaluate_model(
            model, dataset, "val", protocol("native"), batch_size=batch_size, metrics=METRICS, groups=groups,
            thumbnails=thumbnails, ranks=ranks, **options,
        )  # fmt: skip
        if folder is not None and ranks.first:
            thumbnails.save(folder / "thumbnails.zip")
    return found


def scored_in_small_blocks(ranks: Ranks, *arguments: Any, **options: Any) -> Measurement:
    """The score in a process of its own."""
    passes.BLOCK = 1
    return scored(ranks, *arguments, **options)


def timeless(found: Measurement) -> str:
    return repr(msgspec.structs.replace(found, seconds=0.0, peak_memory_bytes=0, counts=found.counts.tolist()))  # type: ignore[arg-type]


@pytest.mark.heavy
@pytest.mark.parametrize("world", [2, 3])
def test_seven_images_are_scored_as_by_one_process(world: int, tmp_path: Path):
    alone = scored(ALONE, tmp_path)
    with zipfile.ZipFile(tmp_path / "thumbnails.zip") as archive:
        pictures = {name: archive.read(name) for name in archive.namelist()}
    found = in_ranks(world, lambda ranks: timeless(scored_in_small_blocks(ranks, tmp_path)))
    assert found == [timeless(alone)] * world
    assert alone.images == 7
    with zipfile.ZipFile(tmp_path / "thumbnails.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == pictures
        assert list(pictures) == archive.namelist()


@pytest.mark.heavy
def test_a_process_without_images_takes_part():
    # Seven images are one block: the second process has nothing to score.
    found = in_ranks(2, lambda ranks: timeless(scored(ranks, batch_size=1)))
    assert found == [timeless(scored(ALONE, batch_size=1))] * 2


def test_every_process_is_told_of_an_error():
    def work(ranks: Ranks) -> str:
        class Failing(Observer):
            def progress(self, done: int, total: int | None = None) -> None:
                if ranks.rank == 1:
                    raise StoppedError("I074", "stopped", "go on")

        try:
            scored_in_small_blocks(ranks, batch_size=1, observer=Failing())
        except StoppedError as error:
            return error.code
        except DataError:
            return "another error"
        return "no error"

    assert in_ranks(2, work) == ["I074"] * 2


@pytest.mark.heavy
def test_blocks_are_dealt_in_turn():
    def work(ranks: Ranks) -> list[str]:
        seen: list[str] = []
        scored_in_small_blocks(ranks, see=lambda pair, _: seen.append(pair.sample.id))
        return seen

    first, second = in_ranks(2, work)
    names = sorted([*first, *second])
    assert len(names) == 7
    assert (first, second) == ([names[i] for i in (0, 1, 4, 5)], [names[i] for i in (2, 3, 6)])
