"""Tars and tables of other programs are used like loose files, with the same results, bit for bit."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_data import as_parquet, as_webdataset
from hub_server import TOKEN, hub_of

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.evaluation.runs import score_by_name
from pixelwise.storage.stores import remote
from pixelwise.training.runs import train


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test alone, so that nothing was indexed before."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def weights(run: Path) -> dict[str, str]:
    checkpoint = newest_checkpoint(run / "checkpoints")
    assert checkpoint is not None
    return {name: record.sha256 for name, record in checkpoint.manifest.files.items() if name.endswith(".safetensors")}


def described(source: Path, target: Path) -> Path:
    if (source / "dataset.toml").exists():
        (target / "dataset.toml").write_bytes((source / "dataset.toml").read_bytes())
    return target


@pytest.mark.heavy
def test_training_is_training_from_loose_files(
    tiny_run: Path, tiny_recipe: Path, tiny_data: Path, tmp_path: Path, own_cache: Path
):
    packed = described(tiny_data, as_webdataset(tiny_data, tmp_path / "tars", each=3))
    run = train(str(tiny_recipe), data=packed, output=tmp_path / "run", threads=1, evaluate=False)
    assert weights(run) == weights(tiny_run)
    ours, theirs = (json.loads((one / "data.json").read_text()) for one in (run, tiny_run))
    assert ours == theirs


@pytest.mark.heavy
def test_training_from_the_hub_is_training_from_loose_files_and_tells_nobody_the_token(
    tiny_run: Path, tiny_recipe: Path, tiny_data: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("obstore")
    with hub_of(described(tiny_data, as_parquet(tiny_data, tmp_path / "hub"))) as hub:
        hub.private = True
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        remote._opened.cache_clear()
        run = train(
            str(tiny_recipe),
            data="hf://datasets/owner/name",
            output=tmp_path / "run",
            threads=1,
            overrides=["data.workers=1", "data.cache=off"],
            evaluate=False,
        )
    remote._opened.cache_clear()
    assert weights(run) == weights(tiny_run)
    assert {token for host, _, token in hub.requests if host == "files"} == {None}
    for folder in (run, own_cache):
        assert not [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


@pytest.mark.heavy
def test_every_verb_reads_tars_of_others(
    run_cli: Callable, tiny_run: Path, tiny_data: Path, tmp_path: Path, own_cache: Path
):
    packed = described(tiny_data, as_webdataset(tiny_data, tmp_path / "tars"))
    (one,), (other,) = (score_by_name(str(tiny_run), data, "val") for data in (tiny_data, packed))
    assert one.confusion_matrix == other.confusion_matrix
    assert one.data_fingerprint == other.data_fingerprint
    assert run_cli(["predict", tiny_run, packed, "--output", tmp_path / "out"]).code == 0
    assert len(list((tmp_path / "out/masks").rglob("*.png"))) == 14
    code, _, stderr = run_cli(["data", "verify", packed])
    assert (code, "error[D222]" in stderr, "another program" in stderr) == (3, True, True)
