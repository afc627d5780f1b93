import json
from pathlib import Path

import msgspec
import pytest

from pixelwise.datasets.auditing.audit import SplitStatistics
from pixelwise.datasets.findings import Finding
from pixelwise.errors import CheckpointError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.records.data_facts import DataFacts, FindingFacts, SplitFacts, read_data_facts, write_data_facts

FULL = DataFacts(
    dataset="folder",
    splits=("train", "val"),
    images={"train": 8, "val": 3},
    fingerprint="3c" * 32,
    class_weights=(1.5, 0.5),
    classes=("ground", "box"),
    unusable={"train": ("bad/1",)},
    largest_image=(48, 64),
    statistics={"train": SplitFacts(images=7, pixels=(10, 2), void_pixels=1, mean=(0.5,), std=(0.1,))},
    findings=(FindingFacts(code="W210", message="class box is rare", fix="add images"),),
)


@pytest.mark.parametrize(
    ("facts", "changes", "steps"),
    [
        (FULL, ["schedule.epochs=5", "sampling.batch_size=2"], 15),  # 7 usable images: 3 batches, and 1 that is dropped
        (FULL, ["schedule.epochs=5", "sampling.batch_size=3"], 10),
        (DataFacts(images={"train": 8}, unlabelled=4), ["schedule.epochs=5", "sampling.batch_size=2"], 30),
        (DataFacts(images={"train": 8}, drawn=20), ["schedule.epochs=5", "sampling.batch_size=2"], 50),
        (DataFacts(), ["schedule.epochs=none", "schedule.iterations=7"], 7),
        (DataFacts(), ["schedule.epochs=5"], None),
        (FULL, ["schedule.epochs=5", "sampling.batch_size=9", "sampling.drop_last=true"], None),
    ],
)
def test_the_steps_of_a_whole_training_follow_from_its_recipe(facts: DataFacts, changes: list[str], steps: int | None):
    assert facts.planned_steps(apply_overrides(recipe("town-demo"), changes)) == steps


@pytest.mark.parametrize("facts", [FULL, DataFacts()])
def test_what_is_written_is_read(facts: DataFacts, tmp_path: Path):
    write_data_facts(tmp_path, facts)
    assert read_data_facts(tmp_path) == facts


def test_files_of_other_versions_are_read(tmp_path: Path):
    plain = {"dataset": "camvid", "images": {"train": 1}, "statistics": {"train": {"images": 1, "later": 2}}, "new": 1}
    (tmp_path / "data.json").write_text(json.dumps(plain))
    found = read_data_facts(tmp_path)
    assert (found.dataset, found.unusable, found.findings) == ("camvid", {}, None)
    assert found.statistics == {"train": SplitFacts(images=1)}


def test_a_folder_without_the_file_has_the_defaults(tmp_path: Path):
    assert read_data_facts(tmp_path) == DataFacts()


def test_a_damaged_file_is_named(tmp_path: Path):
    (tmp_path / "data.json").write_text('{"splits": 3}')
    with pytest.raises(CheckpointError, match=r"data\.json") as caught:
        read_data_facts(tmp_path)
    assert caught.value.code == "K423"


def test_nothing_of_an_audit_is_lost_on_the_way_into_the_record():
    counts = SplitStatistics(
        images=1, pixels=(1,), void_pixels=2, images_with_class=(3,), pixels_of_images_with_class=(4,), repeated=5,
        labelled_pixels=6,
    )  # fmt: skip
    assert msgspec.to_builtins(msgspec.convert(counts, SplitFacts, from_attributes=True)) == msgspec.to_builtins(counts)
    found = Finding(code="W1", severity="warning", message="m", files=("a",), total=9, fix="f", split="val")
    assert msgspec.to_builtins(msgspec.convert(found, FindingFacts, from_attributes=True)) == msgspec.to_builtins(found)
