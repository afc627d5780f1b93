"""Commands that write to folders refuse addresses, which would otherwise become a folder named `s3:` here."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.test_kills import TABLE

WRITES_TO_ADDRESSES = ("predict", "data shard")
ALL = {name: row.arguments for name, row in TABLE.items() if not row.copied} | {
    "table": ("table", "--output", "{out}/page.md")
}
"""Name -> arguments with an output `{out}`."""
WRITING = {name: arguments for name, arguments in ALL.items() if name not in WRITES_TO_ADDRESSES}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.heavy] * (name in ("quantize", "deploy"))) for name in WRITING]
)
def test_an_address_is_refused_and_no_folder_is_made(
    name: str, run_cli, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"run": tiny_run, "linear": tiny_run, "data": tiny_data, "recipe": tiny_recipe, "out": "s3://bucket/out"}
    code, _, stderr = run_cli([word.format(**places) for word in WRITING[name]])
    assert code == 2, stderr
    assert "error[R294]" in stderr
    assert "s3://bucket/out" in stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", ALL)
def test_what_only_looks_like_an_address_is_refused_and_no_folder_is_made(
    name: str, run_cli, tiny_run: Path, tiny_data: Path, tiny_recipe: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"run": tiny_run, "linear": tiny_run, "data": tiny_data, "recipe": tiny_recipe, "out": "ftp://host/out"}
    code, _, stderr = run_cli([word.format(**places) for word in ALL[name]])
    assert code == 2, stderr
    assert "error[R298]: ftp://host/out" in stderr
    assert list(tmp_path.iterdir()) == []
