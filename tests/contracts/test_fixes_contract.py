"""Every fix that a check prints is accepted by the check, and the labels read afterwards are the right ones."""

import ast
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from contracts.mistakes import MISTAKES, VOID, Mistake, Truth, pairs

import pixelwise
from pixelwise.datasets.auditing.checking import Checked
from pixelwise.datasets.auditing.statistics import statistics
from pixelwise.datasets.opening import open_folder
from pixelwise.datasets.preparing.converting import convert
from pixelwise.datasets.reading.pairs import read_labels, read_pair

SOURCE = Path(pixelwise.__file__).parent
# Interpolation moves borders by up to half a pixel, which no reading can undo.
WRONG_AT_BORDERS = 0.005
_WORD = r"(?:'data\.[^']+'|data\.\w+=(?:\[[\d,]*\]|[^\s;,\[]+))"
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
    for settings in fixes:
        after = pixelwise.check(root, over(mistake.settings, settings))
        assert not after.refused, (settings, messages(after))
    first = next((one for one in fixes if not one[0].startswith("data.allow")), fixes[0] if fixes else None)
    assert mistake.fixed == (first is not None and (mistake.code == "D220" or not first[0].startswith("data.allow")))
    if first is None or not mistake.fixed:
        return
    settings = over(mistake.settings, first)
    compare(read(root, settings), truth, mistake)
    # The other verbs that read a folder take the same settings, and read the same.
    converted = convert(root, tmp_path / "converted", settings)
    _, dataset = open_folder(converted.root)
    samples = [sample for found in dataset.splits.values() for sample in found]
    compare({sample.image_path.stem: read_labels(sample, dataset) for sample in samples}, truth, mistake)
    assert statistics(root, settings).audit.errors == () or mistake.code == "D220"


def compare(labels: Truth, truth: Truth, mistake: Mistake) -> None:
    """Demand that no label is wrong, apart from borders that interpolation moved, and that few are ignored."""
    assert labels.keys() == truth.keys()
    named = labelled = 0
    for name, right in truth.items():
        kept = (labels[name] != VOID) & (right != VOID)
        wrong = np.count_nonzero(kept & (labels[name] != right))
        assert wrong <= (WRONG_AT_BORDERS if mistake.lost else 0) * right.size, (name, wrong)
        labelled += np.count_nonzero(right != VOID)
        named += np.count_nonzero(kept)
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


ELSEWHERE = {
    "D136": "needs an image that ends every process: tests/datasets/auditing/shards/test_work.py",
    "D222": "no shards at an address: tests/datasets/shards/test_fetching.py",
    "D221": "names commands and fields without values",
    "D226": "needs the lists of Pascal VOC: tests/datasets/formats/test_voc.py opens its train split",
    "D227": "needs COCO's annotations: tests/datasets/formats/test_coco2017.py",
    "D228": "lists of files: tests/datasets/formats/test_lists.py trains without such lines",
    "D230": "outlines in annotations: tests/datasets/layouts/test_outlines.py",
    "D232": "lists that cannot divide the images: tests/datasets/formats/test_lists.py reads the folder without them",
    "D275": "shards that change while they are read: tests/datasets/reading/regions/test_pairs.py",
    "W134": "names a command with an option that depends on the names of the files",
    "W220": "images of which none has a mask: tests/datasets/test_unlabelled.py",
    "W227": "annotations in two formats: tests/datasets/test_recognition.py reads each of them",
    "W262": "names of public data sets: tests/datasets/classes/test_familiarity.py",
    "W265": "divides series: tests/datasets/preparing/test_dividing.py names a group instead",
}
"""Codes whose advice no folder of the table follows -> reason."""
_ADVICE = re.compile(r"data\.\w+=|`pixelwise |--[a-z]")


def test_every_advice_of_the_data_is_followed_by_a_test():
    """Codes of D and W whose text holds a setting or a command, wherever the source writes it beside the code."""
    found: dict[str, set[str]] = {}
    for path in sorted((SOURCE / "datasets").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            code = node.args[0].value
            if not isinstance(code, str) or not re.fullmatch(r"[DW]\d{3}", code):
                continue
            texts = [part.value for arg in node.args[1:] for part in ast.walk(arg) if isinstance(part, ast.Constant)]
            if any(_ADVICE.search(text) for text in texts if isinstance(text, str)):
                found.setdefault(code, set()).add(path.name)
    tried = {mistake.code for mistake in MISTAKES}
    assert {code: files for code, files in found.items() if code not in tried | set(ELSEWHERE)} == {}
    assert {code for code in ELSEWHERE if code in tried or code not in found} == set()
