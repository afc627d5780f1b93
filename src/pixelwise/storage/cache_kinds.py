"""All kinds of cache entries: their names, versions and purposes.

A module that caches something registers its kind here and uses `pixelwise.storage.caches`, so that every entry can be
listed, cleared, and distinguished from what other versions of Pixelwise have left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec


class EntryName(NamedTuple):
    """The parts of an entry's name.

    Attributes:
        variant: Variant of the kind; empty for kinds without variants.
        version: Version of the kind when the entry was written.
        key: Hash of everything that the content depends on; empty for kinds with a single entry.
        subject: Hash that identifies what the entry is about, whatever its state; empty if the name has none.
    """

    variant: str
    version: int
    key: str
    subject: str


class CacheKind(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One kind of cache entry. Its path is PREFIX[VARIANT-][vVERSION-]KEY[@SUBJECT]SUFFIX.

    Attributes:
        name: Name of the kind on the command line (`pixelwise data cache`).
        purpose: Purpose of the entries, in a few words.
        prefix: Start of the path in the cache folder; ends in `/` if the kind has a folder of its own.
        suffix: End of the path.
        folders: Whether entries are folders rather than files.
        version: Version of the entries' content, raised when its meaning or format changes: older entries are then no
            longer found, and are removed when a new one is written.
        unmarked: The version whose paths omit the version number; 0 if none does. Not changed when `version` is raised.
        variants: Whether paths contain a variant.
        permanent: Whether entries cannot be computed again: they are cleared only if their kind is named, and failing
            to write one is an error.
        describe: Describes the content of an entry; raises OSError or ValueError if the entry is damaged.
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
        """Path of an entry of this version, relative to the cache folder."""
        marker = "" if self.version == self.unmarked else f"v{self.version}-"
        about = f"@{subject}" if subject else ""
        return f"{self.prefix}{variant}{'-' * bool(variant)}{marker}{key}{about}{self.suffix}"

    def parse(self, name: str) -> EntryName | None:
        """The parts of a path relative to the cache folder; None if it is not an entry of this kind in any version."""
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


def _facts_of_features(folder: Path) -> str:
    from pixelwise.storage.arrays import ArrayFile

    views = [ArrayFile(path).about for path in sorted(folder.glob(VIEW_FILE.format("*")))]
    facts = views[0] if views else {"dataset": "", "split": "", "pairs": 0}
    number = f"{len(views)} view{'' if len(views) == 1 else 's'}"
    return f"{facts['dataset']} {facts['split']}, {number} of {facts['pairs']} images"


VIEW_FILE = "view-{}"
"""Name of the array file of a view in an entry of `FEATURES`."""
DECODED_FILE = "pairs"
"""Name of the array file in an entry of `DECODED`."""

DECODED = CacheKind(
    name="decoded",
    purpose="decoded training images and masks, kept by data.cache=disk",
    prefix="decoded/",
    folders=True,
    version=2,
    unmarked=1,
    describe=_facts_of_arrays,
)
FEATURES = CacheKind(
    name="features",
    purpose="features of frozen encoders for views of training images, kept by data.cache_features",
    prefix="features/",
    folders=True,
    describe=_facts_of_features,
)
TAUGHT = CacheKind(
    name="taught",
    purpose="what teachers say of views of training images, kept by distillation.cache_views",
    prefix="taught/",
    folders=True,
    describe=_facts_of_features,
)
DRAWN = CacheKind(
    name="drawn",
    purpose="masks drawn from annotations of labelling tools, and images unpacked from them",
    prefix="drawn-",
    folders=True,
    version=3,
    variants=True,
)
TILED_MASKS = CacheKind(
    name="tiled-masks",
    purpose="PNG masks of images that are read in parts, stored in tiles",
    prefix="tiled-masks/",
    folders=True,
)
COCOSEG21 = CacheKind(
    name="cocoseg21", purpose="masks of COCO 2017 in VOC's 21 classes", prefix="cocoseg21-", folders=True
)
TOWN = CacheKind(
    name="town", purpose="images and masks of the synthetic town", prefix="town-", folders=True, version=2, unmarked=2
)
AUDIT = CacheKind(
    name="audit",
    purpose="findings of `pixelwise check` for a data set",
    prefix="audit-",
    suffix=".msgpack",
    version=13,
    unmarked=6,
)
EXAMINED = CacheKind(
    name="examined",
    purpose="facts about each checked image and mask, so that only changed files are decoded again",
    prefix="examined-",
    suffix=".msgpack",
    version=9,
    unmarked=4,
)
EXAMINING = CacheKind(
    name="examining",
    purpose="parts of data sets whose check by workers of a cluster was begun and not finished",
    prefix="examining-",
    suffix=".msgpack",
)
HASHES = CacheKind(
    name="hashes",
    purpose="SHA-256 hashes of a data set's files",
    prefix="hashes-",
    suffix=".msgpack",
    version=2,
    unmarked=1,
)
MASK_IDS = CacheKind(
    name="mask-ids",
    purpose="ids and colours that occur in masks without named classes",
    prefix="mask-ids-",
    suffix=".msgpack",
    version=7,
)
CEILING = CacheKind(
    name="ceiling",
    purpose="highest mIoU that networks with coarse output can reach on a data set",
    prefix="ceiling-",
    suffix=".msgpack",
    version=2,
    unmarked=1,
)
SHARD_INDEX = CacheKind(
    name="shard-index",
    purpose="indexes of data in shards on other machines, and of tars and tables of other programs",
    prefix="shard-index-",
    folders=True,
)
TAR_MEMBERS = CacheKind(
    name="tar-members",
    purpose="names and positions of the files in tars of other programs",
    prefix="tar-members-",
    suffix=".msgpack",
)
COMPLEXITY = CacheKind(
    name="complexity",
    purpose="parameters and multiply-accumulates of the recipes' networks",
    prefix="complexity/",
    suffix=".json",
    unmarked=1,
)
ERROR_KINDS = CacheKind(
    name="error-kinds",
    purpose="kinds of errors in the pictures that results keep, which `pixelwise ui` shows",
    prefix="error-kinds-",
    suffix=".msgpack",
)
WEB_RUNTIME = CacheKind(
    name="web-runtime",
    purpose="ONNX Runtime Web, which `pixelwise export --target web` puts into pages",
    prefix="web-runtime-",
    folders=True,
)
HUB_ARTEFACTS = CacheKind(
    name="hub-artefacts",
    purpose="exported networks of the hub with several files, which huggingface_hub keeps as links",
    prefix="hub-artefacts/",
    folders=True,
)
INITIAL_WEIGHTS = CacheKind(
    name="initial-weights",
    purpose="SHA-256 of pretrained weights at their first download, which later downloads must match",
    prefix="initial-weights",
    suffix=".json",
    unmarked=1,
    permanent=True,
)

KINDS = (
    DECODED, FEATURES, TAUGHT, DRAWN, TILED_MASKS, COCOSEG21, TOWN, AUDIT, EXAMINED, EXAMINING, HASHES, MASK_IDS,
    CEILING, SHARD_INDEX, TAR_MEMBERS, COMPLEXITY, ERROR_KINDS, WEB_RUNTIME, HUB_ARTEFACTS, INITIAL_WEIGHTS,
)  # fmt: skip
"""All kinds, in display order."""
