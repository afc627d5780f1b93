"""Images of a data set that are alike: files of identical content, and near-duplicates within and across splits."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pixelwise.datasets.auditing.near_duplicates import Looks, twins_across

KINDS = {
    "across": "near-duplicates in different splits",
    "same": "identical files",
    "within": "near-duplicates in one split",
}
"""Kinds of pairs -> their titles. What makes scores too high comes first."""


class Twin(NamedTuple):
    """Two images that are alike.

    Attributes:
        first: Row of the one that comes first.
        second: Row of the other.
        bits: Number of bits in which their 64-bit perceptual hashes differ; 0 for files of identical content.
    """

    first: int
    second: int
    bits: int


def twins_of(looks: Mapping[str, Looks], begins: Sequence[int] | np.ndarray) -> dict[str, list[Twin]]:
    """The pairs of every kind in `KINDS`; of near-duplicates, each image with the one that is most like it.

    Args:
        looks: Split -> what tells its images apart.
        begins: First row of every split.
    """
    found: dict[str, set[Twin]] = {kind: set() for kind in KINDS}
    at = {name: int(begin) for name, begin in zip(looks, begins, strict=False)}
    for one, other in itertools.combinations_with_replacement(looks, 2):
        kind = "within" if one == other else "across"
        for row, twin, bits in twins_across(looks[one], looks[other]).tolist():
            first, second = sorted((at[one] + row, at[other] + twin))
            found[kind].add(Twin(first, second, bits))
    found["same"] = set(_identical(looks))
    return {kind: sorted(pairs, key=lambda twin: (twin.bits, twin)) for kind, pairs in found.items()}


def _identical(looks: Mapping[str, Looks]) -> list[Twin]:
    """Every image whose content an earlier one has, with the first that has it."""
    digests = np.concatenate([np.zeros(0, "S32"), *(one.digests for one in looks.values())])
    _, firsts, content = np.unique(digests, return_index=True, return_inverse=True)
    of = firsts[content]
    later = np.flatnonzero((of != np.arange(len(digests))) & (digests != b""))
    return [Twin(int(of[row]), int(row), 0) for row in later]


def leaking(twins: Mapping[str, Sequence[Twin]], split: np.ndarray) -> dict[str, set[int]]:
    """Code of a finding -> the rows that it is about: D133 identical files, W134 near-duplicates of different splits.

    Args:
        twins: The pairs of every kind.
        split: Number of the split of every row, int (N,).
    """
    same = [twin for twin in twins["same"] if split[twin.first] != split[twin.second]]
    pairs = {"D133": same, "W134": twins["across"]}
    return {code: {row for twin in some for row in twin[:2]} for code, some in pairs.items() if some}
