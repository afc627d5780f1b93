from __future__ import annotations

import re
import shutil

import pytest
from reports.run_folders import write_run_folder

from pixelwise.errors import CheckpointError, DataError
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Environment
from pixelwise.records.log import Log, StepRecord
from pixelwise.reports.run.records import read_run


def test_a_finished_run_is_read_completely(finished_run):
    run = read_run(finished_run)

    assert run.recipe.name == "enet-camvid"
    assert run.environment.command.startswith("pixelwise train")
    assert run.data.images["train"] == 1367
    assert len(run.log.of(StepRecord)) == 60
    (only,) = run.evaluations
    assert only.result.split == "test"
    assert len(only.per_image) == 4
    assert only.samples is not None


def test_the_recipes_own_split_and_protocol_are_the_headline(finished_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    shutil.copytree(run / "evaluations" / "test-camvid-480x360", run / "evaluations" / "a-native")
    path = run / "evaluations" / "a-native" / "result.json"
    path.write_text(path.read_text().replace('"split": "test"', '"split": "a"').replace("camvid-480x360", "native"))

    splits = [one.result.split for one in read_run(run).evaluations]

    assert splits == ["test", "a"]


def test_a_line_cut_short_in_the_log_is_passed_over(tmp_path):
    write_run_folder(tmp_path / "run", steps=5)
    with open(tmp_path / "run" / "log.jsonl", "ab") as file:
        file.write(b'[1]\n\xff\n{"kind": "step", "st')

    assert len(read_run(tmp_path / "run").log.of(StepRecord)) == 5


def test_a_run_that_has_only_begun_is_readable(tmp_path):
    write_run_folder(tmp_path / "run", steps=5)
    for name in ("environment.json", "data.json", "log.jsonl"):
        (tmp_path / "run" / name).unlink()
    shutil.rmtree(tmp_path / "run" / "evaluations")

    run = read_run(tmp_path / "run")

    assert (run.environment, run.data, run.log, run.evaluations, run.training_seconds) == (
        Environment(),
        DataFacts(),
        Log(),
        (),
        None,
    )


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=re.escape(str(tmp_path))):
        read_run(tmp_path)


def test_a_damaged_result_is_named(tmp_path):
    write_run_folder(tmp_path / "run")
    (tmp_path / "run" / "evaluations" / "test-camvid-480x360" / "result.json").write_text("{")

    with pytest.raises(DataError, match=r"result\.json"):
        read_run(tmp_path / "run")
