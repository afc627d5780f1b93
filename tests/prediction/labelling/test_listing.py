import json
from pathlib import Path

from pixelwise.prediction.labelling.listing import Numbers, write_queue
from pixelwise.prediction.labelling.signals import Signals


def signals(name: str, uncertainty: float, feature: float, kept: int = 75) -> Signals:
    return Signals(
        image=f"images/{name}.jpg", mask=f"masks/{name}.png", sha256=("0",), pixels=100, kept=kept,
        uncertainty=uncertainty, margin=0.5, between=(0, 1) if kept < 100 else None, share_between=0.8,
        features=(feature,),
    )  # fmt: skip


def test_the_queue_gives_reasons(tmp_path: Path):
    waiting = [signals("sure", 0.125, 2.0, kept=100), signals("unsure", 0.5, 0.0), signals("alike", 0.375, 0.0)]
    assert write_queue(tmp_path, ("path", "pond"), waiting, [], 0.9) == Numbers(300, 250, 3)
    queue = json.loads((tmp_path / "queue.json").read_text())
    assert (queue["sure"], queue["corrected"]) == (0.9, 0)
    first, second, third = queue["images"]
    assert [one["image"] for one in queue["images"]] == ["images/unsure.jpg", "images/sure.jpg", "images/alike.jpg"]
    assert (first["open"], first["distance"], first["nearest"], first["score"]) == (0.25, None, None, 0.5)
    assert first["reasons"] == [
        "Mean entropy of its pixels: 50.0 % of the largest possible.",
        "25.0 % of its pixels are open; 80 % of these are undecided between path and pond.",
    ]
    assert second["nearest"] == "images/unsure.jpg"
    assert "1.50 times as far from images/unsure.jpg" in second["reasons"][-1]
    assert (second["score"], third["score"]) == (0.1875, 0.0)


def test_corrected_images_have_no_place(tmp_path: Path):
    corrected = [signals("done", 0.9, 0.0)]
    assert write_queue(tmp_path, ("path", "pond"), [signals("left", 0.1, 1.0)], corrected, 0.5) == Numbers(100, 75, 1)
    queue = json.loads((tmp_path / "queue.json").read_text())
    assert queue["corrected"] == 1
    assert [one["nearest"] for one in queue["images"]] == ["images/done.jpg"]
