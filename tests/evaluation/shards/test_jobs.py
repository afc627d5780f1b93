from __future__ import annotations

import msgspec
import pytest
import torch
from evaluation.shards.subjects import grey_subject, random_pairs

from pixelwise.datasets.samples import Reading
from pixelwise.evaluation.options import EvaluateOptions
from pixelwise.evaluation.shards import jobs
from pixelwise.evaluation.shards.jobs import job_of
from pixelwise.evaluation.subject import Subject
from pixelwise.recipes.protocols import PROTOCOLS

SAME = [{"device": "cpu"}, {"shard": "0/3"}, {"engine": "ray", "workers": 2, "address": "auto"}, {"trust": True}]
OTHER = [{"boundary": False}, {"calibration": True}, {"group": "^."}, {"metrics": ("calibration_error",)}]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return grey_subject(tmp_path_factory.mktemp("job"), random_pairs(2))


@pytest.mark.parametrize("options", SAME)
def test_who_scores_and_where_makes_no_other_job(subject: Subject, options: dict):
    assert job_of(subject, EvaluateOptions(**options)) == job_of(subject, EvaluateOptions())


@pytest.mark.parametrize("options", OTHER)
def test_what_is_measured_makes_another_job(subject: Subject, options: dict):
    assert job_of(subject, EvaluateOptions(**options)) != job_of(subject, EvaluateOptions())


def test_network_data_protocol_and_version_make_another_job(subject: Subject, monkeypatch: pytest.MonkeyPatch):
    before = job_of(subject, EvaluateOptions())
    dataset = subject.dataset
    renamed = msgspec.structs.replace(dataset, classes=("a", *dataset.classes[1:]))
    read = msgspec.structs.replace(dataset, reading=Reading(exif="ignore"))
    fewer = msgspec.structs.replace(dataset, splits={"val": dataset.samples("val")[:1]})
    changes = [
        {"dataset": renamed}, {"dataset": read}, {"dataset": fewer}, {"protocols": (PROTOCOLS["camvid-480x360"],)},
        {"batch_size": 3}, {"input_size": (8, 8)}, {"pictures": False},
    ]  # fmt: skip
    names = [job_of(msgspec.structs.replace(subject, **change), EvaluateOptions()) for change in changes]
    assert len({before, *names}) == len(changes) + 1

    with torch.no_grad():
        subject.model.centres += 1e-6  # type: ignore[operator]
    assert job_of(subject, EvaluateOptions()) not in {before, *names}
    with torch.no_grad():
        subject.model.centres.copy_(torch.arange(4).view(1, -1, 1, 1) * (60 / 255))  # type: ignore[operator, union-attr]
    monkeypatch.setattr(jobs, "version_facts", lambda: {"pixelwise": "0.0.0"})
    assert job_of(subject, EvaluateOptions()) != before
