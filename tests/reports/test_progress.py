import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from pixelwise.observer import TrainingScore, TrainingStart, TrainingStatus
from pixelwise.reports.progress import (
    Course,
    beginning,
    clock,
    facts,
    score_line,
    shows_blocks,
    step_line,
    trend_of,
)

STATUS = TrainingStatus(
    step=50,
    steps=100,
    epoch=2,
    epochs=5,
    loss=0.61,
    lr=0.0093,
    images_per_second=18.4,
    data_wait_share=0.004,
    miou=None,
    best_miou=None,
)


def score(*mious: float | None, step: int = 50, steps: int = 100) -> TrainingScore:
    best = max((one for one in mious if one is not None), default=None)
    return TrainingScore(step=step, steps=steps, epoch=2, epochs=5, split="val", mious=mious, best_miou=best)


@pytest.mark.parametrize(
    ("mious", "shown"),
    [
        ((), ""),
        ((0.5,), ""),
        ((0.5, None), ""),
        ((0.0, 1.0), "▁█"),
        ((0.5, 0.5), "▁▁"),
        # 2 points fill the height, less does not: 0.014 of 0.02 is 4.9 of 7 levels above the lowest.
        ((0.40, 0.421), "▁█"),
        ((0.40, 0.414), "▁▆"),
        ((0.0, None, 1 / 7, 2 / 7, float("nan"), 1.0), "▁▂▃█"),
    ],
)
def test_the_trend_of_a_few_scores(mious: tuple[float | None, ...], shown: str):
    assert trend_of(mious) == shown


def test_the_trend_of_many_scores_takes_the_last_of_each_share():
    # Six scores in three characters: the second, the fourth and the sixth.
    assert trend_of([0.9, 0.0, 0.9, 0.5, 0.0, 1.0], 3) == "▁▅█"


def test_a_trend_without_blocks_names_the_latest_scores():
    assert trend_of([0.1, 0.2, 0.3, 0.4, 0.512], blocks=False) == "20.0 30.0 40.0 51.2"
    assert shows_blocks("utf-8")
    assert not shows_blocks("latin-1")
    assert not shows_blocks(None)
    assert not shows_blocks("no such encoding")


@given(
    some.lists(some.none() | some.floats(0, 1), max_size=60).filter(bool),
    some.integers(30, 200),
    some.booleans(),
)
def test_the_facts_fit_and_always_hold_loss_and_score(mious: list[float | None], width: int, blocks: bool):
    line = facts(STATUS, score(*mious), max(width, 40), blocks=blocks)
    assert len(line) <= max(width, 40)
    assert line.startswith("loss 0.610  ")
    assert "mIoU" in line


def test_what_gives_way_in_narrow_terminals():
    one = score(0.2, 0.6)
    assert facts(STATUS, one, 80) == "loss 0.610  lr 0.0093  18.4 img/s  mIoU 60.00 (best)  ▁█"
    assert facts(STATUS, one, 53) == "loss 0.610  lr 0.0093  18.4 img/s  mIoU 60.00 (best)"
    assert facts(STATUS, one, 45) == "loss 0.610  18.4 img/s  mIoU 60.00 (best)"
    assert facts(STATUS, one, 30) == "loss 0.610  mIoU 60.00 (best)"


def test_a_resumed_training_shows_the_score_it_was_saved_with():
    saved = msgspec.structs.replace(STATUS, miou=0.5, best_miou=0.6)
    assert facts(saved, None, 80).endswith("18.4 img/s  mIoU 50.00 (best 60.00)")
    assert facts(STATUS, None, 80).endswith("18.4 img/s")


def test_waiting_for_data_is_shown_where_there_is_any():
    assert "data-wait" not in step_line(STATUS)
    assert step_line(msgspec.structs.replace(STATUS, data_wait_share=0.12)) == (
        "epoch 2/5  step 50/100  loss 0.610  lr 0.0093  18.4 img/s  data-wait 12 %"
    )
    assert step_line(msgspec.structs.replace(STATUS, loss=None, images_per_second=None)) == (
        "epoch 2/5  step 50/100  lr 0.0093"
    )


def test_scores_in_lines():
    assert score_line(score(0.5)) == "epoch 2/5  step 50/100  mIoU 50.00 on val (best)"
    assert score_line(score(0.5, 0.4)) == "epoch 2/5  step 50/100  mIoU 40.00 on val (best 50.00)  █▁"
    assert score_line(score(None)) == "epoch 2/5  step 50/100  mIoU n/a on val"


def test_which_scores_are_worth_a_line():
    course = Course()
    assert [course.scored(score(*mious)) for mious in ((0.2,), (0.2, 0.1), (0.2, 0.1, 0.2), (0.2, 0.1, 0.2, 0.3))] == [
        True, False, False, True,
    ]  # fmt: skip
    assert not course.scored(score(None))
    assert course.scored(score(0.2, 0.1, step=100))  # the last one in any case


def test_a_new_training_forgets_the_scores_of_the_one_before():
    course = Course()
    course.begins_anew(msgspec.structs.replace(STATUS, step=1))
    course.scored(score(0.2))
    assert not course.begins_anew(STATUS)
    assert course.score is not None
    assert course.begins_anew(msgspec.structs.replace(STATUS, step=1))
    assert course.score is None


def test_times():
    assert [clock(seconds) for seconds in (5.9, 65, 3956)] == ["0:05", "1:05", "1:05:56"]


def test_the_lines_before_a_training():
    start = TrainingStart(
        network="unet, 5.2 M parameters",
        weights="random",
        data="24 images",
        batches="batches of 4",
        machine="cpu",
        folder="runs/unet-1",
        seconds=94,
        choices=(("ema.decay", "0.9", "averages about 10 of 124 steps"),),
    )
    assert beginning(start) == [
        "network  unet, 5.2 M parameters",
        "weights  random",
        "images   24 images",
        "steps    batches of 4; about 1:34 to train and score",
        "device   cpu",
        "folder   runs/unet-1",
        "chosen for this data and machine:",
        "  ema.decay = 0.9: averages about 10 of 124 steps",
    ]
