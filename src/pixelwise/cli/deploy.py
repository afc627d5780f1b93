"""`pixelwise deploy RUN --output DIR`: a run in every form in which it could be delivered, compared."""

from __future__ import annotations

from pathlib import Path

import typer


def run(
    run: Path = typer.Argument(..., help="Run folder."),
    output: Path = typer.Option(..., "--output", help="Empty folder for the artefacts and card.html, .md and .json."),
    targets: str = typer.Option(
        "onnx,openvino", "--targets", help="Formats: onnx, openvino, torch-export, executorch; with commas."
    ),
    int8: str = typer.Option(
        None, "--int8", help="ptq: quantized after training too. qat: trained with 8-bit numbers too. Or ptq,qat."
    ),
    qat_run: Path = typer.Option(
        None, "--qat-run", help="With --int8 qat: the run trained with quantization=..., if RUN is not it."
    ),
    data: Path = typer.Option(None, "--data", help="Folder of the data set; default: the one of the run."),
    split: str = typer.Option(None, "--split", help="Its split to score on; default: the recipe's."),
    images: Path = typer.Option(None, "--images", help="Images without labels instead: agreement only."),
    size: str = typer.Option(
        None, "--size", help="WIDTHxHEIGHT of all images; default: what the protocol shows, if that is one size."
    ),
    dynamic: bool = typer.Option(False, "--dynamic", help="Artefacts take any number of images of any size."),
    argmax: bool = typer.Option(False, "--argmax", help="Artefacts give class ids (uint8) instead of logits."),
    uint8_input: bool = typer.Option(False, "--uint8-input", help="Artefacts take RGB bytes and normalise inside."),
    threads: str = typer.Option("1", "--threads", help="Numbers of CPU threads to time with, such as 1,2."),
    rounds: int = typer.Option(30, "--rounds", min=0, help="Timed passes of each; 0: nothing is timed."),
    max_miou_drop: float = typer.Option(
        None, "--max-miou-drop", min=0.0, help="Fail where a row loses more points of mIoU than this."
    ),
    calibration_images: int = typer.Option(
        128, "--calibration-images", min=1, help="With --int8 ptq: images from which ranges are read off."
    ),
    json: bool = typer.Option(False, "--json", help="Print card.json."),
) -> None:
    """Export a run to several formats, score and time all of them beside PyTorch, and write the card.

    What cannot be made here is a row with the reason. With --max-miou-drop the exit status is 4 where a row loses more;
    the card is written anyway.
    """
    from pixelwise.reports.card.terminal import deploy_and_show

    deploy_and_show(
        run,
        output,
        targets=targets,
        int8=int8,
        qat_run=qat_run,
        data=data,
        split=split,
        images=images,
        size=size,
        dynamic=dynamic,
        argmax=argmax,
        uint8_input=uint8_input,
        threads=threads,
        rounds=rounds,
        max_miou_drop=max_miou_drop,
        calibration_images=calibration_images,
        as_json=json,
    )
