"""Every fix that a check prints is accepted by the check, and the labels read afterwards are the right ones."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from contracts.mistakes import MISTAKES, VOID, Mistake, Truth, pairs

import pixelwise
from pixelwise.datasets.auditing.checking import Checked
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.reading.pairs import read_pair

# Interpolation moves borders by up to half a pixel, which no reading can undo.
WRONG_AT_BORDERS = 0.005
_WORD = r"(?:'data\.[^']+'|data\.\w+=[^\s;,]+)"
_SETTINGS = re.compile(rf"{_WORD}(?: {_WORD})*")


def alternatives(fix: str) -> list[list[str]]:
    """The settings that a fix proposes; those side by side belong together."""
    return [[word.strip("'") for word in re.findall(_WORD, found)] for found in _SETTINGS.findall(fix)]


def over(settings: Sequence[str], more: Sequence[str]) -> list[str]:
    """Settings, of which later ones replace earlier ones of the same field."""
    return list({word.partition("=")[0]: word for word in (*settings, *more)}.values())


def messages(checked: Checked) -> str:
    return "\n".join(f"{found.code} {found.message} | {found.fix}" for found in checked.audit.findings)


def read(root: Path, settings: Sequence[str]) -> Truth:
    _, dataset = open_folder(root, settings)
    samples = [sample for found in dataset.splits.values() for sample in found]
    assert all(sample.mask_path is not None for sample in samples)
    return {sample.image_path.stem: read_pair(sample, dataset)[1] for sample in samples}


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_a_fix_is_accepted_and_gives_the_right_labels(tmp_path: Path, mistake: Mistake):
    root = tmp_path / mistake.name
    truth = mistake.write(root)
    checked = pixelwise.check(root, mistake.settings)
    found = [finding for finding in checked.audit.findings if finding.code == mistake.code]
    assert len(found) == 1, messages(checked)
    for words in mistake.says:
        assert words in found[0].message, messages(checked)
    assert checked.refused == mistake.code.startswith("D")
    fixes = alternatives(found[0].fix)
    first = [settings for settings in fixes if not settings[0].startswith("data.allow")]
    assert bool(first) == (mistake.fixed and mistake.name != "empty"), found[0].fix
    for settings in fixes:
        after = pixelwise.check(root, over(mistake.settings, settings))
        assert not after.refused, (settings, messages(after))
    if not first:
        return
    labels = read(root, over(mistake.settings, first[0]))
    assert labels.keys() == truth.keys()
    named = labelled = 0
    for name, right in truth.items():
        kept = labels[name] != VOID
        wrong = np.count_nonzero(kept & (right != VOID) & (labels[name] != right))
        assert wrong <= (WRONG_AT_BORDERS if mistake.lost else 0) * right.size, (name, wrong)
        labelled += np.count_nonzero(right != VOID)
        named += np.count_nonzero(kept & (right != VOID))
    assert named >= (1 - mistake.lost) * labelled, named / labelled


def test_a_folder_without_a_mistake_is_ready(tmp_path: Path):
    pairs(tmp_path / "good", lambda labels, index: labels)
    checked = pixelwise.check(tmp_path / "good")
    assert not checked.refused
    assert [finding.code for finding in checked.audit.findings if finding.code.startswith("D")] == []


def test_settings_are_taken_from_a_fix():
    fix = "add 'data.label_map={0 = 0, 80 = 1}' data.mask_tolerance=39, which; or 'data.allow=[\"D260\"]'"
    assert alternatives(fix) == [["data.label_map={0 = 0, 80 = 1}", "data.mask_tolerance=39"], ['data.allow=["D260"]']]
    assert tomllib.loads(alternatives(fix)[0][0])["data"]["label_map"] == {"0": 0, "80": 1}
