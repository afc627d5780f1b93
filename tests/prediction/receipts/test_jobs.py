from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from evaluation.color_model import PALETTE, GreyModel
from torch import nn

import pixelwise
from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.protocols import PROTOCOLS

SAME = [
    {"strict": True}, {"device": "cpu"}, {"again": True}, {"shard": "1/3"}, {"trust": True},
    {"overrides": ("data.input_range=[0,1]",)}, {"tars": True}, {"engine": "ray"}, {"workers": 3},
    {"gpus_per_worker": 0.5}, {"address": "auto"},
]  # fmt: skip
"""Options that change no file, and one whose effect the segmenter shows."""
OTHER = [
    {"overlay": False}, {"alpha": 0.25}, {"palette": "cvd"}, {"background": True}, {"legend": True},
    {"mask_format": "original"}, {"polygons": "labelme"}, {"probabilities": True},
    {"window": (32, 32)}, {"parts_above": 7}, {"scale": 0.5},
    {"video_masks": "ffv1"}, {"every": 2},
]  # fmt: skip


def test_every_option_is_known_to_change_files_or_not():
    named = {name for options in (*SAME, *OTHER) for name in options}
    assert named == {field.name for field in msgspec.structs.fields(PredictOptions)}


def test_options_that_change_files_make_another_job():
    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    first = job_of(segmenter, PredictOptions())
    assert [job_of(segmenter, PredictOptions(**options)) for options in SAME] == [first] * len(SAME)
    others = [job_of(segmenter, PredictOptions(**options)) for options in OTHER]
    assert len({first, *others}) == 1 + len(OTHER)


class Scaled(GreyModel):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("steps", torch.tensor(0))
        self.note = "first"

    def get_extra_state(self) -> dict[str, str]:
        return {"note": self.note}

    def set_extra_state(self, state: dict[str, str]) -> None:
        self.note = state["note"]


def test_weights_and_all_that_the_segmenter_does_make_another_job():
    def job(model: GreyModel | None = None, palette: object = PALETTE, **changes: object) -> str:
        segmenter = Segmenter(model or Scaled(), palette=palette)  # type: ignore[arg-type]
        for name, value in changes.items():
            setattr(segmenter, name, value)
        return job_of(segmenter, PredictOptions())

    assert job() == job()
    changed, counted, flagged, noted = Scaled(), Scaled(), Scaled(), Scaled()
    with torch.no_grad():
        changed.scale[1] = 1.0078125  # the next bfloat16
    counted.get_buffer("steps").add_(1)
    flagged.align_corners = True
    noted.note = "second"
    reading = msgspec.structs.replace(Segmenter(GreyModel()).reading, input_range=(0, 4095))
    others = [
        job(GreyModel()), job(changed), job(counted), job(flagged), job(noted), job(palette=PALETTE[::-1]),
        job(input_size=(32, 32)), job(exact=True), job(reading=reading), job(protocol=PROTOCOLS["slide-1024x1024"]),
        job(whole_pixels=1), job(large_window=(7, 7)), job(training_scale=0.5), job(scale=0.5),
    ]  # fmt: skip
    assert len({job(), *others}) == 1 + len(others)


def test_an_engine_that_rounds_in_another_way_makes_another_job(monkeypatch: pytest.MonkeyPatch):
    segmenter = Segmenter(GreyModel(), palette=PALETTE)
    first = job_of(segmenter, PredictOptions())
    monkeypatch.setattr("pixelwise.prediction.receipts.jobs.ENGINE", 0)
    assert job_of(segmenter, PredictOptions()) != first


@pytest.mark.heavy
def test_the_name_of_a_job_is_the_same_in_every_process(tiny_run: Path):
    script = (
        "import sys, pixelwise; from pixelwise.prediction.options import PredictOptions; "
        "from pixelwise.prediction.receipts.jobs import job_of; "
        "print(job_of(pixelwise.load(sys.argv[1]), PredictOptions()))"
    )
    done = subprocess.run([sys.executable, "-c", script, tiny_run], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == job_of(pixelwise.load(tiny_run), PredictOptions())


def test_the_code_of_a_network_of_another_package_is_part_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    jobs = []
    for code in ("", "# with a change\n"):
        text = f"from evaluation.color_model import GreyModel\nclass Own(GreyModel):\n    pass\n{code}"
        (tmp_path / "own_network.py").write_text(text)
        import own_network  # type: ignore[import-not-found]

        jobs.append(job_of(Segmenter(own_network.Own()), PredictOptions()))
        del sys.modules["own_network"]
    assert jobs[0] != jobs[1]
