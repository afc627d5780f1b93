"""Letters for sides that are not separated: a compact letter display."""

from __future__ import annotations

import itertools
import string
from collections.abc import Collection, Sequence


def letters_of(names: Sequence[str], apart: Collection[frozenset[str]]) -> dict[str, str]:
    """Name -> its letters; two names share a letter if and only if they are not separated.

    The insert-and-absorb algorithm of Piepho 2004 ("An algorithm for a letter-based representation of all-pairwise
    comparisons").

    Args:
        names: The names, the best first; the best has the letter a.
        apart: Pairs of names that are separated.
    """
    columns = [frozenset(names)]
    for first, second in itertools.combinations(names, 2):
        if frozenset((first, second)) not in apart:
            continue
        for column in [one for one in columns if first in one and second in one]:
            columns.remove(column)
            for part in (column - {first}, column - {second}):
                if not any(part <= other for other in columns):
                    columns = [other for other in columns if not other < part] + [part]
    place = {name: number for number, name in enumerate(names)}
    columns.sort(key=lambda column: sorted(place[name] for name in column))
    marks = dict(zip(columns, _marks(), strict=False))
    return {name: "".join(mark for column, mark in marks.items() if name in column) for name in names}


def _marks() -> itertools.chain[str]:
    """A to z, then a1, b1, ..."""
    letters = string.ascii_lowercase
    return itertools.chain(letters, (f"{letter}{number}" for number in itertools.count(1) for letter in letters))
