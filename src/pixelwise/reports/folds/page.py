"""The page of a cross-validation: one file with the scores, the folds and the likely label mistakes as pictures."""

from __future__ import annotations

import base64
from pathlib import Path

from pixelwise.records.folds.cross_validation import MISTAKES
from pixelwise.records.folds.mistakes import LabelMistake
from pixelwise.records.folds.summary import Summary
from pixelwise.records.run_folder import write_page
from pixelwise.reports.folds.terminal import in_words, known
from pixelwise.reports.templates import templates
from pixelwise.storage import printable


def write_folds_page(folder: Path, summary: Summary) -> Path:
    """Write `report.html` of a cross-validation and return its path.

    Args:
        folder: Its folder.
        summary: What came out of it.

    Raises:
        ResourceError: S601, the disk is full.
    """
    return write_page(folder, render_folds_page(folder, summary))


def render_folds_page(folder: Path, summary: Summary) -> str:
    """The page as HTML.

    Args:
        folder: Folder of the cross-validation, with the pictures of the mistakes.
        summary: What came out of it.
    """
    return (
        templates()
        .get_template("folds.html")
        .render(
            summary=summary,
            name=printable(Path(summary.folder)),
            known=known,
            in_words=in_words,
            mistakes=[(one, _picture(folder, one)) for one in summary.mistakes],
        )
    )


def _picture(folder: Path, mistake: LabelMistake) -> str:
    """The picture of a mistake as a data URI; empty without one."""
    path = folder / MISTAKES / mistake.crop
    if not mistake.crop or not path.is_file():
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
