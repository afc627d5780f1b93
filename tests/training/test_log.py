import json
import resource
from pathlib import Path

import pytest
import torch

from pixelwise.errors import ResourceError
from pixelwise.training.log import RunLog


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_records_come_out_in_the_order_they_went_in(tmp_path: Path):
    log = RunLog(tmp_path / "log.jsonl")
    log.step(1, 1, 0.5, torch.tensor(2.0), torch.tensor(3.0))
    log.record("evaluation", 1, {"miou": 0.25})
    assert lines(log.path) == [
        {"kind": "step", "step": 1, "epoch": 1, "loss": 2.0, "lr": 0.5, "grad_norm": 3.0},
        {"kind": "evaluation", "step": 1, "miou": 0.25},
    ]
    assert log.latest_loss == 2.0


def test_rewinding_forgets_what_was_never_saved_and_a_half_written_line(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"kind": "step", "step": 1}\n{"kind": "evaluation", "step": 1}\n{"kind": "step", "step": 2}\n{"kind": "st'
    )
    RunLog(path).rewind(1, 0)
    assert lines(path) == [{"kind": "step", "step": 1}]


def test_C5_a_full_disk_is_said_as_such(tmp_path: Path):
    log = RunLog(tmp_path / "log.jsonl")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"log\.jsonl: not enough space") as caught:
            log.record("warning", 1, {"message": "x" * 200})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.code == "S601"
