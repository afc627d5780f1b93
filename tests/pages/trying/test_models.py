"""Models to try: which there are, and that the last two stay in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving_fakes import FakeWorkers

from pixelwise.errors import CheckpointError
from pixelwise.pages.catalog import Catalog
from pixelwise.pages.trying.models import Models
from pixelwise.serving.pool import Pool


def run(folder: Path, *, weights: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text('name = "x"\n', "utf-8")
    if weights:
        (folder / "checkpoints" / "step-00000001").mkdir(parents=True)
    return folder


@pytest.fixture
def workers() -> FakeWorkers:
    return FakeWorkers()


@pytest.fixture
def models(tmp_path: Path, workers: FakeWorkers) -> Models:
    for name in ("a", "b", "c"):
        run(tmp_path / name)
    run(tmp_path / "d", weights=False)
    return Models(Catalog([tmp_path]), lambda _: Pool(workers, lambda _: 1))


def test_only_runs_with_weights_can_be_tried(models: Models) -> None:
    assert [one.run.name for one in models.choices()] == ["a", "b", "c"]


def test_the_last_two_models_stay_in_memory(models: Models, workers: FakeWorkers) -> None:
    a, b, c = (one.id for one in models.choices())
    pools = [models.pool(id) for id in (a, b, a, c, a)]

    assert pools[0] is pools[2] is pools[4]
    assert [one.is_alive for one in workers.workers] == [True, False, True]  # a, b, c: b was asked for longest ago

    models.close()
    assert not any(one.is_alive for one in workers.workers)


def test_what_is_not_a_model_has_no_worker(models: Models, workers: FakeWorkers) -> None:
    assert models.pool("nothing") is None
    assert workers.started == 0


def test_a_model_that_cannot_be_loaded_is_tried_again(models: Models, workers: FakeWorkers) -> None:
    workers.models = [CheckpointError("K420", "it is damaged")]
    (id, *_) = (one.id for one in models.choices())

    with pytest.raises(CheckpointError):
        models.pool(id)

    assert models.pool(id) is not None
    models.close()
