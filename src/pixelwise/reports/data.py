"""Terminal output of the `data` verbs that prepare, split, convert, shard and measure data sets."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from rich.table import Table

from pixelwise.datasets.auditing.statistics import Statistics
from pixelwise.datasets.preparing.dividing import Division
from pixelwise.datasets.preparing.fetching import Prepared
from pixelwise.datasets.preparing.sharding import ShardedData
from pixelwise.datasets.preparing.verifying import Verification
from pixelwise.datasets.preparing.written import WrittenData
from pixelwise.datasets.publication import Publication
from pixelwise.reports.audit.words import channels_in_words
from pixelwise.reports.numbers import count
from pixelwise.reports.standard_output import write_json
from pixelwise.reports.terminals import Console
from pixelwise.storage import printable
from pixelwise.storage.names import counted

_NAMED_FILES = 5
"""Number of skipped files listed by name; the rest are counted."""


def print_public_data(known: Mapping[str, Publication], *, as_json: bool = False) -> None:
    """Print a table of the data sets that can be prepared."""
    if as_json:
        write_json([{"name": name, "summary": one.summary, "terms": one.terms} for name, one in known.items()])
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "description", "terms"):
        table.add_column(heading, overflow="fold")
    for name, publication in known.items():
        table.add_row(name, publication.summary, publication.terms)
    Console().print(table)


def print_prepared(prepared: Prepared, *, as_json: bool = False) -> None:
    """Print which files of a public data set are there, and the next command."""
    if as_json:
        files = {pattern: {"found": found, "expected": number} for pattern, (found, number) in prepared.counts.items()}
        write_json({"name": prepared.publication.name, "root": prepared.root, "files": files})
        return
    _say(f"{prepared.publication.name}: {prepared.publication.summary}")
    _say(f"terms: {prepared.publication.terms}")
    for pattern, (found, number) in prepared.counts.items():
        _say(f"{'ok' if found >= number else '--'} {pattern}: {found} of {number}")
    _say(f"complete; next: pixelwise check {shlex.quote(printable(prepared.root))}")


def print_division(division: Division, *, as_json: bool = False) -> None:
    """Print the lists that a data set was split into."""
    if as_json:
        write_json(division)
        return
    total = sum(division.pairs.values())
    for name, path in division.lists.items():
        _say(f"{printable(path)}: {name} {count(division.pairs[name])} of {count(total)}")
    for name, classes in division.missing.items():
        _say(f"no image of {name} holds {', '.join(map(printable, classes))}")
    _say("no file was moved; `pixelwise check` reads the lists and finds near-duplicate images across splits")


def print_written_data(written: WrittenData, *, as_json: bool = False) -> None:
    """Print how many pairs were written, which were left out, and what was found in the folder that was read."""
    if as_json:
        write_json(written)
        return
    pairs = ", ".join(f"{number} {split}" for split, number in written.pairs.items())
    _say(f"{printable(written.root)}: {pairs}, {len(written.classes)} classes")
    for file, code in list(written.left_out.items())[:_NAMED_FILES]:
        _say(f"  left out: {code} {file}")
    if len(written.left_out) > _NAMED_FILES:
        _say(f"  and {len(written.left_out) - _NAMED_FILES} more")
    for problem in written.problems:
        _say(f"  found: {problem.code} {problem.message}")


def print_sharded(sharded: ShardedData, *, as_json: bool = False) -> None:
    """Print how many images are in how many tars, which of them cannot be used, and what is not in them."""
    if as_json:
        write_json(sharded)
        return
    pairs = ", ".join(f"{count(number)} {split}" for split, number in sharded.pairs.items())
    megabytes = f"{count(round(sharded.bytes / 1e6))} MB"
    _say(
        f"{printable(sharded.root)}: {pairs}, {len(sharded.classes)} classes, {counted(sharded.shards, 'shard')}, "
        f"{megabytes}"
    )
    for file, code in list(sharded.faulty.items())[:_NAMED_FILES]:
        _say(f"  faulty: {code} {file}")
    if len(sharded.faulty) > _NAMED_FILES:
        _say(f"  and {len(sharded.faulty) - _NAMED_FILES} more")
    for problem in sharded.problems:
        _say(f"  found: {problem.code} {problem.message}")
    _say(f"next: pixelwise check {shlex.quote(printable(sharded.root))}")


def print_verification(found: Verification, *, as_json: bool = False) -> None:
    """Print how many files in shards were compared, and which of them are wrong."""
    if as_json:
        write_json(found)
        return
    _say(
        f"{printable(found.root)}: {count(found.images)} images, {count(found.files)} files, "
        f"{count(round(found.bytes / 1e6))} MB compared"
    )
    for problem in found.problems:
        names = ", ".join(problem.files)
        more = f" and {problem.total - len(problem.files)} more" if problem.total > len(problem.files) else ""
        _say(f"{problem.code} {names}{more}: {problem.message.partition(': ')[2]}")
    if not found.problems:
        _say("every file is what the index says")


def print_statistics(measured: Statistics, *, as_json: bool) -> None:
    """Print the statistics of a data set, as tables or as JSON."""
    if as_json:
        write_json(measured.to_plain())
        return
    of = channels_in_words(measured.channels)
    for split, counts in measured.audit.statistics.items():
        mean, std = (" ".join(f"{value:.4f}" for value in values) for values in (counts.mean, counts.std))
        _say(f"{split}: {count(counts.images)} images, mean {mean}, standard deviation {std} ({of}, 0..1)")
    for (height, width), images in measured.audit.sizes.histogram:
        _say(f"{width}x{height}: {count(images)} images")
    console = Console()
    console.print()
    console.print(_table(measured))


def _table(measured: Statistics) -> Table:
    weights = measured.suggestions.class_weights if measured.suggestions else {}
    found = measured.audit
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("class", no_wrap=True)
    # Long headings are broken into two lines, so that the table fits 80 columns.
    for heading in (*(f"{split} px" for split in found.statistics), "images", *weights):
        table.add_column(heading.replace("-", "-\n"), justify="right")
    for class_id, name in enumerate(found.classes):
        pixels = [count(counts.pixels[class_id]) for counts in found.statistics.values()]
        images = sum(counts.images_with_class[class_id] for counts in found.statistics.values())
        suggested = [f"{values[class_id]:.3g}" for values in weights.values()]
        table.add_row(str(class_id), name, *pixels, count(images), *suggested)
    return table


def _say(text: str) -> None:
    Console().say(text)
