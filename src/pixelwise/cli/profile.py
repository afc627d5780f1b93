"""`pixelwise profile RECIPE`: what a network costs, and where the time of its training goes."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    target: str = typer.Argument(
        ..., metavar="RECIPE_OR_RUN", help="A recipe, a file ending in .toml or a run folder."
    ),
    overrides: list[str] = typer.Argument(None, help="Changes such as sampling.batch_size=4 or precision.dtype=auto."),
    train: bool = typer.Option(False, "--train", help="Time the parts of training steps instead of one image."),
    data: Path = typer.Option(
        None, "--data", help="With --train: folder of the data set; default: the run's, or the synthetic town."
    ),
    size: str = typer.Option(None, "--size", help="HEIGHTxWIDTH of the image (with --train: of the crop); 360x480."),
    steps: int = typer.Option(None, "--steps", min=1, help="Timed images (20), with --train timed steps (5)."),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda."),
    threads: int = typer.Option(None, "--threads", help="CPU threads; default: OMP_NUM_THREADS, else one per core."),
    output: Path = typer.Option(None, "--output", help="With --train: picture to write (.png, .svg or .pdf)."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Parameters, MACs, milliseconds and memory of a network; with --train, where the time of its training goes.

    Training is timed in the functions that `pixelwise train` runs, on a network and in a process of its own; nothing
    is saved. It names the part that takes most and what to do about it.
    """
    from pixelwise.reports.profiling import show_forward, show_training

    chosen = _size(size)
    changes = list(overrides or [])
    if train:
        show_training(
            target,
            changes,
            data=data,
            size=chosen,
            steps=steps or 5,
            device=device,
            threads=threads,
            output=output,
            as_json=json,
        )
        return
    if data is not None or output is not None:
        raise typer.BadParameter("--data and --output belong to --train")
    show_forward(target, changes, size=chosen, runs=steps or 20, device=device, threads=threads, as_json=json)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) and int(width)):
        raise typer.BadParameter(f"--size {text}: expected HEIGHTxWIDTH, for example 360x480")
    return int(height), int(width)
