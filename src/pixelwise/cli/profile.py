"""`pixelwise profile MODEL`: cost of a network, its latency per runtime, and the time of a training step."""

from __future__ import annotations

import msgspec
import typer

from pixelwise.api.requests import check_profiling
from pixelwise.cli.line import completion
from pixelwise.cli.line.options import takes
from pixelwise.cli.line.words import with_data
from pixelwise.profiling.options import ProfileOptions

EXAMPLES = (
    "pixelwise profile unet",
    "pixelwise profile unet photos --train -o profile.png  # where the time of a step goes",
    "pixelwise profile runs/unet-1 --runtime torch,onnx",
)
"""Shown at the end of the help."""


@takes(ProfileOptions)
def run(
    model: str = typer.Argument(
        ...,
        metavar="RUN|RECIPE",
        autocompletion=completion.recipes_and_runs,
        help="Recipe, .toml file or run folder; with --runtime also a folder of imported weights or an artefact.",
    ),
    words: list[str] = typer.Argument(
        None,
        metavar="[DATA] [FIELD=VALUE]...",
        autocompletion=completion.data_words,
        help="Folder of the data set, for --train; changes to the recipe, such as dtype=auto.",
    ),
    *,
    options: ProfileOptions,
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure parameters, MACs, latency and memory of a network, or with --train the time of a training step.

    --train times the functions that `pixelwise train` uses, in this process and without saving anything, and reports
    the slowest part with advice.

    --runtime prints a table of latencies. Each runtime gets its own process and they take turns, pass by pass; for
    runtimes other than PyTorch the network is exported first. A recipe gets random weights.
    """
    asked = with_data(words, options.data)
    options = msgspec.structs.replace(options, data=asked.data)
    check_profiling(model, asked.settings, options)
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.profiles import show_profile

    with display() as observer:
        found = pixelwise.profile(model, asked.settings, options, observer=observer)
    show_profile(model, found, as_json=json)
