from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from pixelwise.datasets.samples import Sample
from pixelwise.errors import RecipeError
from pixelwise.evaluation.pairs import EvaluationPair
from pixelwise.evaluation.shards.states import Counted, ImageCounts, counted, take_in
from pixelwise.evaluation.tally import Tally, task_of
from pixelwise.metrics import METRICS, Accumulator, Metric, ScoredImage, Value
from pixelwise.recipes.protocols import PROTOCOLS

NATIVE = PROTOCOLS["native"]
KINDS = tuple(METRICS.find(name) for name in ("miou_interval", "boundary_iou"))


def pair(id: str, labels: np.ndarray) -> EvaluationPair:
    sample = Sample(id, None, None)  # type: ignore[arg-type]
    return EvaluationPair(sample, np.zeros((*labels.shape, 3), np.uint8), labels)


def tally(*, multilabel: bool = False, **options) -> Tally:
    task = task_of(("grass", "path", "pond"), NATIVE, multilabel=multilabel)
    return Tally(task, "val", NATIVE, **{"metrics": KINDS, "details": True, **options})


def text(measured: Tally) -> str:
    found = measured.measurement()
    return repr(msgspec.structs.replace(found, seconds=0.0, counts=found.counts.tolist()))  # type: ignore[arg-type]


def test_an_image_by_hand():
    found = tally(cells=True, details=False, metrics=())
    found.add(pair("a", np.array([[0, 0, 1, 255]], np.uint8)), torch.tensor([[0, 2, 1, 1]], dtype=torch.uint8), index=5)
    assert counted(found) == Counted(images=(ImageCounts(5, "a", ((0, 0, 1), (0, 2, 1), (1, 1, 1))),))


@pytest.mark.parametrize("multilabel", [False, True])
def test_any_division_in_any_order_is_the_whole(multilabel: bool):
    random = np.random.default_rng(1)
    groups = {str(index): "ab"[index % 2] for index in range(12)}
    whole = tally(multilabel=multilabel, groups=groups)
    parts = [tally(multilabel=multilabel, groups=groups, cells=True) for _ in range(4)]
    for index in range(12):
        kind, most = (np.int32, 8) if multilabel else (np.uint8, 3)
        truth, predicted = random.integers(0, most, (2, 9, 11)).astype(kind)
        for one in (whole, parts[random.integers(0, 4)]):
            one.add(pair(str(index), truth), torch.from_numpy(predicted), index=index)
    states = [msgspec.json.decode(msgspec.json.encode(counted(part)), type=Counted) for part in parts]
    for _ in range(3):
        random.shuffle(states)
        folded = tally(multilabel=multilabel, groups=groups)
        seen: list[ScoredImage] = []
        for state in states:
            take_in(folded, state, seen.append)
        assert text(folded) == text(whole)
        assert {image.id for image in seen} == set(groups)


def test_a_metric_that_keeps_objects_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    class Hoarder(Accumulator):
        def update(self, image: object) -> None:
            self.kept = [object()]

        def merge(self, other: object) -> None: ...

        def compute(self) -> Value:
            return Value()

    found = tally(cells=True, metrics=(Metric(name="hoard", title="hoard", summary="All.", accumulator=Hoarder),))
    found.add(pair("a", np.zeros((2, 2), np.uint8)), torch.zeros((2, 2), dtype=torch.uint8))
    monkeypatch.setattr(METRICS, "module_of", lambda name: "plugin")
    with pytest.raises(RecipeError, match=r"'hoard' of plugin .* `object`") as caught:
        counted(found)
    assert caught.value.code == "R226"
