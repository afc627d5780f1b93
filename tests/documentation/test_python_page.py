"""docs/python.md: every statement of its programs runs where the names that it uses exist, or has a reason why not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documentation.guides import HUB, RAY, TRAINED, made_by, write_images, write_map, write_photo, write_photos
from documentation.pages import ROOT

PAGE = ROOT / "docs" / "python.md"
STAYS = "answers until Ctrl-C; the command of the same name is followed by test_guides.py and the tutorials"
NOT_HERE = {
    "pixelwise.check('photos', engine='ray', workers=8)": RAY,
    "pixelwise.push(run, 'me/unet-town', licence='apache-2.0')": HUB,
    "pixelwise.serve(run, port=8000)": STAYS,
    "pixelwise.ui('runs')": STAYS,
    "report = pixelwise.import_weights(model, state_dict, source='pytorch-enet')": "published weights; "
    "tests/checkpoints/importers has files with the same keys",
}
"""Statements that cannot run here, as Python prints them -> why."""
INSTEAD = {
    # An epoch, and whatever is larger than 0.1 million pixels is too large to be decoded whole.
    "minutes=20": "epochs=1, overrides={'data.max_pixels': 100_000}",
    "epochs=80": "epochs=1",
    "teacher='runs/large'": "teacher='runs/large', epochs=1",
}
"""Parts of statements -> what stands for them here."""


def programs() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def statements() -> Iterator[str]:
    for program in programs():
        yield from map(ast.unparse, ast.parse(program).body)


def shortened(statement: str) -> str:
    """A statement with what stands here for a part of it."""
    for part, other in INSTEAD.items():
        statement = statement.replace(part, other)
    return statement


@pytest.mark.fuzz
@pytest.mark.timeout(900)
def test_every_statement_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"))
    write_images(Path("new photos"))
    write_images(Path("unlabelled"))
    write_photo(Path("photo.jpg"))
    write_map(Path("map.tif"))
    for name in ("runs/before", "runs/large"):
        made_by(TRAINED)(Path(name))
    names: dict[str, object] = {}
    for statement in statements():
        if statement not in NOT_HERE:
            exec(compile(shortened(statement), f"docs/python.md: {statement}", "exec"), names)
    assert len(list(Path("masks").iterdir())) >= 4
    assert Path("mask.tif").is_file()
    assert Path("out/masks").is_dir()
    assert Path("prelabels/queue.json").is_file()


def test_what_cannot_run_is_on_the_page():
    shown = set(statements())
    assert sorted(set(NOT_HERE) - shown) == []
    assert [part for part in INSTEAD if not any(part in statement for statement in shown)] == []
    assert len(shown) > 25
