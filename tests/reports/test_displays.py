import io

from rich.console import Console

from pixelwise.reports.displays import TrainingDisplay
from pixelwise.training.loop import Status


def status(step: int, miou: float | None = None, best: float | None = None) -> Status:
    return Status(
        step=step,
        steps=100,
        epoch=2,
        epochs=5,
        loss=0.61,
        lr=0.0093,
        images_per_second=18.4,
        data_wait_share=0.04,
        miou=miou,
        best_miou=best,
    )


def shown(*statuses: Status) -> str:
    stream = io.StringIO()
    with TrainingDisplay(Console(file=stream, width=40)) as display:
        for entry in statuses:
            display.observer.status(entry)
    return stream.getvalue()


def test_without_a_terminal_the_first_and_the_last_step_are_lines_with_speed_wait_and_eta():
    facts = "loss 0.610  lr 0.0093  18.4 img/s  data-wait 4 %"
    assert shown(status(50), status(60), status(100)) == (
        f"epoch 2/5  step 50/100  {facts}\nepoch 2/5  step 100/100  {facts}  eta 0:00\n"
    )


def test_every_better_score_is_a_line():
    text = shown(status(10, 0.2, 0.2), status(11, 0.2, 0.2), status(20, 0.482, 0.482))
    assert text.count("\n") == 2  # steps 10 and 20
    assert "mIoU 48.20 (best)" in text


def test_warnings_show_their_code_and_keep_brackets():
    stream = io.StringIO()
    with TrainingDisplay(Console(file=stream)) as display:
        display.observer.warn("W501", "step 3 changed nothing [loss nan]")
    assert stream.getvalue() == "warning[W501]: step 3 changed nothing [loss nan]\n"
