"""Reads the files of samples that lie on other machines before they are decoded, many at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator

from pixelwise.datasets.reading.regions.png_masks import is_kept
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.ahead import fetch

TOGETHER = 16
"""Number of samples whose files are asked for at the same time."""


def is_far(dataset: Dataset) -> bool:
    """Whether the files of a data set lie on another machine."""
    return address_of(dataset.root) is not None


def fetch_files(samples: Iterable[Sample], in_parts: Container[Sample] = ()) -> None:
    """Read the files of samples, unless they are on this machine; whoever opens them next has them at once.

    Args:
        samples: The samples.
        in_parts: Those of which parts are read; of these, masks that are stored in tiles here are left out.
    """
    fetch(
        path
        for sample in samples
        for path in (sample.image_path, *sample.mask_files)
        if sample not in in_parts or not is_kept(path)
    )


def fetched_ahead(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The samples in their order, with the files of the next `TOGETHER` read before the first of them is given out."""
    remaining = iter(samples)
    while some := list(itertools.islice(remaining, TOGETHER)):
        fetch_files(some)
        yield from some
