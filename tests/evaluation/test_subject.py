from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from evaluation.color_model import GreyModel
from observers import Told

from pixelwise.errors import RecipeError
from pixelwise.evaluation.assembling import Origin
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.passes import refusal_of
from pixelwise.evaluation.subject import Subject, measured_metrics, score
from pixelwise.metrics import METRICS, SCORES, CountsAccumulator, Metric, Value, register
from pixelwise.recipes.protocols import PROTOCOLS
from pixelwise.records.details import load_details
from pixelwise.records.result import load_per_image, load_result

ORIGIN = Origin(recipe="r", recipe_hash="h", weights_sha256="w", weights="model", step=3)
CPU = EvaluateOptions(device="cpu")


class One(CountsAccumulator):
    def compute(self) -> Value:
        return Value(value=1.0)


@pytest.fixture
def subject(two_images) -> Subject:
    protocols = (PROTOCOLS["native"], PROTOCOLS["camvid-480x360"])
    return Subject(model=GreyModel(), origin=ORIGIN, dataset=two_images, split="val", protocols=protocols)


def test_each_protocol_has_a_result_with_the_origin_of_its_weights(subject: Subject):
    native, resized = score(subject, CPU)
    assert [native.protocol, resized.protocol] == ["native", "camvid-480x360"]
    assert native.pixel_accuracy == 18 / 19
    assert (native.recipe, native.weights_sha256, native.step, native.command) == ("r", "w", 3, "")
    assert native.data_fingerprint == resized.data_fingerprint != ""


def test_results_are_kept_where_the_subject_says(subject: Subject, tmp_path: Path):
    kept = msgspec.structs.replace(subject, folder=tmp_path, pictures=True, command=("pixelwise", "evaluate", "a b"))
    native, _ = score(kept, EvaluateOptions(device="cpu", boundary=False, group="(.)$"))
    folder = tmp_path / "evaluations" / "val-native"
    assert load_result(folder).command == native.command
    assert native.command == ("pixelwise evaluate 'a b' --split val --protocol native --no-boundary --group '(.)$'")
    assert [image.id for image in load_per_image(folder)] == ["image-00", "image-01"]
    assert (folder / "samples" / "samples.json").is_file()
    assert [group.name for group in native.groups] == ["0", "1"]


@pytest.mark.parametrize("pictures", [False, True])
def test_counts_of_single_images_are_kept_with_and_without_pictures(subject: Subject, tmp_path: Path, pictures: bool):
    kept = msgspec.structs.replace(subject, folder=tmp_path, pictures=pictures)
    for result in score(kept, CPU):
        folder = tmp_path / "evaluations" / f"val-{result.protocol}"
        details = load_details(folder)
        assert [one.id for one in details] == ["image-00", "image-01"]
        assert sum(cell.pixels for one in details for cell in one.confusion) == result.labelled_pixels
        assert (folder / "samples").is_dir() == pictures


def test_the_work_is_told(subject: Subject):
    phases: list[str] = []
    seen: list[tuple[str, int, int | None]] = []
    score(subject, CPU, Told(phase=phases.append, progress=lambda *progress: seen.append(progress)))
    assert phases == ["evaluating"]
    assert seen == [("evaluating", 1, 2), ("evaluating", 2, 2)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {*SCORES, "miou_interval", "boundary_iou"}),
        ({"boundary": False}, {*SCORES, "miou_interval"}),
        ({"calibration": True}, {*SCORES, "miou_interval", "boundary_iou", "calibration_error"}),
        ({"boundary": False, "metrics": ("boundary_iou",)}, {*SCORES, "miou_interval", "boundary_iou"}),
    ],
)
def test_what_is_measured_is_the_usual_and_what_is_asked_for(options: dict, expected: set[str]):
    assert set(measured_metrics(EvaluateOptions(**options), GreyModel())) == expected


def test_a_metric_that_is_usual_is_measured_without_being_asked_for(subject: Subject):
    register(Metric(name="one", title="one", summary="One.", accumulator=One, unit="", default=True))
    try:
        (native, _) = score(subject, CPU)
    finally:
        del METRICS["one"]
    assert (native.metrics["one"].value, native.metrics["one"].title) == (1.0, "one")


@pytest.mark.parametrize(
    ("metric", "network"),
    [({"multilabel": False}, {"multilabel": True}), ({"needs": "probabilities"}, {"gives_scores": False})],
)
def test_a_metric_not_defined_for_the_network_is_left_out_unless_asked_for(
    metric: dict, network: dict, subject: Subject, monkeypatch: pytest.MonkeyPatch
):
    for name, value in network.items():
        monkeypatch.setattr(GreyModel, name, value)
    register(Metric(name="one", title="one", summary="One.", accumulator=One, default=True, **metric))
    try:
        assert "one" not in measured_metrics(CPU, subject.model)
        asked = EvaluateOptions(device="cpu", metrics=("one",))
        assert "one" in measured_metrics(asked, subject.model)
        refusal = refusal_of(METRICS["one"], subject.model)
    finally:
        METRICS.discard("one")
    assert refusal is not None
    assert refusal.code == "R203"


def test_a_device_that_is_not_there_is_refused(subject: Subject):
    with pytest.raises(RecipeError) as caught:
        score(subject, EvaluateOptions(device="nonsense"))
    assert caught.value.code == "R214"


def test_probabilities_reach_the_metric_that_needs_them_under_every_protocol(two_images):
    class Brier(CountsAccumulator):
        """Mean squared distance of the probabilities from the labels."""

        def __init__(self, task) -> None:
            super().__init__(task)
            self.total, self.pixels = 0.0, 0

        def update(self, image) -> None:
            labels = torch.from_numpy(image.labels)
            for first, shares in image.probabilities():
                here = labels[first : first + shares.shape[1]]
                known = here != 255
                truth = torch.nn.functional.one_hot(here[known].long(), shares.shape[0])
                self.total += float(((shares[:, known].T - truth) ** 2).sum())
                self.pixels += int(known.sum())

        def compute(self) -> Value:
            return Value(value=self.total / self.pixels)

    register(Metric(name="brier", title="Brier", summary="x", accumulator=Brier, needs="probabilities", groups=False))
    names = ("native", "slide-2x3", "multi-scale-flip", "tf-deeplab-512x512")
    try:
        from pixelwise.recipes.protocols import protocol

        subject = Subject(
            model=GreyModel(),
            origin=ORIGIN,
            dataset=two_images,
            split="val",
            protocols=tuple(protocol(name) for name in names),
        )
        found = [result.metrics["brier"].value for result in score(subject, EvaluateOptions(metrics=("brier",)))]
    finally:
        del METRICS["brier"]
    # The probabilities of class k for the grey of class j are a softmax of -(60 (k - j) / 255)^2.
    greys = torch.arange(4.0) * 60 / 255
    shares = (-((greys[:, None] - greys[None]) ** 2)).softmax(1)
    squared = ((shares - torch.eye(4)) ** 2).sum(1)
    # 10 grass and 7 path pixels that are right, one pond that is right, and one that is taken for path.
    wrong = ((shares[1] - torch.eye(4)[2]) ** 2).sum()
    expected = float((10 * squared[0] + 7 * squared[1] + squared[2] + wrong) / 19)
    assert found[0] == pytest.approx(expected, rel=1e-5)
    assert found[1] == pytest.approx(expected, rel=1e-5)  # a network without context sees the same through windows
    assert all(0 < value < 1 for value in found)
