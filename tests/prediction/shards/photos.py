"""Images for the tests of predictions into tars, and what is in such an output."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from evaluation.color_model import PALETTE, GreyModel, image_of
from PIL import Image

from pixelwise.prediction.options import PredictOptions
from pixelwise.prediction.receipts.jobs import job_of
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.prediction.shards.commits import Commits
from pixelwise.prediction.shards.work import Job


def grey_segmenter() -> Segmenter:
    """A segmenter whose classes are four shades of grey."""
    return Segmenter(GreyModel(), palette=PALETTE)


def labels_of(number: int) -> np.ndarray:
    """Class ids (8, 12) that differ from image to image."""
    return np.random.default_rng(number).integers(0, 4, (8, 12)).astype(np.uint8)


def make_photos(folder: Path, count: int, *, bad: tuple[int, ...] = ()) -> Path:
    """Images `000.png` to ... of known labels; those of `bad` are no images."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:03}.png"
        if number in bad:
            path.write_bytes(b"no image")
        else:
            Image.fromarray(image_of(labels_of(number))).save(path)
    return folder


def job_and_commits(segmenter: Segmenter, output: Path, **options: object) -> tuple[Job, Commits]:
    """A job that predicts into an output."""
    chosen = PredictOptions(tars=True, **options)  # type: ignore[arg-type]
    job = Job(job_of(segmenter, chosen), Path("unused"), chosen, output)
    return job, Commits(output, job.name)


def masks_in(output: Path) -> dict[str, bytes]:
    """Name in a tar -> content, for all tars of an output."""
    found = {}
    for tar in sorted(output.glob("*.tar")):
        with tarfile.open(tar) as opened:
            for member in opened:
                file = opened.extractfile(member)
                assert file is not None
                assert member.name not in found
                found[member.name] = file.read()
    return found


def table_of(output: Path) -> list[dict]:
    """The rows of `predictions.parquet`."""
    return parquet.read_table(output / "predictions.parquet").to_pylist()


def tree_hash(output: Path) -> str:
    """A hash of all files of an output."""
    digest = hashlib.sha256()
    for path in sorted(output.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(output).as_posix()} {path.read_bytes().hex()}\n".encode())
    return digest.hexdigest()
