import json
from collections.abc import Callable
from pathlib import Path


def test_sound_data_is_shown_and_the_next_command_named(run_cli: Callable, tiny_data: Path):
    code, stdout, _ = run_cli(["check", tiny_data])
    assert code == 0
    assert "8 train, 3 val, 3 test" in stdout
    assert "48x64 (HxW), all" in stdout
    assert "box" in stdout
    assert f"ready: pixelwise train unet-resnet18 --data {tiny_data}" in stdout


def test_json_holds_everything(run_cli: Callable, tiny_data: Path):
    code, stdout, _ = run_cli(["check", tiny_data, "--json"])
    found = json.loads(stdout)
    assert code == 0
    assert found["splits"] == {"train": 8, "val": 3, "test": 3}
    assert found["findings"] == []
    # Rows 0 and 1 of every 48x64 image are void.
    assert found["statistics"]["train"]["void_pixels"] == 8 * 2 * 64


def test_an_allowed_error_does_not_fail(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    import shutil

    data = Path(shutil.copytree(tiny_data, tmp_path / "data"))
    for folder in ("images", "masks"):
        shutil.copy(data / folder / "train" / "00.png", data / folder / "val" / "99.png")
    assert run_cli(["check", data]).code == 3
    assert run_cli(["check", data, 'data.allow=["D133"]']).code == 0
