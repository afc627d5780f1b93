"""Output on a console that cannot print every character: Windows code page 1252."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMANDS = """
import io, sys
from pixelwise.cli import entry
for words in sys.argv[1].split(";"):
    sys.argv[1:] = words.split("|")
    try:
        entry()
    except SystemExit as ended:
        print("ended with", ended.code)
"""


def printed(*commands: list[str]) -> tuple[str, list[int]]:
    """Output of commands in cp1252, and their exit statuses."""
    script = ";".join("|".join(words) for words in commands)
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, script],
        env=os.environ | {"PYTHONIOENCODING": "cp1252:strict"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode("cp1252")
    text = (done.stdout + done.stderr).decode("cp1252")
    assert "UnicodeEncodeError" not in text
    return text, [int(line.split()[-1]) for line in text.splitlines() if line.startswith("ended with")]


@pytest.mark.heavy
def test_tables_of_models_are_printed():
    text, codes = printed(["recipes"], ["table", "002"], ["models", "search", "gmacs<5"], ["show", "enet-camvid"])
    assert codes == [0, 0, 0, 0]
    assert "enet-camvid" in text


@pytest.fixture
def far_away(tmp_path: Path) -> Path:
    """Data with Japanese names, which cp1252 cannot encode; one image has no mask."""
    root = tmp_path / "データ"
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for number in range(3):
            labels = np.full((16, 16), number % 2, np.uint8)
            labels[:8] = 1
            Image.fromarray(labels).save(root / "masks" / split / f"写真{number}.png")
            Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)).save(
                root / "images" / split / f"写真{number}.png"
            )
    (root / "masks" / "train" / "写真2.png").unlink()
    (root / "dataset.toml").write_text('classes = ["背景", "車"]\n', "utf-8")
    return root


@pytest.mark.heavy
def test_names_that_the_console_lacks_are_printed_as_escapes(far_away: Path, tmp_path: Path):
    allowed = 'data.allow=["D220"]'
    text, codes = printed(
        ["check", str(far_away)],
        ["data", "stats", str(far_away), allowed],
        ["data", "split", str(far_away), "--output", str(tmp_path / "列"), allowed],
        ["predict", str(tmp_path / "無い"), str(far_away), "--output", str(tmp_path / "out")],
    )
    assert codes == [3, 0, 0, 4]
    assert "\\u5199\\u771f2.png" in text
    assert "\\u80cc\\u666f" in text
