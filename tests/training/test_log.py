import json
from pathlib import Path

import torch

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
    path.write_text('{"kind": "step", "step": 1}\n{"kind": "step", "step": 2}\n{"kind": "st')
    RunLog(path).rewind(1)
    assert lines(path) == [{"kind": "step", "step": 1}]
