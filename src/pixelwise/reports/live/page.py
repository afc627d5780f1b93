"""The live page of a run: a function of its folder, rewritten while the run is trained, which the page shows by itself.

The page loads nothing: curves and pictures are in the file. While the run goes on, its script reloads it every few
seconds and restores what the reader had chosen.
"""

from __future__ import annotations

import base64
import shlex
import time
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.environment import read_environment
from pixelwise.records.log import (
    EvaluationRecord,
    FinishedRecord,
    Log,
    SkippedRecord,
    StepRecord,
    WarningRecord,
    read_log,
)
from pixelwise.records.pictures import PICTURES, Picture, Pictures, read_pictures
from pixelwise.records.run_folder import LIVE, REPORT, is_run, palette_of, read_recipe
from pixelwise.records.standing import has_finished
from pixelwise.records.status import RunStatus, read_status
from pixelwise.reports.live.curves import curves, percent
from pixelwise.reports.live.notes import notes
from pixelwise.reports.numbers import count, duration, memory, speed
from pixelwise.reports.templates import script_data, script_hash, source, templates
from pixelwise.storage import printable, write_text
from pixelwise.training.stages import STAGES

SECONDS = 10
"""Seconds after which an open page reloads itself."""


class Command(NamedTuple):
    """A command and what it does."""

    name: str
    text: str


def write_live_pages(run: Path, *, going_on: bool = False) -> None:
    """Write RUN/live.html from the files in the run folder, and those of its stages that are or were live.

    Args:
        run: The run folder.
        going_on: Whether the run is known to go on, whatever its status says, as between training and scoring.

    Raises:
        CheckpointError: K420, `run` is not a run folder.
        RecipeError: The recipe of the run is not valid in this version.
        ResourceError: S601, the disk is full.
    """
    now = time.time()
    write_text(run / LIVE, render_live_page(run, now, going_on=going_on))
    for stage in stages_of(run):
        if is_run(stage) and (read_status(stage).goes_on(now) or (stage / LIVE).is_file()):
            write_text(stage / LIVE, render_live_page(stage, now))


def is_live(run: Path, now: float) -> bool:
    """Whether the process of a run is at work; `now` is the Unix time."""
    return read_status(run).goes_on(now) or any(read_status(stage).goes_on(now) for stage in stages_of(run))


def render_live_page(run: Path, now: float, *, going_on: bool = False) -> str:
    """The page as HTML.

    Args:
        run: The run folder.
        now: Unix time, by which a run on another computer counts as over when it has been silent for long.
        going_on: Whether the run is known to go on, whatever its status says.

    Raises:
        As `write_live_pages`, except S601.
    """
    recipe, log, status, pictures = read_recipe(run), read_log(run), read_status(run), read_pictures(run)
    environment = read_environment(run)
    live = going_on or is_live(run, now)
    stage = next((stage.name for stage in stages_of(run) if read_status(stage).goes_on(now)), None)
    shown = _files(run, pictures)
    script = source("live_script.html") + source("copy_script.html")
    return (
        templates()
        .get_template("live.html")
        .render(
            title=recipe.name,
            folder=printable(run.resolve().name),
            trained_on=printable(environment.arguments.data or recipe.data.dataset),
            live=live,
            seconds=SECONDS,
            stage=stage,
            badge="live" if live else "finished" if has_finished(log) else "stopped",
            state=sentence_of(run, log, status, live),
            facts=facts_of(log, status, live),
            share=share_of(log, status),
            notes=notes(log, status, live=live),
            warnings=log.of(WarningRecord),
            batch=[_shown(one, shown) for one in pictures.batch if _is_there(one, shown)],
            images=_predicted(pictures, shown),
            split=pictures.split,
            legend=legend_of(recipe),
            commands=commands(run, recipe, log, status, live=live),
            report=REPORT if not live and (run / REPORT).is_file() else "",
            has_curves=bool(log.of(StepRecord)),
            has_paces=bool(status.paces),
            evaluates=recipe.selection.every_epochs > 0,
            data=script_data(_data(run, recipe, log, status, pictures, shown, live=live)),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )


def commands(run: Path, recipe: Recipe, log: Log, status: RunStatus, *, live: bool) -> list[Command]:
    """What can be done with the run now: to stop it, to go on with it, to train it longer."""
    resume = ["pixelwise", "resume", str(run.resolve())]
    finished = has_finished(log)
    found = []
    if live and status.state == "training":
        where = f" (on {printable(status.host)})" if status.host else ""
        found.append(Command(f"Stop after this step{where}; or Ctrl-C in its terminal", f"kill -TERM {status.pid}"))
    if not finished:
        found.append(Command("Go on after a stop", shlex.join(resume)))
    schedule = recipe.schedule
    if schedule.iterations is not None:
        longer = f"schedule.iterations={2 * schedule.iterations}"
    else:
        longer = f"schedule.epochs={2 * (schedule.epochs or 1)}"
    name = "Train twice as long" if finished else "Go on and train twice as long"
    found.append(Command(name, shlex.join([*resume, longer])))
    return found


def sentence_of(run: Path, log: Log, status: RunStatus, live: bool) -> str:
    """What the run is doing, in a sentence."""
    training = status.training
    if live and status.state == "scoring":
        return f"Trained; the result is being scored: {_phase(status)}"
    if live and training is not None:
        phase = "" if status.phase in ("", "training") else f"; {_phase(status)}"
        step = f"Step {count(training.step)} of {count(training.steps)}"
        return f"{step}, epoch {training.epoch} of {training.epochs}{phase}"
    if live and status.state == "stages":
        return "The stages before this training are being trained"
    if live:
        return f"Before the first step: {_phase(status) if status.phase else 'preparing'}"
    if has_finished(log):
        scored = "" if (run / REPORT).is_file() else "; not scored yet"
        return f"Finished after step {count(log.of(FinishedRecord)[-1].step)}{scored}"
    if not log.records:
        return "Nothing has been trained here yet"
    reason = f": {status.outcome}" if status.outcome not in ("", "finished") else ""
    return f"Stopped at step {count(_last_step(log))}{reason}"


def _phase(status: RunStatus) -> str:
    of = f" {count(status.done)} of {count(status.total)}" if status.total is not None else ""
    return f"{status.phase}{of}"


def facts_of(log: Log, status: RunStatus, live: bool) -> list[Command]:
    """Numbers of the moment, as name and value."""
    steps, training = log.of(StepRecord), status.training
    scores = [record for record in log.of(EvaluationRecord) if record.miou is not None]
    facts = []
    if scores:
        best = max(scores, key=lambda record: record.miou or 0.0)
        last = scores[-1]
        facts.append(Command(f"mIoU on {last.split}", f"{percent(last.miou)} %"))
        name = "best so far" if live else "best"
        facts.append(Command(f"{name}, step {count(best.step)}", f"{percent(best.miou)} %"))
    if steps:
        facts.append(Command("loss", f"{steps[-1].loss:.3g}"))
        if (norm := steps[-1].grad_norm) is not None:
            facts.append(Command("gradient norm", f"{norm:.3g}"))
    if live and training is not None and training.images_per_second:
        facts.append(Command("images per second", speed(training.images_per_second)))
    if live and status.ends is not None and status.state == "training":
        facts.append(Command("left to train", left(status.ends - status.written)))
    if live and status.paces:
        latest = status.paces[-1]
        for name, size in (("memory in use", latest.memory_bytes), ("GPU memory held", latest.gpu_memory_bytes)):
            if size is not None:
                facts.append(Command(name, memory(size)))
    if status.paces:
        facts.append(Command("time so far" if live else "time", duration(status.paces[-1].seconds)))
    return facts


def left(seconds: float) -> str:
    """`under a minute`, `about 12 min`, `about 2 h 5 min`: a time that is only expected."""
    return "under a minute" if seconds < 60 else f"about {duration(60 * round(seconds / 60)).removesuffix(' 0 s')}"


def share_of(log: Log, status: RunStatus) -> float | None:
    """Share of the steps that are done, in percent; None if their number is not known."""
    if has_finished(log):
        return 100.0
    if status.training is None or not status.training.steps:
        return None
    return round(100 * max(_last_step(log), status.training.step) / status.training.steps, 1)


def _last_step(log: Log) -> int:
    return max((one.step for one in log.records if isinstance(one, (StepRecord, SkippedRecord))), default=0)


def stages_of(run: Path) -> list[Path]:
    """Folders of the stages that are trained before the run itself."""
    return sorted((run / STAGES).iterdir()) if (run / STAGES).is_dir() else []


def legend_of(recipe: Recipe) -> list[tuple[str, str]]:
    """Name and colour of every class."""
    names = recipe.data.class_names() or ()
    return [
        (name, "#{:02x}{:02x}{:02x}".format(*color)) for name, color in zip(names, palette_of(recipe), strict=False)
    ]


def _files(run: Path, pictures: Pictures) -> dict[str, str]:
    """File name -> data URI of every picture; a missing file is left out."""
    found = {}
    for name in pictures.names():
        path = run / PICTURES / name
        try:
            content = path.read_bytes()
        except OSError:
            continue
        found[name] = f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"
    return found


def _is_there(picture: Picture, shown: dict[str, str]) -> bool:
    return picture.photo in shown and picture.labels in shown


def _shown(picture: Picture, shown: dict[str, str]) -> dict[str, Any]:
    return {
        "id": picture.id,
        "height": picture.height,
        "width": picture.width,
        "photo": shown[picture.photo],
        "labels": shown[picture.labels],
    }


def _predicted(pictures: Pictures, shown: dict[str, str]) -> list[dict[str, Any]]:
    """The fixed images, each with its latest prediction."""
    latest = pictures.moments[-1].layers if pictures.moments else ("",) * len(pictures.images)
    return [
        {**_shown(one, shown), "predicted": shown.get(layer, "")}
        for one, layer in zip(pictures.images, latest, strict=True)
        if _is_there(one, shown)
    ]


def _data(
    run: Path,
    recipe: Recipe,
    log: Log,
    status: RunStatus,
    pictures: Pictures,
    shown: dict[str, str],
    *,
    live: bool,
) -> dict[str, Any]:
    """What the script of the page draws."""
    there = [number for number, one in enumerate(pictures.images) if _is_there(one, shown)]
    moments = [
        {"step": moment.step, "layers": [shown.get(moment.layers[number], "") for number in there]}
        for moment in pictures.moments
    ]
    return {
        "run": printable(run.resolve().name),
        "refresh": SECONDS if live else None,
        "curves": curves(log, status),
        "clip_norm": recipe.optimizer.clip_norm,
        "classes": [{"name": name, "color": color} for name, color in legend_of(recipe)],
        "moments": moments,
    }
