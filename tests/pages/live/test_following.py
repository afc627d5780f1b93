from pathlib import Path

import pytest
from reports.live.scenes import running, write_scene, write_status

import pixelwise
from pixelwise.pages.live.following import Follower
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.log import EvaluationRecord, StepRecord, append_log, rewind_log


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
    write_status(tmp_path, running())
    append_log(tmp_path, [StepRecord(step=step, epoch=1, loss=8.0 / step, lr=0.1) for step in range(1, 5)])
    return tmp_path


def follower(run: Path) -> Follower:
    return Follower(run, lambda _: True, lambda: 1010.0)


def test_nothing_new_is_nothing_new(run: Path):
    following = follower(run)
    assert following.look() is following.look()


def test_what_is_added_is_shown(run: Path):
    following = follower(run)
    before = following.look()
    assert [point[:2] for point in before.steps.points] == [(1, 8.0), (2, 4.0), (3, 2.6667), (4, 2.0)]
    ious = (0.5, None, *[0.25] * 9)
    record = EvaluationRecord(step=4, split="val", protocol="native", miou=0.375, per_class_iou=ious)
    append_log(run, [record])
    after = following.look()
    assert after.mark != before.mark  # the number of classes is known now
    assert after.evaluations.points[0][:4] == (4, 37.5, 50.0, None)
    assert "37.50" in after.fragments["scores"]
    assert after.said == "The run is running. Evaluation at step 4: mIoU 37.5 %."
    assert [name for name, _ in after.classes][:2] == ["sky", "building"]


def test_a_resume_takes_back_what_it_repeats(run: Path):
    following = follower(run)
    before = following.look()
    rewind_log(run, 2, 2)
    append_log(run, [StepRecord(step=3, epoch=1, loss=1.0, lr=0.1)])
    after = following.look()
    assert [point[:2] for point in after.steps.points] == [(1, 8.0), (2, 4.0), (3, 1.0)]
    assert after.mark != before.mark


def test_lines_of_other_versions_and_damage_are_left_out(run: Path):
    following = follower(run)
    with open(run / "log.jsonl", "ab") as file:
        file.write(b'{"kind":"new"}\n\xff\n[[[[\n\n{"kind":"step","step":5,"epoch":1,"loss":1.5,"lr":0.1}\n{"kind"')
    assert following.look().steps.points[-1][:2] == (5, 1.5)


def test_a_process_that_was_killed_is_told_from_one_that_stopped(run: Path):
    following = follower(run)
    write_status(run, running(process=running().process.rpartition("-")[0] + "-1"))
    shown = following.look()
    assert shown.state == "lost"
    assert shown.said.startswith("The run was lost. Process 4711 on desk ended without a word")
    assert "badge lost" in shown.fragments["now"]
    write_status(run, running(state="over", outcome="stopped by Ctrl-C"))
    assert following.look().said == "The run was stopped. Stopped by Ctrl-C."


def test_no_other_file_is_a_picture(run: Path):
    write_scene(run)
    assert follower(run).picture("image-1-step-20.webp") == run / "pictures" / "image-1-step-20.webp"
    for name in ("pictures.json", "../recipe.toml", "image-1-step-99.webp", ""):
        assert follower(run).picture(name) is None
    assert Follower(run, lambda _: False).picture("image-1-step-20.webp") is None


def test_files_that_lie_elsewhere_are_not_read(run: Path):
    shown = Follower(run, lambda _: False, lambda: 1010.0).look()
    assert (shown.steps.points, shown.classes, shown.paces, shown.state) == ((), (), (), "stopped")
