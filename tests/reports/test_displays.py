import io
import re
import sys
from types import SimpleNamespace

import msgspec
import pytest
from rich.console import Console

from pixelwise.observer import Observer, TrainingScore, TrainingStatus
from pixelwise.reports import displays
from pixelwise.reports.displays import NotebookDisplay, PlainDisplay, TerminalDisplay, display


def status(step: int, miou: float | None = None, best: float | None = None) -> TrainingStatus:
    return TrainingStatus(
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


def score(step: int, *mious: float | None, steps: int = 100) -> TrainingScore:
    return TrainingScore(
        step=step,
        steps=steps,
        epoch=2,
        epochs=5,
        split="val",
        mious=mious,
        best_miou=max((one for one in mious if one is not None), default=None),
    )


def whole_run(observer: Observer) -> None:
    """Everything that a training tells: work before it, steps, evaluations of which one is no better, a warning."""
    observer.phase("opening the data")
    observer.phase("looking at the data")
    for done in range(1, 15):
        observer.progress(done, 14)
    observer.phase("building the network")
    observer.phase("training")
    observer.step(status(1))
    mious = ()
    for step, miou in ((50, 0.2), (75, 0.1), (100, 0.482)):
        observer.step(status(step - 1))
        observer.step(status(step))
        observer.phase("evaluating")
        observer.progress(3, 3)
        observer.warn("W501", "step 3 changed nothing [loss nan]")
        mious += (miou,)
        observer.scored(score(step, *mious))
    observer.phase("evaluating")
    observer.progress(1, 3)
    observer.progress(3, 3)


def plain(phases: bool = False) -> tuple[PlainDisplay, io.StringIO]:
    stream = io.StringIO()
    return PlainDisplay(Console(file=stream, width=40), phases=phases), stream


def terminal() -> tuple[TerminalDisplay, io.StringIO]:
    stream = io.StringIO()
    return TerminalDisplay(Console(file=stream, width=160, force_terminal=True)), stream


FACTS = "loss 0.610  lr 0.0093  18.4 img/s  data-wait 4 %"


def test_lines_are_the_first_and_the_last_step_with_speed_wait_and_eta():
    shown, stream = plain()
    with shown as observer:
        for entry in (status(50), status(60), status(100)):
            observer.step(entry)
    first, last = stream.getvalue().splitlines()
    assert first == f"epoch 2/5  step 50/100  {FACTS}"
    assert last == f"epoch 2/5  step 100/100  {FACTS}  eta 0:00"


def test_a_whole_run_in_lines():
    shown, stream = plain()
    with shown as observer:
        whole_run(observer)
    lines = stream.getvalue().splitlines()
    steps = [re.search(r"step (\d+)/100", line)[1] for line in lines if "step" in line and "W501" not in line]  # type: ignore[index]
    assert steps == ["1", "50", "100", "100"]  # the second of four evaluations was no better
    assert lines[-1] == "epoch 2/5  step 100/100  mIoU 48.20 on val (best)  ▃▁█"
    assert lines.count("warning[W501]: step 3 changed nothing [loss nan]") == 3
    assert len(lines) == 7


def test_phases_are_named_once_where_they_are_wanted():
    shown, stream = plain(phases=True)
    with shown as observer:
        whole_run(observer)
    named = [line for line in stream.getvalue().splitlines() if line.endswith(" ...")]
    assert named == [
        "opening the data ...", "looking at the data ...", "building the network ...", "training ...", "evaluating ...",
    ]  # fmt: skip


def test_long_work_is_a_line_every_half_a_minute(monkeypatch: pytest.MonkeyPatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(displays.time, "monotonic", lambda: now.seconds)
    shown, stream = plain()
    with shown as observer:
        observer.phase("looking at the data")
        for done in range(1, 8):
            now.seconds += 10
            observer.progress(done, 7)
        observer.phase("downloading", "bytes")
        now.seconds += 31
        observer.progress(1_500_000, None)
    assert stream.getvalue().splitlines() == [
        "looking at the data 3/7", "looking at the data 6/7", "downloading 1.5 MB",
    ]  # fmt: skip


def test_the_eta_follows_from_the_pace_since_the_first_step(monkeypatch: pytest.MonkeyPatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(displays.time, "monotonic", lambda: now.seconds)
    shown, stream = plain()
    with shown as observer:
        observer.step(status(20))
        now.seconds = 200
        observer.step(status(40))  # 10 seconds a step, 60 to go
    assert stream.getvalue().splitlines()[1].endswith("eta 10:00")


def test_a_whole_run_on_a_terminal_leaves_the_better_scores_and_the_warnings():
    shown, stream = terminal()
    with shown as observer:
        whole_run(observer)
        # What is drawn at this moment: the evaluation is over, so its bar is gone, and so is the training's.
        visible = [task.description for task in shown._bars.tasks if task.visible]
    assert visible == []
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    scored = [line for line in re.split(r"[\r\n]+", text) if line.startswith("epoch 2/5  step")]
    assert len(scored) == 2
    assert "mIoU 48.20 on val (best)  ▃▁█" in scored[1]
    assert text.count("warning[W501]: step 3 changed nothing [loss nan]") == 3


def test_a_terminal_shows_the_work_in_hand_alone():
    shown, _ = terminal()
    with shown as observer:
        observer.phase("looking at the data")
        observer.progress(3, 14)
        assert [(task.description, task.completed, task.total) for task in shown._bars.tasks if task.visible] == [
            ("looking at the data", 3, 14)
        ]
        observer.phase("training")
        observer.step(status(7))
        (task,) = [task for task in shown._bars.tasks if task.visible]
        assert (task.description, task.completed, task.total) == ("epoch 2/5", 7, 100)
        assert task.fields["amount"] == "7/100"
        assert shown._bars.below == FACTS
        observer.phase("evaluating")
        observer.progress(1, 3)
        assert [task.description for task in shown._bars.tasks if task.visible] == ["evaluating"]
        assert shown._bars.below == ""
        observer.scored(score(7, 0.5))
        observer.step(status(8, 0.5, 0.5))
        assert shown._bars.below == f"{FACTS}  mIoU 50.00 (best)"
        assert [task.completed for task in shown._bars.tasks if task.visible] == [8]
        observer.phase("looking at the data")  # again: from the beginning
        assert [(task.completed, task.total) for task in shown._bars.tasks if task.visible] == [(0, None)]


def test_progress_without_a_phase_is_ignored_on_a_terminal():
    shown, _ = terminal()
    with shown as observer:
        observer.progress(1, 2)
        assert shown._bars.tasks == []


def test_a_whole_run_in_a_notebook_leaves_one_bar_and_the_better_scores():
    stream = io.StringIO()
    with NotebookDisplay(stream) as observer:
        whole_run(observer)
    text = stream.getvalue()
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    scored = [line for line in lines if line.startswith("epoch 2/5  step")]
    assert [re.search(r"step (\d+)", line)[1] for line in scored] == ["50", "100"]  # type: ignore[index]
    assert "100/100" in [line for line in lines if line.startswith("epoch 2/5: ")][-1]
    assert text.count("warning[W501]: step 3 changed nothing [loss nan]") == 3
    assert "looking at the data" in text


def test_an_interrupted_notebook_closes_its_bars():
    shown = NotebookDisplay(io.StringIO())
    shown.step(status(3))
    shown.phase("downloading", "bytes")
    shown.progress(10, None)
    with pytest.raises(KeyboardInterrupt), shown:
        raise KeyboardInterrupt
    assert shown._bar is None
    assert shown._training.disable  # what tqdm calls a bar that was closed


def test_the_display_suits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch):
    assert isinstance(display(), PlainDisplay)
    monkeypatch.setattr(displays, "Console", lambda **options: Console(file=io.StringIO(), force_terminal=True))
    assert isinstance(display(), TerminalDisplay)
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)  # type: ignore[arg-type]
    assert isinstance(display(), NotebookDisplay)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", shell)  # type: ignore[arg-type]
    assert isinstance(display(), TerminalDisplay)


def test_all_displays_show_the_same_values_of_bytes():
    assert displays._amount(1_200_000_000, 19_000_000_000, "bytes") == "1.2 GB/19.0 GB"
    assert displays._amount(12, 233, "") == "12/233"
    assert displays._amount(12, None, "") == "12"


def long(step: int) -> TrainingStatus:
    return msgspec.structs.replace(status(step), steps=1000)


def test_lines_of_the_next_training_begin_anew(monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(displays.time, "monotonic", lambda: now)
    shown, stream = plain()
    with shown as observer:
        observer.step(status(1))
        now = 5000.0
        observer.step(status(100, 0.9, 0.9))
        observer.scored(score(100, 0.9))
        now = 5010.0
        observer.step(long(1))
        now = 5050.0
        observer.step(long(11))
        observer.scored(score(11, 0.3, steps=1000))
    lines = stream.getvalue().splitlines()
    assert "step 1/1000" in lines[3]
    assert "eta" not in lines[3]
    assert lines[4].endswith("eta 1:05:56")  # 4 s a step, 989 to go
    assert "mIoU 30.00 on val (best)" in lines[5]


def test_the_bar_of_the_next_training_begins_anew():
    shown, _ = terminal()
    with shown as observer:
        observer.step(status(1))
        observer.step(status(100))
        observer.step(long(10))
        [task] = shown._bars.tasks
        assert (task.completed, task.total, task.finished) == (10, 1000, False)


def test_the_widget_of_the_next_training_begins_anew():
    stream = io.StringIO()
    with NotebookDisplay(stream) as observer:
        observer.step(status(1))
        observer.step(status(100))
        observer.step(long(10))
        assert (observer._training.n, observer._training.total) == (10, 1000)


def test_what_a_program_prints_stays_where_it_was_sent(capsys: pytest.CaptureFixture[str]):
    # Standard output is captured here, so it is no terminal.
    shown, stream = terminal()
    with shown:
        print("a line")
    assert capsys.readouterr().out == "a line\n"
    assert "a line" not in stream.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_of_a_training_is_cut_on_a_terminal(width: int):
    stream = io.StringIO()
    shown = TerminalDisplay(Console(file=stream, width=width, force_terminal=True))
    mious = [0.2, 0.1, 0.3, 0.4] * 10
    with shown as observer:
        for step in range(1, 41):
            observer.scored(score(step, *mious[:step], steps=12345))
            observer.step(msgspec.structs.replace(status(step, 0.4, 0.4), steps=12345, epoch=120, epochs=400))
    assert "…" not in stream.getvalue()
    assert "120/400" in stream.getvalue()
    assert ("40/12345" in stream.getvalue()) == (width > 40)


def test_a_note_stays_on_every_display():
    shown, stream = plain()
    on_terminal, drawn = terminal()
    notebook = io.StringIO()
    for entered in (shown, on_terminal, NotebookDisplay(notebook)):
        with entered as observer:
            observer.note("finished already: nothing")
    assert [text.getvalue().count("finished already: nothing") for text in (stream, drawn, notebook)] == [1, 1, 1]
