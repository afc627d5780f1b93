"""`log.jsonl`: one JSON record per step, evaluation, warning and resume."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from pixelwise.storage import write_bytes
from pixelwise.storage.atomic import full_disk_explained

FLUSH_STEPS = 20
FLUSH_SECONDS = 2.0
"""Losses stay on the device until so many steps or seconds have passed: logging waits for nothing."""


class RunLog:
    """Appends to the log of a run.

    Args:
        path: The file; created when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._steps: list[tuple[int, int, float, Tensor, Tensor]] = []
        self.latest_loss: float | None = None
        self._flushed = time.monotonic()

    def rewind(self, step: int, evaluated_step: int) -> None:
        """Forget what came after the restored state: a killed run may have logged more than it saved.

        Args:
            step: The last step that counts.
            evaluated_step: The last evaluation that counts.
        """
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_bytes().splitlines():
            try:
                record = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue  # the line that was being written when the process was killed
            if record["step"] <= (evaluated_step if record["kind"] == "evaluation" else step):
                kept.append(line)
        write_bytes(self.path, b"".join(line + b"\n" for line in kept))

    def step(self, step: int, epoch: int, lr: float, loss: Tensor, grad_norm: Tensor) -> None:
        """Remember a step; written with the next flush."""
        self._steps.append((step, epoch, lr, loss, grad_norm))
        if len(self._steps) >= FLUSH_STEPS or time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def record(self, kind: str, step: int, facts: Mapping[str, Any]) -> None:
        """Write one record of another kind, after the steps before it."""
        self.flush()
        self._append([{"kind": kind, "step": step, **facts}])

    def flush(self) -> None:
        """Write the remembered steps."""
        self._flushed = time.monotonic()
        if not self._steps:
            return
        losses = torch.stack([loss for *_, loss, _ in self._steps]).tolist()
        norms = torch.stack([norm for *_, norm in self._steps]).tolist()
        self._append(
            {"kind": "step", "step": step, "epoch": epoch, "loss": loss, "lr": lr, "grad_norm": norm}
            for (step, epoch, lr, _, _), loss, norm in zip(self._steps, losses, norms, strict=True)
        )
        self.latest_loss = losses[-1]
        self._steps.clear()

    def _append(self, records: Any) -> None:
        with full_disk_explained(self.path), open(self.path, "ab") as file:
            file.writelines(msgspec.json.encode(record) + b"\n" for record in records)
