from pathlib import Path

import numpy as np
from compared_runs import drawn, scored_run

from pixelwise.evaluation.comparison.options import CompareOptions
from pixelwise.evaluation.comparison.subjects import common_answers, read_subject
from pixelwise.records.history import HISTORY

MATRICES = drawn(np.random.default_rng(0), np.full((4, 3), 50), np.array([0.9, 0.8, 0.7]))


def test_runs_are_of_one_kind_if_their_seed_alone_differs(tmp_path: Path):
    first, again, other, renamed = (
        read_subject(scored_run(tmp_path / f"r{number}", MATRICES, seed, overrides=changes))
        for number, (seed, changes) in enumerate(((0, ()), (1, ()), (0, ("optimizer.lr=0.5",)), (2, ("name=else",))))
    )
    assert (first.seed, again.seed) == (0, 1)
    assert first.kind == again.kind == renamed.kind
    assert first.kind != other.kind
    machine = ("data.workers=3", "checkpoints.every_steps=7", 'data.allow=["D220"]')
    assert read_subject(scored_run(tmp_path / "r5", MATRICES, 3, overrides=machine)).kind == first.kind
    (tmp_path / "r1" / HISTORY).write_text("{}")
    assert read_subject(tmp_path / "r1").kind != first.kind


def test_the_question_of_the_recipe_comes_first(tmp_path: Path):
    run = scored_run(tmp_path / "a", MATRICES)
    scored_run(run, MATRICES, split="aaa")
    scored_run(run, MATRICES, protocol="camvid-480x360")
    subjects = [read_subject(run)]
    assert [(one.result.split, one.result.protocol) for one in common_answers(subjects, CompareOptions())] == [
        ("val", "native")
    ]
    asked = CompareOptions(split="aaa")
    assert common_answers(subjects, asked)[0].result.split == "aaa"
