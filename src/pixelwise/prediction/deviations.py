"""Ways in which an artefact's masks differ from those of the run that it was exported from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pixelwise.observer import Warn
from pixelwise.prediction.engine.grid import windows_of
from pixelwise.recipes.protocols import Protocol
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.inference import fitted_to

if TYPE_CHECKING:
    from pixelwise.models import SegmentationModel

Remark = tuple[str, str]
"""Code and message of a warning."""


def deviations(
    model: SegmentationModel, protocol: Protocol, seen: Size, mask: Size, of_run: Protocol | None = None
) -> list[Remark]:
    """What an artefact does to an image in another way than its run; nothing for a network that is no artefact.

    Args:
        model: The network or the artefact.
        protocol: Protocol by which the artefact predicts.
        seen: (height, width) of the image as the network sees it, without padding.
        mask: (height, width) of the result.
        of_run: Protocol by which the run predicts; None: the same.
    """
    found: list[Remark] = []
    fixed = model.fixed_size
    if fixed is not None and not _shows_only(of_run or protocol, seen, fixed):
        found.append(
            (
                "W471",
                f"the artefact takes only images of {_text(fixed)}: it sees an image of {_text(seen)} through windows "
                "of that size, padded where they are larger, so masks and scores can differ from the run's; export it "
                "again with `dynamic` to take any size",
            )
        )
    if model.gives_scores:
        return found + _enlarged_twice(model, fitted_to(protocol, fixed), seen, mask)
    fitted = fitted_to(protocol, fixed)
    if len(windows_of(seen, fitted.window, fitted.window_stride)) > 1:
        found.append(
            (
                "W472",
                "the artefact returns class ids, which cannot be averaged where windows overlap: each pixel is taken "
                "from the window whose centre is nearest, so masks can differ from the run's; export it again "
                "without `argmax` to average logits",
            )
        )
    elif seen != mask and protocol.argmax_at == "score":
        found.append(
            (
                "W473",
                f"the artefact returns class ids at {_text(seen)}, which are then enlarged or shrunk to {_text(mask)}: "
                "along outlines masks can differ from the run's, which resizes logits; export it again without "
                "`argmax` to do so",
            )
        )
    return found


def _enlarged_twice(model: SegmentationModel, protocol: Protocol, seen: Size, mask: Size) -> list[Remark]:
    """What an artefact does that enlarges logits by itself, where its run enlarges them once."""
    stride = model.enlarged_to
    if stride is None:
        return []
    whole = len(windows_of(seen, protocol.window, protocol.window_stride)) == 1
    resized = seen != mask or any(scale != 1 for scale in protocol.scales)
    if stride == 1 and not (whole and resized and protocol.argmax_at == "score"):
        return []  # the run, too, enlarges logits to the size at which the network sees the image or a window of it
    at = "to the size at which the network sees the image" if stride == 1 else f"to stride {stride}"
    return [
        (
            "W475",
            f"the artefact enlarges logits {at}, and they are then resized again, for a mask of {_text(mask)}: along "
            "outlines masks can differ from the run's, which resizes logits once; export it again with "
            "`output_stride` head to do so",
        )
    ]


def stretching(fixed: Size, size: Size, natural: Size) -> list[Remark]:
    """What an artefact that brings every image to its only size does to one that the run sees at another size.

    Args:
        fixed: (height, width) that the artefact takes.
        size: (height, width) of the image.
        natural: (height, width) at which the run sees it.
    """
    if natural == fixed:
        return []
    return [
        (
            "W474",
            f"the artefact brings an image of {_text(size)} to {_text(fixed)}, while the run sees it at "
            f"{_text(natural)}, so masks can differ from the run's; export it again with `dynamic` to do as the run "
            "does",
        )
    ]


class Once:
    """Passes on the first warning of each code."""

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._codes: set[str] = set()

    def __call__(self, remarks: Iterable[Remark]) -> None:
        """Warn of what was not yet warned of."""
        for code, message in remarks:
            if code not in self._codes:
                self._codes.add(code)
                self._warn(code, message)


def _shows_only(protocol: Protocol, seen: Size, fixed: Size) -> bool:
    """Whether a protocol shows the network nothing but images of one size."""
    height, width = (min(pair) for pair in zip(seen, protocol.window or seen, strict=True))
    padded = protocol.pad_to or (0, 0)
    return (max(height, padded[0]), max(width, padded[1])) == fixed


def _text(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
