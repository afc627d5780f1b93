"""What is added up pair by pair, against lists of all pairs."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from pixelwise.datasets.auditing.conclusions import collect_findings
from pixelwise.datasets.auditing.conventions import mixed_conventions
from pixelwise.datasets.auditing.examination import Examination
from pixelwise.datasets.auditing.facts import Facts
from pixelwise.datasets.auditing.mask_conclusions import disturbed
from pixelwise.datasets.auditing.near_duplicates import NO_SIGNATURE, Signature
from pixelwise.datasets.auditing.sums import SplitSums
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.labels import LabelTable, table_of
from pixelwise.datasets.reading.areas import Areas
from pixelwise.datasets.reading.images import ImageFacts
from pixelwise.datasets.samples import Dataset, Reading, Sample
from pixelwise.errors import DataError

SPLITS = ("train", "val", "test")
CLASSES = ("a", "b", "c", "d", "e", "f", "g", "h", "i")
FACTS = {"format": "PNG", "orientation": 1, "transparent": False, "animated": False, "ranged": True}


def image_facts(**changes: object) -> ImageFacts:
    known = {name: value for name, value in (FACTS | changes).items() if name in ImageFacts.__struct_fields__}
    return ImageFacts(**known)  # type: ignore[arg-type]


def dataset_of(numbers: tuple[int, int, int], table: LabelTable | None = None) -> Dataset:
    root = Path("/data")
    splits = {
        split: tuple(
            Sample(f"{i:02d}", root / f"images/{split}/{i:02d}.png", root / f"masks/{split}/{i:02d}.png")
            for i in range(number)
        )
        for split, number in zip(SPLITS, numbers, strict=True)
    }
    return Dataset(
        name="folder",
        root=root,
        classes=CLASSES,
        palette=tuple((i, i, i) for i in range(len(CLASSES))),
        label_table=table or table_of({i: i for i in range(len(CLASSES))}),
        splits=splits,
        reading=Reading(input_range=(0.0, 1.0)),
    )


def some_values(chance: random.Random) -> list[list[int]]:
    """Values of a few kinds of masks, as conventions have them."""
    kinds = [
        [0, 1],
        [0, 255],
        [0, 127],
        [0, 1, 2],
        [1, 2, 3],
        [0, 1, 2, 3],
        [1, 2, 3, 4],
        [2, 4],
        [0, 127, 255],
        [1, 4],
    ]
    kinds += [[0, 85, 170], [1, 2, 255], [0, 60], [60, 120, 180], [3], [0]]
    return chance.sample(kinds, chance.choice([1, 2, 2, 3]))


def examined(dataset: Dataset, seed: int) -> list[Examination]:
    """Examinations with every kind of finding here and there."""
    chance = random.Random(seed)
    kinds = some_values(chance)
    colors = chance.random() < 0.2
    found = []
    rare = chance.choice([0, 0.05, 0.3])
    for split, samples in dataset.splits.items():
        for sample in samples:
            one = Examination(split, sample)
            values = chance.choice(kinds)
            one.size = (chance.choice([4, 6]), 8)
            area = one.size[0] * one.size[1]
            if chance.random() >= rare:
                one.image = image_facts(
                    format=chance.choice(["PNG", "PNG", "JPEG"]),
                    transparent=chance.random() < 0.2,
                    animated=chance.random() < 0.2,
                    ranged=chance.random() < 0.7,
                    orientation=chance.choice([1, 1, 6]),
                )
                one.channel_means = tuple(chance.uniform(0, 255) for _ in range(3))
                one.channel_squares = tuple(mean**2 + chance.uniform(0, 99) for mean in one.channel_means)
                one.shades = chance.choice([10, 999])
            one.digest = chance.choice(["", *(f"{i:02x}" * 32 for i in range(1, 31))])
            one.look = Signature(chance.getrandbits(6), bytes(chance.choices(range(256), k=256)))
            one.look = one.look if chance.random() < 0.7 else NO_SIGNATURE
            one.encoding = chance.choice(["palette PNG", "8-bit PNG", ""])
            one.see_through = chance.random() < 0.1
            one.lossy = chance.random() < rare * 0.1
            one.raw_ids = {value: chance.randrange(1, 30) for value in values}
            inner = {value: chance.randrange(20) for value in values}
            steps = chance.choice([0, 10, 100])
            ramps = int(steps * chance.choice([0, 0.1, 0.2, 0.5]))
            one.areas = Areas(dict(one.raw_ids), inner, {1: ramps} if ramps else {}, steps, ramps, False, False, 2)
            if colors and chance.random() < 0.3:
                one.raw_ids = {}
                counts = {chance.choice([0xFF0000, 0x00FF00, 0xFF, 0x10203]): 30 for _ in range(3)}
                one.areas = Areas(counts, dict(counts), colored=True, values=chance.choice([3, 999]))
                one.unknown_colors = dict(counts) if chance.random() < 0.5 else {}
            if one.encoding == "palette PNG":
                one.colors = {value: (chance.choice([value, value, 9]), 0, 0) for value in one.raw_ids}
            for code in ("D102", "D202", "D205"):
                if chance.random() < rare:
                    if code == "D202":
                        one.unknown_ids, one.raw_ids = {99: 3}, {**one.raw_ids, 99: 3}
                    one.errors.append((sample.image_path, DataError(code, f"{sample.image_path}: {code}", "mend it")))
            if not one.errors:
                one.pixels = np.zeros(256, np.int64)
                present = chance.sample([*range(7), 255], chance.choice([1, 2, 3]))
                one.pixels[present] = area // len(present)
                if chance.random() < 0.1:
                    one.pixels = np.bincount([255] * area, minlength=256)
            found.append(one)
    return found


def added_up(dataset: Dataset, examinations: list[Examination]) -> tuple[Facts, dict[str, SplitSums]]:
    facts = Facts(dataset)
    sums = {split: SplitSums(dataset, len(samples)) for split, samples in dataset.splits.items()}
    for one in examinations:
        facts.add(one)
        sums[one.split].add(one)
    return facts, sums


def numbers(seed: int) -> tuple[int, int, int]:
    chance = random.Random(-seed)
    return chance.randrange(1, 25), chance.randrange(9), chance.randrange(9)


@pytest.mark.parametrize("start", range(0, 100, 20))
def test_what_all_masks_together_show_is_looked_for_whenever_there_is_something(start: int):
    """Against the search itself, which takes the list of all masks."""
    found = 0
    for seed in range(start, start + 20):
        dataset = dataset_of(numbers(seed))
        examinations = examined(dataset, seed)
        facts, _ = added_up(dataset, examinations)
        mixed, changed = mixed_conventions(dataset, examinations), disturbed(dataset, examinations)
        assert facts.conventions.may_be_mixed() or not mixed, seed
        assert facts.disturbances.may_be_disturbed() or not changed, seed
        found += bool(mixed) + bool(changed)
    assert found > 4


def expected(dataset: Dataset, every: list[Examination]) -> dict[str, tuple[tuple[str, ...], int]]:
    """Code -> first files and number of files, of the findings about single files: one list for each."""

    def image(one: Examination) -> str:
        return f"images/{one.split}/{one.sample.id}.png"

    def mask(one: Examination) -> str:
        return f"masks/{one.split}/{one.sample.id}.png"

    readable = [one for one in every if one.image is not None]
    usable = [one for one in every if one.pixels is not None]
    files = {
        "W102": [image(one) for one in readable if one.image and one.image.format != "PNG"],
        "W106": [image(one) for one in readable if one.image and one.image.transparent],
        "W107": [image(one) for one in readable if one.image and one.image.animated],
        "W141": [image(one) for one in readable if one.image and not one.image.ranged],
        "W140": [mask(one) for one in every if one.see_through],
        "W212": [mask(one) for one in usable if one.pixels is not None and one.pixels[:255].sum() == 0],
    }
    for code in ("D102", "D202", "D205"):
        files[code] = [image(one) for one in every for _, error in one.errors if error.code == code]
    palette: dict[int, tuple[int, int, int]] = {}
    files["W213"] = []
    for one in every:
        if any(palette.setdefault(raw, color) != color for raw, color in one.colors.items()):
            files["W213"].append(mask(one))
    return {code: (tuple(names[:5]), len(names)) for code, names in files.items() if names}


def leaks(every: list[Examination]) -> dict[tuple[str, ...], tuple[list[str], int]]:
    """Splits -> files with content that is in all of them, and number of contents."""
    first: dict[str, dict[str, str]] = {}
    for one in every:
        if one.digest:
            first.setdefault(one.digest, {}).setdefault(one.split, f"images/{one.split}/{one.sample.id}.png")
    found: dict[tuple[str, ...], tuple[list[str], int]] = {}
    for paths in first.values():
        if len(paths) > 1:
            names, number = found.get(tuple(paths), ([], 0))
            found[tuple(paths)] = [*names, *paths.values()], number + 1
    return found


def findings_of(dataset: Dataset, examinations: list[Examination]) -> tuple[Finding, ...]:
    facts, sums = added_up(dataset, examinations)
    return collect_findings(facts, sums, lambda: examinations, [], {}, [])


@pytest.mark.parametrize("seed", range(25))
def test_findings_are_those_of_the_lists_of_all_pairs(seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelwise.datasets.auditing.positions._placement", lambda path: None)
    dataset = dataset_of(numbers(seed))
    examinations = examined(dataset, seed)
    findings = findings_of(dataset, examinations)
    general = {"D260", "D261", "D262", "D203"} & {found.code for found in findings}
    found = {one.code: (one.files, one.total) for one in findings}
    for code, files in expected(dataset, examinations).items():
        if not (general and code in ("D202", "D205", "W213", "D203")):
            assert found[code] == files, code
    assert {code for code in found if code[1:] in ("102", "106", "107", "140", "141", "212")} == {
        code for code in expected(dataset, examinations) if code[1:] in ("102", "106", "107", "140", "141", "212")
    }
    shared = [(one.files, one.total) for one in findings if one.code == "D133"]
    assert shared == [(tuple(files[:5]), len(files)) for files, _ in leaks(examinations).values()]
    for one, (where, (files, number)) in zip(
        [one for one in findings if one.code == "D133"], leaks(examinations).items(), strict=True
    ):
        start = f"{number} images are" if number > 1 else "1 image is"
        example = " and ".join(files[: len(where)])
        assert one.message.startswith(f"{start} in {' and '.join(where)} with identical content, e.g. {example}: ")


@pytest.mark.parametrize("seed", range(10))
def test_absent_classes_name_the_files_of_other_splits_that_hold_them(seed: int):
    dataset = dataset_of(numbers(seed))
    examinations = examined(dataset, seed)
    usable = [one for one in examinations if one.pixels is not None]
    found = {one.message.partition(":")[0]: one for one in findings_of(dataset, examinations) if one.code == "W210"}
    for split in SPLITS:
        counts = np.zeros(256, np.int64)
        for one in usable:
            counts += one.pixels if one.pixels is not None and one.split == split else 0
        absent = [i for i in range(len(CLASSES)) if not counts[i]]
        assert (split in found) == bool(absent and counts[: len(CLASSES)].any())
        if split in found:
            holders = [one for one in usable if one.split != split and one.pixels[absent].any()]  # type: ignore[index]
            files = [f"masks/{one.split}/{one.sample.id}.png" for one in holders]
            assert (found[split].files, found[split].total) == (tuple(files[:5]), len(files))
            others = list(dict.fromkeys(one.split for one in holders))
            assert not others or f"; {' and '.join(others)} ha" in found[split].message
