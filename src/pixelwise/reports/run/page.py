"""The report of a run as one self-contained HTML file."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from pixelwise.evaluation.details import BORDER
from pixelwise.machine.facts import Machine
from pixelwise.recipes.class_sets.palettes import colorblind_palette
from pixelwise.recipes.overrides import toml_value
from pixelwise.recipes.protocols import known_protocol
from pixelwise.recipes.schema.recipe import Published
from pixelwise.records.advice import advice
from pixelwise.records.details import load_thumbnails
from pixelwise.records.evaluations import SAMPLES
from pixelwise.records.history import experiment_hash
from pixelwise.records.log import PlanRecord, StepRecord, WarningRecord
from pixelwise.records.presence import covered_by_miou
from pixelwise.records.result import Result, to_json
from pixelwise.records.run_folder import write_page
from pixelwise.records.showing import drawn_units
from pixelwise.records.standing import in_words
from pixelwise.reports.numbers import count, duration, memory, percent, speed
from pixelwise.reports.run.atlas import atlas_of, suspects_of
from pixelwise.reports.run.charts import training_charts
from pixelwise.reports.run.curves import class_curves
from pixelwise.reports.run.errors import foreground_of, places_of_errors, regions_in_words
from pixelwise.reports.run.metrics import class_columns, further_values
from pixelwise.reports.run.pictures import BORDER_COLOR, ERROR_COLOR, hexadecimal, load_pictures
from pixelwise.reports.run.procedure import procedures, trained_in_words, unreached_rate
from pixelwise.reports.run.records import Evaluated, RunRecords, read_run
from pixelwise.reports.run.reliability import reliability_of
from pixelwise.reports.run.sentences import images_of, scored_on, trained_here
from pixelwise.reports.run.tables import (
    binary_rows,
    class_rows,
    confusion_cells,
    frequent_confusions,
    group_headings,
    group_rows,
    remarks,
    summary_of,
)
from pixelwise.reports.run.thresholds import thresholds_of
from pixelwise.reports.standard_output import harmless_json
from pixelwise.reports.templates import script_hash, source, templates
from pixelwise.storage import printable

SCRIPTS = ("report_script.html", "copy_script.html", "report_threshold_script.html", "report_atlas_script.html")
"""Parts of the script of the page, in order."""


class Fact(NamedTuple):
    """A name and a value, both text."""

    name: str
    value: str


def write_report(run: Path) -> Path:
    """Write RUN/report.html from the files in the run folder, replacing an older one; returns its path.

    Args:
        run: The run folder; a run that is not finished or not scored gets a shorter report.

    Raises:
        CheckpointError: K420, `run` is not a run folder; K423, one of its files is damaged.
        DataError: D240, a file of an evaluation is damaged.
        ResourceError: S601, the disk is full.
    """
    return write_page(run, *render(read_run(run)))


def render_report(run: RunRecords) -> str:
    """The page as HTML."""
    return render(run)[0]


def render(run: RunRecords) -> tuple[str, dict[str, bytes]]:
    """The page as HTML, and the thumbnails that are too many for it, by file name."""
    headline = run.evaluations[0] if run.evaluations else None
    shown, files = _headline(run, headline) if headline else (None, {})
    script = "".join(map(source, SCRIPTS))
    page = templates().get_template("report.html")
    text = page.render(
        title=run.recipe.name,
        folder=printable(run.folder.name or run.folder.resolve().name),
        summary=summary_of(run),
        headline=shown,
        # Only a page with thumbnails beside it may load any file.
        picture_sources=" file: 'self'" if files else "",
        unfinished=in_words(run.standing, run.folder),
        next_steps=_next_steps(run, headline),
        others=[_line(one.result) for one in run.evaluations[1:]],
        charts=training_charts(run),
        curves=class_curves(run, _class_names(run, headline)),
        procedures=procedures(run.recipe),
        choices=[
            (one.field, toml_value(one.value), one.reason)
            for record in run.log.of(PlanRecord)
            for one in record.choices
        ],
        run_facts=_run_facts(run),
        data=_data(run),
        commands=_commands(run, headline),
        script=Markup(script),
        script_hash=script_hash(script),
    )
    return text, files


def _next_steps(run: RunRecords, headline: Evaluated | None) -> list[str]:
    """What to do next, in at most three sentences; none for a run that still has steps to train."""
    if run.standing.unfinished or not trained_here(run.standing):
        return []
    own = headline.result if headline is not None and headline.result.own_data is not False else None
    return advice(run.recipe, run.log, own)


def _class_names(run: RunRecords, headline: Evaluated | None) -> tuple[str, ...]:
    """Names of the classes that the run was trained on; empty if no record tells them."""
    if headline is not None and headline.result.own_data is not False:
        return tuple(entry.name for entry in headline.result.per_class)
    return ()


def _headline(run: RunRecords, evaluated: Evaluated) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Everything the page shows about the headline evaluation, and the files beside the page."""
    result = evaluated.result
    pictures, legend, foreground = [], [], foreground_of(result)
    if evaluated.samples is not None:
        pictures, legend = load_pictures(evaluated.folder / SAMPLES, evaluated.samples, foreground)
    atlas = atlas_of(evaluated, pictures, load_thumbnails(evaluated.folder), foreground)
    thresholds = thresholds_of(result, evaluated.samples, foreground)
    shown = {
        **_line(result),
        "facts": _result_facts(run, result),
        "published": _published(run, result),
        "class_rows": class_rows(result),
        "colors": _colors(evaluated),
        "class_columns": [column.title for column in class_columns(result)],
        "group_rows": group_rows(result),
        "group_columns": group_headings(result),
        "class_names": [entry.name for entry in result.per_class],
        "cells": confusion_cells(result),
        "confusions": frequent_confusions(result),
        "binary_rows": binary_rows(result),
        "multilabel": result.multilabel,
        "pictures": pictures,
        "legend": legend,
        "error_color": hexadecimal(ERROR_COLOR),
        "border_color": hexadecimal(BORDER_COLOR),
        "border": BORDER,
        "cards": atlas.cards,
        "atlas": Markup(atlas.data),
        "detailed": bool(evaluated.details) and not result.multilabel,
        "foreground": "" if foreground is None else result.per_class[foreground].name,
        "places": places_of_errors(result, evaluated.details),
        "regions": regions_in_words(result, evaluated.details),
        "thresholds": thresholds,
        "threshold_data": Markup(thresholds.data if thresholds else ""),
        "reliability": reliability_of(result),
        "suspects": suspects_of(evaluated),
        "remarks": remarks(run, result),
        "json": _script_safe(to_json(result).decode()),
    }
    return shown, atlas.files


def _colors(evaluated: Evaluated) -> dict[str, tuple[str, str]]:
    """Name of a class -> its official and its colour-blind-safe colour; empty if no pictures tell them."""
    saved = evaluated.samples
    if saved is None or len(saved.palette) != len(saved.classes):
        return {}
    palettes = zip(saved.palette, colorblind_palette(len(saved.classes)), strict=True)
    shown = ((hexadecimal(official), hexadecimal(safe)) for official, safe in palettes)
    return dict(zip(saved.classes, shown, strict=True))


def _line(result: Result) -> dict[str, str]:
    known = known_protocol(result.protocol)
    return {
        "miou": percent(result.miou),
        "interval": _interval(result),
        "drawn": drawn_units(result),
        "pixel_accuracy": percent(result.pixel_accuracy),
        "split": result.split,
        "protocol": result.protocol,
        "protocol_summary": known.summary if known else "",
        "classes": covered_by_miou(result),
        "data": result.data if result.own_data is False else "",
        "whose": "the run's own" if result.own_data else result.data,
        "scored_on": images_of(result),
        "variant": result.variant,
        "images": count(result.images),
        "speed": speed(result.images_per_second),
    }


def _interval(result: Result) -> str:
    """`50.1 to 56.0`; empty if there is no interval."""
    return " to ".join(percent(end, 1) for end in result.miou_interval or ())


def _published(run: RunRecords, result: Result) -> dict[str, Any] | None:
    """The published score beside ours; `comparable` says whether split and protocol are the same."""
    published: Published | None = run.recipe.published
    if published is None or published.miou_percent is None or math.isnan(result.miou):
        return None
    ours = 100 * result.miou
    return {
        "value": f"{published.miou_percent:.2f}",
        "width": published.miou_percent,
        "our_width": round(ours, 2),
        "title": published.title,
        "source": published.source,
        "difference": f"{ours - published.miou_percent:+.2f}".replace("-", "\u2212"),
        "comparable": (published.split, published.protocol) == (result.split, result.protocol)
        and result.own_data is not False
        and not result.variant,
        "split": published.split,
        "protocol": published.protocol,
    }


def _result_facts(run: RunRecords, result: Result) -> list[Fact]:
    size = (
        "each image's own, or as the protocol resizes it"
        if result.input_size is None
        else f"{result.input_size[1]} x {result.input_size[0]} (W x H)"
    )
    weights = "averaged (EMA)" if result.weights == "ema" else "as trained"
    step = f"step {count(result.step)}, {weights}" if trained_here(run.standing) else "imported"
    return [
        Fact("Pixel accuracy", f"{percent(result.pixel_accuracy)} %"),
        *(Fact(shown.title[:1].upper() + shown.title[1:], shown.with_unit) for shown in further_values(result)),
        Fact("Classes with an IoU", f"{result.classes_present} of {len(result.per_class)}"),
        Fact("Images", count(result.images)),
        Fact("Input size", size),
        Fact("Weights", step),
        Fact("Speed", f"{speed(result.images_per_second)} images/s, {duration(result.seconds)} in total"),
        Fact("Peak memory", memory(result.peak_memory_bytes)),
        Fact("Hardware", _hardware(result.machine)),
    ]


def _hardware(machine: Machine) -> str:
    """The device that scored, and how many of them."""
    one = machine.gpu or f"{machine.cpu}, CPU threads: {machine.threads}"
    if machine.processes == 1:
        return one
    hosts = f" on {machine.hosts} hosts" if machine.hosts > 1 else ""
    return f"{machine.processes} processes{hosts}, each: {one}"


def _run_facts(run: RunRecords) -> list[Fact]:
    """Facts about the training run that produced the weights."""
    recipe, steps = run.recipe, run.log.of(StepRecord)
    facts = [Fact("Recipe hash", experiment_hash(recipe, run.history)[:16])]
    if steps:
        facts.append(Fact("Trained", trained_in_words(run)))
    if rate := unreached_rate(run):
        facts.append(Fact("Learning rate", rate))
    if run.training_seconds:
        facts.append(Fact("Training time", duration(run.training_seconds)))
    facts += [Fact("Not one schedule", part.in_words) for part in run.history.parts]
    facts.append(Fact("Seed", str(recipe.sampling.seed)))
    facts += [Fact("Derived from", one.in_words) for one in run.environment.derived_from]
    machine = run.environment.machine
    if machine is not None:
        facts.append(Fact("Trained on", f"{machine.gpu or machine.cpu}, {machine.platform}"))
    if run.evaluations:
        result = run.evaluations[0].result
        facts.append(Fact("Weights", f"SHA-256 {result.weights_sha256[:16]}"))
        facts.append(Fact("Data scored", f"{scored_on(result)}, fingerprint {result.data_fingerprint[:16]}"))
        versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
        facts.append(Fact("Versions", versions))
    return facts


def _data(run: RunRecords) -> dict[str, Any]:
    data = run.data
    images = {**data.images, **({"without masks": data.unlabelled} if data.unlabelled else {})}
    return {
        "name": data.dataset or run.recipe.data.dataset,
        "splits": [(split, count(number)) for split, number in images.items()],
        "fingerprint": data.fingerprint[:16],
        "audited": data.findings is not None,
        "findings": data.findings or (),
        "warnings": run.log.of(WarningRecord),
    }


def _commands(run: RunRecords, headline: Evaluated | None) -> list[Fact]:
    """The commands that reproduce the scores on the page."""
    commands = []
    if run.environment.command:
        commands.append(Fact("Train", run.environment.command))
    for part in run.history.parts:
        if not part.stage:
            words = ["pixelwise", "resume", printable(run.folder), *part.overrides]
            commands.append(Fact(f"Resume at step {count(part.until)}", shlex.join(words)))
    if headline is not None and headline.result.command:
        commands.append(Fact("Evaluate", headline.result.command))
    return commands


def _script_safe(json_text: str) -> Markup:
    """JSON that is safe inside a `<script>` element: the same when parsed, but without any `<`."""
    return Markup(harmless_json(json_text).replace("<", "\\u003c"))
