"""Every kind of entry of the cache folder: its name, its version, and what it is for.

A module that keeps something names its kind here and goes through `pixelwise.storage.caches`; so whatever lies in
the folder can be shown, cleared, and told from what other versions of Pixelwise left there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec


class EntryName(NamedTuple):
    """What the name of an entry says.

    Attributes:
        variant: Empty for kinds without variants.
        version: Of the kind, when the entry was written.
        key: Hash of everything that the content depends on; empty for a kind of one entry.
        subject: Hash of what the entry is about, in whatever state that is; empty where the name does not say.
    """

    variant: str
    version: int
    key: str
    subject: str


class CacheKind(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One kind of entry. Its file is called PREFIX[VARIANT-][vVERSION-]KEY[@SUBJECT]SUFFIX.

    Attributes:
        name: What `pixelwise data cache --kind` calls it.
        purpose: What it is for, in one sentence.
        prefix: Where names begin, in the cache folder; a folder of its own ends in `/`.
        suffix: Where they end.
        folders: Whether entries are folders, not files.
        version: Raise it when the content changes its meaning or its format: older entries are then not found any
            more, and go when a new one is written.
        unmarked: The version whose names do not say it; 0 where all do. It stays as it is when `version` is raised.
        variants: Whether names say a variant, too.
        permanent: Whether it cannot be computed again: only its own name clears it, and
            failing to write it is an error.
        describe: What an entry holds, in words; raises OSError or ValueError where it is damaged.
    """

    name: str
    purpose: str
    prefix: str
    suffix: str = ""
    folders: bool = False
    version: int = 1
    unmarked: int = 0
    variants: bool = False
    permanent: bool = False
    describe: Callable[[Path], str] | None = None

    def entry_name(self, key: str = "", *, variant: str = "", subject: str = "") -> str:
        """The path of an entry of this version, relative to the cache folder."""
        marker = "" if self.version == self.unmarked else f"v{self.version}-"
        about = f"@{subject}" if subject else ""
        return f"{self.prefix}{variant}{'-' * bool(variant)}{marker}{key}{about}{self.suffix}"

    def parse(self, name: str) -> EntryName | None:
        """What a path relative to the cache folder says; None if it is no entry of this kind, whatever its version."""
        found = self._pattern.fullmatch(name)
        if found is None:
            return None
        version = int(found["version"]) if found["version"] else self.unmarked
        return EntryName(found["variant"] or "", version, found["key"] or "", found["subject"] or "")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        variant = "(?P<variant>[a-z0-9-]+?)-" if self.variants else "(?P<variant>)"
        marker = "(?:v(?P<version>[0-9]+)-)" + ("?" if self.unmarked else "")
        rest = "(?P<key>[0-9a-f]+(?:-[0-9]+)?)?(?:@(?P<subject>[0-9a-f]+))?"
        return re.compile(f"{re.escape(self.prefix)}{variant}{marker}{rest}{re.escape(self.suffix)}")


def _facts_of_arrays(folder: Path) -> str:
    from pixelwise.storage.arrays import ArrayFile

    facts = ArrayFile(folder / DECODED_FILE).about
    return f"{facts['dataset']} {facts['split']}, {facts['pairs']} pairs"


DECODED_FILE = "pairs"
"""The file of arrays in an entry of `DECODED`."""

DECODED = CacheKind(
    name="decoded",
    purpose="decoded training images and masks, which data.cache=disk keeps",
    prefix="decoded/",
    folders=True,
    unmarked=1,
    describe=_facts_of_arrays,
)
DRAWN = CacheKind(
    name="drawn",
    purpose="masks drawn from the outlines of LabelMe, COCO, YOLO, CVAT and Label Studio",
    prefix="drawn-",
    folders=True,
    variants=True,
)
COCOSEG21 = CacheKind(
    name="cocoseg21", purpose="masks of COCO 2017 in the 21 classes of VOC", prefix="cocoseg21-", folders=True
)
TOWN = CacheKind(
    name="town", purpose="images and masks of the synthetic town", prefix="town-", folders=True, version=2, unmarked=2
)
AUDIT = CacheKind(
    name="audit",
    purpose="what `pixelwise check` found in a data set",
    prefix="audit-",
    suffix=".msgpack",
    version=6,
    unmarked=6,
)
EXAMINED = CacheKind(
    name="examined",
    purpose="what a check saw in each image and mask, so that only changed files are decoded again",
    prefix="examined-",
    suffix=".msgpack",
    version=4,
    unmarked=4,
)
HASHES = CacheKind(
    name="hashes", purpose="SHA-256 of the files of a data set", prefix="hashes-", suffix=".msgpack", unmarked=1
)
MASK_IDS = CacheKind(
    name="mask-ids",
    purpose="ids and colours that occur in masks whose classes nobody named",
    prefix="mask-ids-",
    suffix=".msgpack",
    version=4,
)
CEILING = CacheKind(
    name="ceiling",
    purpose="the best mIoU that networks of coarse output can reach on a data set",
    prefix="ceiling-",
    suffix=".msgpack",
    unmarked=1,
)
COMPLEXITY = CacheKind(
    name="complexity",
    purpose="parameters and multiply-accumulates of the networks of recipes",
    prefix="complexity/",
    suffix=".json",
    unmarked=1,
)
INITIAL_WEIGHTS = CacheKind(
    name="initial-weights",
    purpose="SHA-256 of pretrained weights at their first download, which later ones must have",
    prefix="initial-weights",
    suffix=".json",
    unmarked=1,
    permanent=True,
)

KINDS = (
    DECODED, DRAWN, COCOSEG21, TOWN, AUDIT, EXAMINED, HASHES, MASK_IDS, CEILING, COMPLEXITY, INITIAL_WEIGHTS
)  # fmt: skip
"""All of them, in the order in which they are shown."""
