"""`pixelwise profile MODEL`: what a network costs, in which runtime, and where the time of its training goes."""

from __future__ import annotations

import typer

from pixelwise.cli.options import takes
from pixelwise.profiling.options import ProfileOptions


@takes(ProfileOptions)
def run(
    model: str = typer.Argument(
        ...,
        metavar="MODEL",
        help="A recipe, a file ending in .toml or a run folder; with --runtime also a folder of imported weights or an "
        "artefact.",
    ),
    overrides: list[str] = typer.Argument(None, help="Changes such as sampling.batch_size=4 or precision.dtype=auto."),
    *,
    options: ProfileOptions,
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Parameters, MACs, milliseconds and memory of a network; with --train, where the time of its training goes.

    Training is timed in the functions that `pixelwise train` runs, on a network and in a process of its own; nothing
    is saved. It names the part that takes most and what to do about it.

    With --runtime: the table of latencies, one process each, pass by pass in turns; what is not PyTorch is exported
    first. A recipe has random weights.
    """
    import pixelwise
    from pixelwise.reports.displays import display
    from pixelwise.reports.profiles import show_profile

    with display() as observer:
        found = pixelwise.profile(model, overrides or (), options, observer=observer)
    show_profile(model, found, as_json=json)
