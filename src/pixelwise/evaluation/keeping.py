"""What is kept when the same question is answered again with fewer measurements: nothing that was measured is lost."""

from __future__ import annotations

import itertools
import math
import shlex

import msgspec

from pixelwise.records.result import Result
from pixelwise.records.scores import CLASS_FIELDS, RESULT_FIELDS


def same_counts(result: Result, earlier: Result) -> bool:
    """Whether two results count the same predictions of the same weights on the same images."""
    return all(
        getattr(result, field) == getattr(earlier, field)
        for field in ("weights_sha256", "data_fingerprint", "input_size", "confusion_matrix", "binary_counts", "images")
    )


def other_groups(result: Result, earlier: Result) -> bool:
    """Whether both results score groups, but of another division."""
    mine, theirs = ([(group.name, group.images) for group in one.groups] for one in (result, earlier))
    return bool(mine) and bool(theirs) and mine != theirs


def with_earlier(result: Result, earlier: Result) -> Result:
    """A result, completed with the metrics and groups that only an earlier result of the same counts has.

    Args:
        result: The new result.
        earlier: An earlier answer to the same question; see `same_counts`.
    """
    values = {
        field: getattr(earlier, field)
        for field in RESULT_FIELDS.values()
        if math.isnan(getattr(result, field)) and not math.isnan(getattr(earlier, field))
    }
    per_class = tuple(
        msgspec.structs.replace(
            entry,
            **{
                field: getattr(old, field)
                for field in CLASS_FIELDS.values()
                if math.isnan(getattr(entry, field)) and not math.isnan(getattr(old, field))
            },
        )
        for entry, old in zip(result.per_class, earlier.per_class, strict=True)
    )
    metrics = {name: found for name, found in earlier.metrics.items() if name not in result.metrics}
    groups = result.groups or earlier.groups
    if not values and not metrics and groups == result.groups and per_class == result.per_class:
        return result
    return msgspec.structs.replace(
        result,
        **values,
        calibration=result.calibration or earlier.calibration,
        per_class=per_class,
        metrics={**result.metrics, **metrics},
        groups=groups,
        command=_command_of_both(result.command, earlier.command),
    )


def _command_of_both(command: str, earlier: str) -> str:
    """The command line that measures what two evaluations of the same question measured."""
    mine, theirs = _split(command), _split(earlier)
    if not mine or not theirs:
        return command
    kept = [word for word in mine if word != "--no-boundary" or "--no-boundary" in theirs]
    if "--calibration" in theirs and "--calibration" not in mine:
        kept.append("--calibration")
    for flag in ("--metric", "--group"):
        missing = [value for value in _values(theirs, flag) if value not in _values(mine, flag)]
        kept += [word for value in missing for word in (flag, value)]
    return shlex.join(kept)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _values(words: list[str], flag: str) -> list[str]:
    return [value for word, value in itertools.pairwise(words) if word == flag]
