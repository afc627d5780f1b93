"""`pixelwise profile MODEL`: what a network costs, in which runtime, and where the time of its training goes."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    target: str = typer.Argument(
        ...,
        metavar="MODEL",
        help="A recipe, a file ending in .toml or a run folder; with --runtime also a folder of imported weights or an "
        "artefact.",
    ),
    overrides: list[str] = typer.Argument(None, help="Changes such as sampling.batch_size=4 or precision.dtype=auto."),
    train: bool = typer.Option(False, "--train", help="Time the parts of training steps instead of one image."),
    data: Path = typer.Option(
        None, "--data", help="With --train: folder of the data set; default: the run's, or the synthetic town."
    ),
    size: str = typer.Option(None, "--size", help="WIDTHxHEIGHT of the image (with --train: of the crop); 480x360."),
    steps: int = typer.Option(None, "--steps", min=1, help="Timed images (20), with --train timed steps (5)."),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda."),
    threads: str = typer.Option(
        None,
        "--threads",
        help="CPU threads; default: OMP_NUM_THREADS, else one per usable core. With --runtime several: 1,2.",
    ),
    runtime: str = typer.Option(
        None,
        "--runtime",
        help="Time these runtimes in turns: torch, torch-channels-last, torch-bf16, onnx, openvino, torch-export, "
        "executorch; with commas.",
    ),
    batch: int = typer.Option(1, "--batch", min=1, help="With --runtime: images per pass."),
    rounds: int = typer.Option(30, "--rounds", min=1, help="With --runtime: timed passes of each."),
    classes: int = typer.Option(
        None, "--classes", min=1, help="Outputs of a network with random weights; default: the recipe's, or 19."
    ),
    output: Path = typer.Option(None, "--output", help="With --train: picture to write (.png, .svg or .pdf)."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Parameters, MACs, milliseconds and memory of a network; with --train, where the time of its training goes.

    Training is timed in the functions that `pixelwise train` runs, on a network and in a process of its own; nothing
    is saved. It names the part that takes most and what to do about it.

    With --runtime: the table of latencies, one process each, pass by pass in turns; what is not PyTorch is exported
    first. A recipe has random weights.
    """
    from pixelwise.recipes.protocols import parse_size

    chosen = parse_size(size) if size is not None else None
    changes = list(overrides or [])
    if runtime is not None:
        if train or changes or data is not None or output is not None or steps is not None or device != "auto":
            raise typer.BadParameter("--runtime goes with --size, --threads, --batch, --rounds, --classes and --json")
        from pixelwise.reports.card.terminal import show_latencies

        show_latencies(
            target,
            runtimes=runtime,
            threads=threads or "1",
            size=chosen,
            num_classes=classes,
            batch=batch,
            rounds=rounds,
            as_json=json,
        )
        return
    from pixelwise.reports.profiling import show_forward, show_training

    count = _count(threads)
    if train:
        if classes is not None:
            raise typer.BadParameter("--classes does not go with --train: the data decides how many there are")
        show_training(
            target,
            changes,
            data=data,
            size=chosen,
            steps=steps or 5,
            device=device,
            threads=count,
            output=output,
            as_json=json,
        )
        return
    if data is not None or output is not None:
        raise typer.BadParameter("--data and --output belong to --train")
    show_forward(
        target,
        changes,
        size=chosen,
        num_classes=classes,
        runs=steps or 20,
        device=device,
        threads=count,
        as_json=json,
    )


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isdecimal() and int(text)):
        raise typer.BadParameter(f"--threads {text}: expected one number; several go with --runtime")
    return int(text)
