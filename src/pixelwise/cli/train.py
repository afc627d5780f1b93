"""`pixelwise train RECIPE`: from images to a scored model."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    recipe: str = typer.Argument(..., help="Name of a recipe (see `pixelwise recipes`) or a file ending in .toml."),
    overrides: list[str] = typer.Argument(None, help="Changes such as optimizer.lr=0.02 or schedule.epochs=10."),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; not needed for the synthetic town."),
    output: Path = typer.Option(None, "--output", help="Run folder to create; default: runs/RECIPE-1, -2, ..."),
    weights: str = typer.Option(
        None, "--weights", help="Initial weights of the encoder: none, default (timm's), or timm's name with its tag."
    ),
    begin: Path = typer.Option(None, "--from", help="Run folder whose result the whole network begins with."),
    auto_batch: bool = typer.Option(
        False, "--auto-batch", help="Choose the largest batch that fits into memory; the images per step stay."
    ),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda."),
    threads: int = typer.Option(
        None, "--threads", min=1, help="CPU threads; default: OMP_NUM_THREADS, else one per usable core."
    ),
    evaluate: bool = typer.Option(True, help="Score the result and write the report at the end."),
) -> None:
    """Train, score the result, write the report.

    The data is looked at first. A recipe's stages, where it has any, are trained before it, in RUN/stages. The run
    folder holds everything: the resolved recipe, checkpoints, the log, results and report.html. Interrupt it at any
    time (Ctrl-C); `pixelwise resume` continues it.
    """
    from pixelwise.reports.displays import TrainingDisplay
    from pixelwise.reports.summary import conclude
    from pixelwise.training.runs import train

    changes = list(overrides or [])
    if weights is not None:
        changes.append(f"initialize.encoder={weights}")
    if begin is not None:
        changes.append(f"initialize.run={begin}")
    with TrainingDisplay() as display:
        run = train(
            recipe,
            data=data,
            output=output,
            overrides=changes,
            device=device,
            threads=threads,
            auto_batch=auto_batch,
            observer=display.observer,
        )
    if evaluate:
        conclude(run)
    else:
        print(f"{run}: trained. Score it with: pixelwise evaluate {run}")
