from pixelwise.pages.curves import MOST_POINTS, curves_of
from pixelwise.records.log import EvaluationRecord, Log, StepRecord


def log(steps: int, *scores: tuple[float | None, ...]) -> Log:
    records = [StepRecord(step=step, epoch=1, loss=1 / step, lr=0.5) for step in range(1, steps + 1)]
    scored = [
        EvaluationRecord(step=10 * number, split="val", protocol="native", miou=iou[0], per_class_iou=iou)
        for number, iou in enumerate(scores, start=1)
    ]
    return Log(records=(*records, *scored))


def test_what_was_not_logged_has_no_curve():
    assert curves_of(log(0), ()) == []
    assert [curve["title"] for curve in curves_of(log(3), ())] == ["Training loss", "Learning rate"]


def test_curves_are_numbers_at_steps():
    loss, miou, classes, rate = curves_of(log(2, (0.5, None), (0.75, 0.25)), ("a", "b"))
    assert (loss["steps"], loss["names"], loss["values"][0]) == ([1, 2], ["loss", "smoothed"], [1, 0.5])
    assert (miou["title"], miou["steps"], miou["values"]) == ("mIoU on val, %", [10, 20], [[50, 75]])
    assert (classes["names"], classes["values"]) == (["a", "b"], [[50, 75], [None, 25]])
    assert rate["values"] == [[0.5, 0.5]]


def test_long_curves_are_thinned():
    loss = curves_of(log(2 * MOST_POINTS), ())[0]
    assert len(loss["steps"]) == MOST_POINTS
    assert all(len(values) == MOST_POINTS for values in loss["values"])
