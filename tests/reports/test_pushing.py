from __future__ import annotations

import json

import pytest

from pixelwise.checkpoints.hub.pushing import Pushed
from pixelwise.reports.pushing import described, show_pushed

PUSHED = Pushed(
    address="hub://me/a",
    url="https://hub/me/a",
    commit="0123456789abcdef" * 2,
    created=True,
    private=True,
    files={"README.md": 2500, "checkpoints/step-00000016/ema.safetensors": 1_491_368},
    removed=("model.onnx",),
)


def test_files_have_their_sizes_and_the_page_its_readers():
    lines = described(PUSHED, dry=False).splitlines()
    assert lines == [
        "        2,500 bytes  README.md",
        "    1,491,368 bytes  checkpoints/step-00000016/ema.safetensors",
        "            removed  model.onnx",
        "2 files, 1.5 MB",
        "created: https://hub/me/a (commit 0123456789ab); you and your organization alone can read it",
        "use it with: pixelwise predict hub://me/a IMAGES",
    ]


def test_a_dry_run_says_that_nothing_was_sent():
    assert described(PUSHED, dry=True).splitlines()[-1].startswith("nothing was sent; without --dry-run")


def test_json_holds_everything(capsys: pytest.CaptureFixture[str]):
    show_pushed(PUSHED, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["bytes"], found["private"], found["removed"]) == (1_493_868, True, ["model.onnx"])
