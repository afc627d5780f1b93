"""Everything that Pixelwise reads from others: how a valid seed is written, and how it is read.

Each data format has a case of its own, made from its miniature, so a new one is fuzzed without a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from fuzz import annotation_seeds, image_seeds, run_seeds

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.format import FORMATS
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.preparing.converting import convert
from pixelwise.datasets.preparing.sharding import shard
from pixelwise.datasets.preparing.verifying import verify
from pixelwise.recipes.schema.data import Data
from pixelwise.testing.miniatures import miniature_of, miniature_scenes

SIZE = (64, 96)
"""(height, width) of the images of miniatures: COCO leaves out images whose objects have less than 1000 pixels."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
_CONVERTED = 5


def _not_a_picture(path: Path) -> bool:
    return path.suffix.lower() not in PICTURES


class Case(NamedTuple):
    """One kind of file or folder.

    Attributes:
        name: Name in the table of outcomes.
        build: Writes a valid seed into an existing folder.
        read: Folder and number of the mutant -> codes of the findings; empty if everything was read.
        mutates: Whether a file, by its path in the folder, may be changed; if none may, any is.
        after: Called with the folder, the changed file and the dice, to make a change harder to notice.
        writes: Folders into which `read` may write.
    """

    name: str
    build: Callable[[Path], None]
    read: Callable[[Path, int], Sequence[str]]
    mutates: Callable[[Path], bool] = _not_a_picture
    after: Callable[[Path, Path, Random], None] | None = None
    writes: Callable[[Path], Sequence[Path]] = lambda folder: ()


def CASES() -> dict[str, Case]:
    """All cases by name."""
    cases = [*(_of_format(name) for name in FORMATS.own()), *_of_annotations(), *_of_shards(), *_of_files()]
    return {case.name: case for case in cases}


def _of_format(name: str) -> Case:
    format = FORMATS[name]

    def build(folder: Path) -> None:
        miniature_of(format).write(folder, miniature_scenes(format, (2, 1), SIZE))

    return _data_case(f"data-{name}", build, name, miniature_of(format).train_split)


def _data_case(name: str, build: Callable[[Path], None], dataset: str, train_split: str = "train") -> Case:
    """A data set that is opened (by name and by recognition), audited, and now and then converted."""

    def read(folder: Path, number: int) -> list[str]:
        recognised = number % 2 == 0 and FORMATS[dataset].recognise is not None
        data = Data(dataset="auto" if recognised else dataset, train_split=train_split)
        found = audit(open_dataset(data, folder)).errors
        if not found and number % _CONVERTED == 0:
            convert(
                folder,
                folder.parent / "written" / "out",
                [f"data.dataset={data.dataset}", f"data.train_split={train_split}"],
            )
        return [finding.code for finding in found]

    return Case(name, build, read)


def _of_annotations() -> list[Case]:
    """Variants of annotation formats that their miniatures do not show."""
    return [
        _data_case(f"annotation-{name}", build, dataset) for name, (dataset, build) in annotation_seeds.SEEDS.items()
    ]


def _of_shards() -> list[Case]:
    """Tars and their index."""

    def build(folder: Path) -> None:
        format, loose = FORMATS["folder"], folder.parent / "loose"
        loose.mkdir(exist_ok=True)
        miniature_of(format).write(loose, miniature_scenes(format, (2, 1), SIZE))
        shard(loose, folder / "shards", size="20kB")
        for path in sorted((folder / "shards").iterdir()):
            path.rename(folder / path.name)
        (folder / "shards").rmdir()

    def read(folder: Path, number: int) -> list[str]:
        found = verify(folder).problems if number % 2 else audit(open_dataset(Data(), folder)).errors
        return [finding.code for finding in found]

    return [
        Case(f"shards-{part}", build, read, mutates)
        for part, mutates in (
            ("index", lambda path: path.suffix == ".parquet"),
            ("tars", lambda path: path.suffix == ".tar"),
        )
    ]


def _of_files() -> list[Case]:
    images = [
        Case(
            f"{role}-{name}",
            lambda folder, write=write, role=role: image_seeds.write_pair(folder, write, role),
            lambda folder, number: image_seeds.read(folder),
            lambda path, role=role: path.stem == role,
        )
        for role, writers in (("image", image_seeds.IMAGES), ("mask", image_seeds.MASKS))
        for name, write in writers.items()
    ]
    others = [
        Case(
            one.name,
            one.build,
            one.read,
            one.mutates or (lambda path: True),
            one.after,
            lambda folder, one=one: [folder / inner for inner in one.writes],
        )
        for one in run_seeds.SEEDS
    ]
    return [*images, *others]
