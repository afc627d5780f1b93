"""What a report says about weights, data and the state of a run, each sentence computed from what was done."""

from __future__ import annotations

import shlex

from pixelwise.records.log import EvaluationRecord
from pixelwise.records.result import Result
from pixelwise.records.standing import Standing
from pixelwise.reports.numbers import count, many
from pixelwise.reports.run.records import RunRecords
from pixelwise.storage import printable


def about_weights(run: RunRecords, result: Result) -> list[str]:
    """Which weights were scored: the best of which evaluations, the last ones, or imported ones."""
    standing, selection = run.standing, run.recipe.selection
    if standing.state == "imported":
        return ["The weights were imported; they were not trained here."]
    found = []
    judged = {
        record.step: record
        for record in run.log.of(EvaluationRecord)
        if record.split == selection.split and record.miou is not None
    }
    averaged = "averaged (EMA) weights" if result.weights == "ema" else "weights"
    if selection.weights == "best" and result.step in judged:
        best = max(judged.values(), key=lambda record: (record.miou or 0.0, -record.step))
        rank = "the best" if best.step == result.step else "one"
        so_far = " so far" if standing.unfinished else ""
        chosen = (
            f"The {averaged} are those of {rank} of {many(len(judged), 'evaluation')} on {selection.split}{so_far}, "
            f"at step {count(result.step)}"
        )
        ends = {selection.split: "which is the split scored here", "all": "which is part of what is scored here"}
        end = ends.get(result.split) if result.own_data is not False else None
        found.append(f"{chosen}, {end}, so the score is optimistic." if end else f"{chosen}.")
    elif selection.weights == "best":
        reason = f"no evaluation on {selection.split} had taken place" if not judged else "no evaluation chose them"
        found.append(
            f"The {averaged} are those that were saved last before this score, at step {count(result.step)}: {reason}."
        )
    else:
        last = "the last step" if not standing.unfinished and result.step == standing.step else "step"
        found.append(
            f"The {averaged} are those of {last}{',' if last != 'step' else ''} {count(result.step)}, "
            "as selection.weights=last asks for."
        )
    if result.training is not None and standing.saved is not None and result.training.steps < standing.saved:
        found.append(
            f"The run was trained from step {count(result.training.steps)} to {count(standing.saved)} after this "
            f"score: pixelwise evaluate {shlex.quote(printable(run.folder))} scores it again."
        )
    return found


def about_data(result: Result) -> list[str]:
    """What is scored, if it is not simply a split of the run's own data; and how its interval is to be read."""
    found = list(result.notes)
    if result.series:
        found.append(
            f"The names of the images show {result.series} series, too few or too large to be drawn as a whole: if the "
            "images of a series are alike, as frames of a video are, the interval of the mean IoU is too narrow."
        )
    if result.own_data is False:
        found.insert(0, f"Scored on other data than the run was trained on: {result.data}.")
    return found


def scored_on(result: Result) -> str:
    """`test of /data/photos, 233 images`; without the folder if it is not recorded."""
    of = f" of {result.data}" if result.data else ""
    return f"{printable(result.split)}{of}, {many(result.images, 'image')}"


def images_of(result: Result) -> str:
    """`233 images of photos`, for the head of a page that others may see: the folder's name, not where it lies."""
    name = result.data.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return many(result.images, "image") + (f" of {name}" if name else "")


def trained_here(standing: Standing) -> bool:
    """Whether the weights of a run were trained in it."""
    return standing.state != "imported"
