"""Scores, table and plot of `suite.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image

from pixelwise.evaluation.comparison.estimates import Estimate, differences, measured
from pixelwise.metrics import confusion_matrix, miou_interval, scores
from pixelwise.metrics.scores import totals_of
from pixelwise.metrics.significance import holm
from pixelwise.storage.names import counted

RESAMPLES = 2000
COUNTS = ("images", "right", "unions")
"""Fields of a cell with a value for every image, which results leave out."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A training and the score of its masks.

    Attributes:
        data: Name of the data set.
        system: What was trained.
        minutes: Minutes that it was given.
        seed: Seed of the training.
        cores: Processor cores that it had.
        spent: Minutes that it took until the masks were written, all attempts together.
        miou: Mean IoU over all test pixels, 0..1; a class that occurs nowhere is left out.
        interval: 95 % interval of it over images.
        pixel_accuracy: Share of the labelled pixels that are right.
        per_class_iou: Class -> IoU; None for one that occurs nowhere.
        images: Names of the test images.
        right: Correct pixels of each image and class.
        unions: Pixels that are labelled or predicted as each class, of each image.
    """

    data: str
    system: str
    minutes: float
    seed: int
    cores: int
    spent: float
    miou: float
    interval: tuple[float, float] | None
    pixel_accuracy: float
    per_class_iou: dict[str, float | None]
    images: list[str]
    right: list[list[int]]
    unions: list[list[int]]


def scored(masks: Path, truth: Path, classes: Sequence[str]) -> dict[str, Any]:
    """The fields of `Cell` that follow from masks.

    Args:
        masks: Folder of the predicted masks of class ids.
        truth: Folder of the labels, of the same names and sizes; 255 = ignored.
        classes: Names of the classes.

    Raises:
        SystemExit: A mask is missing or has another size.
    """
    names, matrices = [], []
    for path in sorted(truth.glob("*.png")):
        found = masks / path.name
        if not found.is_file():
            raise SystemExit(f"{found} is missing")
        expected, predicted = np.array(Image.open(path)), np.array(Image.open(found))
        if predicted.shape != expected.shape:
            raise SystemExit(f"{found} is {predicted.shape}; expected {expected.shape}")
        names.append(path.stem)
        matrices.append(confusion_matrix(expected, predicted, len(classes)).numpy())
    whole, parts = scores(np.sum(matrices, 0)), [totals_of(one) for one in matrices]
    right, unions = np.stack([one.right for one in parts]), np.stack([one.unions for one in parts])
    return {
        "miou": whole.miou,
        "interval": miou_interval(right, unions),
        "pixel_accuracy": whole.pixel_accuracy,
        "per_class_iou": {name: None if np.isnan(iou) else iou for name, iou in zip(classes, whole.iou, strict=True)},
        "images": names,
        "right": right.tolist(),
        "unions": unions.tolist(),
    }


def with_interval(one: Cell) -> Cell:
    """A cell with the interval of its counts, which an earlier version may have computed in another way."""
    return msgspec.structs.replace(one, interval=miou_interval(np.array(one.right), np.array(one.unions)))


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """Mean IoU of one of our networks minus that of a peer, trained on the same data for the same time.

    Attributes:
        data: Name of the data set.
        minutes: Minutes of each training.
        seed: Seed of both.
        system: Our network.
        peer: The other.
        estimate: The difference, with Holm's correction over those of the same data, minutes and seed.
    """

    data: str
    minutes: float
    seed: int
    system: str
    peer: str
    estimate: Estimate


def difference(first: Cell, second: Cell) -> Estimate:
    """Mean IoU of `first` minus that of `second`, with an interval: the same images are drawn for both.

    Raises:
        ValueError: They were scored on different images.
    """
    if first.images != second.images:
        raise ValueError(f"{first.system} and {second.system} were scored on different images")
    sides = [measured([np.hstack([one.right, one.unions])], "skip", RESAMPLES) for one in (first, second)]
    return differences(sides[1], sides[0])[0]


def adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The differences, with Holm's correction for their number."""
    told = holm([one.p for one in estimates])
    return [msgspec.structs.replace(one, adjusted=p) for one, p in zip(estimates, told, strict=True)]


def best_and_alike(cells: Sequence[Cell]) -> tuple[Cell, list[Cell]]:
    """The best of the cells of one data set, budget and seed, and those that the images do not separate from it."""
    best = max(cells, key=lambda one: one.miou)
    others = [one for one in cells if one is not best]
    told = adjusted([difference(best, one) for one in others])
    return best, [one for one, estimate in zip(others, told, strict=True) if not estimate.separated]


def page(cells: Sequence[Cell], command: str, ours: str, at_once: int = 1) -> str:
    """The result as Markdown.

    Args:
        cells: All cells.
        command: Command that made them.
        ours: Beginning of the names of our own systems.
        at_once: How many of them ran at a time.
    """
    columns = sorted({(one.minutes, one.data) for one in cells})
    systems = list(dict.fromkeys(one.system for one in cells))
    heads = [f"{data}, {minutes:g} min" for minutes, data in columns]
    cores = " or ".join(counted(count, "core") for count in sorted({one.cores for one in cells}))
    shared = f" {at_once} ran at a time, pinned to {cores} each." if at_once > 1 else ""
    lines = [
        "# Networks and peers at equal budgets",
        "",
        f"`{command}`: mIoU in % on the test images, with its 95 % interval over images, from written masks that are "
        "all scored by the same code. All systems had the same images, cores and minutes, and began with random "
        f"weights; nothing was chosen on the test images.{shared} Bold: the best of its column; ≈: not separated "
        "from it by these images (paired bootstrap, Holm's correction).",
        "",
        f"| | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
    ]
    best, alike = [], []
    for group in _groups(cells):
        first, near = best_and_alike(group)
        best.append(first)
        alike += near
    for system in systems:
        row = [
            "; ".join(
                _text(one, bold=one in best, near=one in alike)
                for one in cells
                if (one.system, one.minutes, one.data) == (system, *column)
            )
            for column in columns
        ]
        lines.append(f"| {system} | {' | '.join(text or 'not run' for text in row)} |")
    lines += ["", *_compared(cells, ours)]
    over = [one for one in cells if one.spent > 1.05 * one.minutes]
    if over:
        named = ", ".join(f"{one.system} on {one.data} ({one.spent:.1f} of {one.minutes:g})" for one in over)
        lines += ["", f"More than their minutes, with starting and writing masks, took: {named}."]
    return "\n".join(["\n".join(lines).rstrip(), "", "![Score against minutes](plots/suite.svg)", ""])


def _groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of each data set, budget and seed."""
    found: dict[tuple[str, float, int], list[Cell]] = {}
    for one in cells:
        found.setdefault((one.data, one.minutes, one.seed), []).append(one)
    return list(found.values())


def _text(one: Cell, *, bold: bool, near: bool) -> str:
    interval = "" if one.interval is None else f" ({100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f})"
    score = f"{100 * one.miou:.1f}"
    return f"{f'**{score}**' if bold else score}{interval}{' ≈' if near else ''}"


def gains(cells: Sequence[Cell], ours: str) -> list[Gain]:
    """Each of our networks beside each peer, on the same images.

    Args:
        cells: All cells.
        ours: Beginning of the names of our own systems.
    """
    found = []
    for group in _groups(cells):
        mine = [one for one in group if one.system.startswith(ours)]
        pairs = [(peer, one) for peer in group if not peer.system.startswith(ours) for one in mine]
        told = adjusted([difference(one, peer) for peer, one in pairs])
        found += [
            Gain(data=one.data, minutes=one.minutes, seed=one.seed, system=one.system, peer=peer.system, estimate=gain)
            for (peer, one), gain in zip(pairs, told, strict=True)
        ]
    return found


def _compared(cells: Sequence[Cell], ours: str) -> list[str]:
    """The table of the gains; a row per peer, data set, budget and seed."""
    found = gains(cells, ours)
    names = list(dict.fromkeys(one.system for one in cells if one.system.startswith(ours)))
    lines = [
        "Differences in points to each peer, with their 95 % interval over the same images; bold where they are "
        "separated from 0 (Holm's correction over the differences of a data set and budget), so that chance in the "
        "choice of images does not explain them. Other seeds would change them further, and so would images from "
        "elsewhere: the test images of CamVid, for example, are frames of two drives only.",
        "",
        f"| | {' | '.join(name.removeprefix(ours) for name in names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    rows: dict[tuple[str, str, float, int], dict[str, Estimate]] = {}
    for one in found:
        rows.setdefault((one.peer, one.data, one.minutes, one.seed), {})[one.system] = one.estimate
    for (peer, data, minutes, _), row in rows.items():
        texts = [_gain(row[name]) if name in row else "not run" for name in names]
        lines.append(f"| {peer}, {data}, {minutes:g} min | {' | '.join(texts)} |")
    return lines if rows else []


def _gain(one: Estimate) -> str:
    interval = "" if one.interval is None else " ({:+.1f} to {:+.1f})".format(*(100 * end for end in one.interval))
    text = f"{100 * (one.value or 0.0):+.1f}{interval}"
    return f"**{text}**" if one.separated else text


def plot(cells: Sequence[Cell], path: Path, ours: str) -> None:
    """Draw score against minutes, a panel per data set; peers are dashed."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "pixelwise"
    from matplotlib import pyplot

    names = list(dict.fromkeys(one.data for one in cells))
    if not names:
        return
    figure, axes = pyplot.subplots(1, len(names), figsize=(4.2 * len(names), 3.8), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for system in dict.fromkeys(one.system for one in cells):
            found = sorted(
                (one for one in cells if (one.data, one.system) == (name, system)), key=lambda one: one.spent
            )
            ends = [one.interval or (one.miou, one.miou) for one in found]
            bars = [[100 * (one.miou - low) for one, (low, _) in zip(found, ends, strict=True)],
                    [100 * (high - one.miou) for one, (_, high) in zip(found, ends, strict=True)]]  # fmt: skip
            axis.errorbar(
                [one.spent for one in found], [100 * one.miou for one in found], np.maximum(bars, 0), capsize=2,
                marker="o" if system.startswith(ours) else "x", linestyle="-" if system.startswith(ours) else "--",
                label=system,
            )  # fmt: skip
        longest = max(one.spent for one in cells if one.data == name)
        axis.set(title=name, xlabel="minutes", ylabel="mIoU in %", xlim=(0, 1.08 * longest))
        axis.grid(alpha=0.3)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.2, 1, 1))
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
