import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing import examining as module
from pixelwise.datasets.auditing.audit import Audit, audit, raise_for_errors
from pixelwise.datasets.opening import open_dataset
from pixelwise.errors import DataError
from pixelwise.recipes.schema.recipe import Data

MakeFolder = Callable[..., Path]
A = np.array([[0, 0], [1, 255]], np.uint8)
B = np.array([[0, 2, 2], [0, 2, 2]], np.uint8)
TWO = Data(classes=("a", "b", "c"))


def audited(root: Path, data: Data = TWO, **options: object) -> Audit:
    return audit(open_dataset(data, root), **options)  # type: ignore[arg-type]


def test_counts_are_those_of_a_count_by_hand(make_folder: MakeFolder):
    found = audited(make_folder({"train/a": A, "train/b": B, "val/c": B}))
    train = found.statistics["train"]
    assert train.images == 2
    assert train.pixels == (4, 1, 4)
    assert train.void_pixels == 1
    assert train.images_with_class == (2, 1, 1)
    assert train.pixels_of_images_with_class == (10, 4, 6)
    assert found.splits == {"train": 2, "val": 1}
    assert found.mask_encodings == {"8-bit PNG": 3}
    assert found.classes == ("a", "b", "c")


def test_image_sizes_are_summed_up(make_folder: MakeFolder):
    sizes = audited(make_folder({"train/a": A, "train/b": B, "val/c": B})).sizes
    assert (sizes.most_common, sizes.most_common_images) == ((2, 3), 2)
    assert (sizes.smallest, sizes.largest, sizes.distinct) == ((2, 2), (2, 3), 2)


def test_a_clean_folder_has_no_findings(make_folder: MakeFolder):
    both = np.array([[0, 1, 2]], np.uint8)
    found = audited(make_folder({"train/a": both, "val/b": both}))
    assert found.findings == ()
    raise_for_errors(found)


def test_unusable_pairs_are_named_and_not_counted(make_folder: MakeFolder):
    root = make_folder({"train/a": A, "train/b": B, "train/c": B})
    (root / "images" / "train" / "b.png").write_bytes(b"")
    found = audited(root)
    assert found.unusable == {"train": ("b",)}
    assert (found.splits["train"], found.statistics["train"].images) == (3, 2)


def test_only_the_named_splits_are_looked_at(make_folder: MakeFolder):
    found = audited(make_folder({"train/a": A, "val/c": B}), splits=["val"])
    assert list(found.splits) == ["val"]


def test_progress_is_reported_up_to_the_total(make_folder: MakeFolder):
    seen: list[tuple[int, int]] = []
    audited(make_folder({"train/a": A, "val/c": B}), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_a_second_audit_reads_no_file(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch):
    root = make_folder({"train/a": A, "val/c": B})
    first = audited(root)
    monkeypatch.setattr(module, "examine", None)
    assert audited(root) == first


def test_the_audit_of_an_earlier_state_goes(make_folder: MakeFolder, own_cache: Path):
    def audits() -> set[str]:
        return {path.name for path in (own_cache / "pixelwise").glob("audit-*")}

    root = make_folder({"train/a": A, "val/c": B})
    audited(root)
    audited(root, splits=["val"])
    before = audits()
    Image.fromarray(np.full((2, 2), 7, np.uint8)).save(root / "masks" / "train" / "a.png")
    audited(root)
    # That of val alone is as right as before.
    assert (len(before), len(audits()), len(audits() & before)) == (2, 2, 1)


def test_a_touched_file_or_another_option_is_looked_at_again(make_folder: MakeFolder):
    root = make_folder({"train/a": A, "val/c": B})
    audited(root)
    Image.fromarray(np.full((2, 2), 7, np.uint8)).save(root / "masks" / "train" / "a.png")
    assert [found.code for found in audited(root).errors] == ["D202"]
    renamed = audited(root, Data(classes=("x", "y", "z")))
    assert renamed.classes == ("x", "y", "z")


def test_damage_behind_an_unchanged_time_stamp_is_d103_with_a_fresh_look(make_folder: MakeFolder):
    root = make_folder({"train/a": A, "val/c": B})
    path = root / "images" / "train" / "a.png"
    for file in root.rglob("*.png"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    audited(root)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert audited(root).errors == ()
    (found,) = [finding for finding in audited(root, fresh=True).findings if finding.code == "D103"]
    assert found.files == ("images/train/a.png",)


def test_the_folder_of_the_data_is_never_written_to(make_folder: MakeFolder):
    root = make_folder({"train/a": A, "train/b": B, "val/c": B})
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    audited(root, Data())
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_errors_are_raised_with_code_files_fix_and_what_else_there_is(make_folder: MakeFolder):
    root = make_folder({"train/a": A, "train/b": B, "train/c": B, "val/d": A})
    for name in ("a", "b"):
        (root / "images" / "train" / f"{name}.png").write_bytes(b"<html>")
    Image.fromarray(np.full((2, 3), 9, np.uint8)).save(root / "masks" / "train" / "c.png")
    with pytest.raises(DataError) as caught:
        raise_for_errors(audited(root))
    assert caught.value.code == "D102"
    assert "images/train/a.png, images/train/b.png" in caught.value.message
    assert "1 more" in caught.value.message
    assert "`pixelwise check`" in caught.value.message
    assert caught.value.help
    with pytest.raises(DataError) as caught:
        raise_for_errors(audited(root), allow=["D102"])
    assert caught.value.code == "D202"
    raise_for_errors(audited(root), allow=["D102", "D202"])


def test_an_audit_survives_json(make_folder: MakeFolder):
    found = audited(make_folder({"train/a": A, "val/c": B}))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Audit) == found


@pytest.mark.heavy
def test_the_real_camvid_is_clean(camvid_root: Path):
    found = audited(camvid_root, Data())
    assert found.findings == ()
    assert found.splits == {"train": 367, "val": 101, "test": 233}
    assert (found.sizes.most_common, found.sizes.distinct) == ((360, 480), 1)
    assert found.statistics["train"].images_with_class == (366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201)
    assert round(100 * found.statistics["test"].void_pixels / (233 * 360 * 480), 2) == 3.83


def test_a_changed_pair_alone_is_decoded_again(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch):
    root = make_folder({f"train/{name}": A for name in "abc"})
    for file in root.rglob("*.png"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    first = audited(root)
    os.utime(root / "masks/train/b.png", (1_700_000_001, 1_700_000_001))
    examined: list[str] = []
    real = module.examine

    def examine(split, sample, *rest, **options):
        examined.append(sample.id)
        return real(split, sample, *rest, **options)

    monkeypatch.setattr(module, "examine", examine)
    assert audited(root) == first
    assert examined == ["b"]
    audited(root, fresh=True)
    assert sorted(examined[1:]) == ["a", "b", "c"]


def scene(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)


def test_a_copy_in_another_quality_is_a_warning_and_no_error(make_folder: MakeFolder):
    root = make_folder({f"{split}/{n}": np.array([[0, 1], [2, 2]], np.uint8).repeat(36, 0).repeat(48, 1)
                        for split in ("train", "val") for n in range(3)})  # fmt: skip
    for split, first in (("train", 0), ("val", 10)):
        for number in range(3):
            scene(first + number).save(root / f"images/{split}/{number}.png")
    scene(1).save(root / "images/val/2.png", "JPEG", quality=50)
    found = audited(root)
    assert [finding.code for finding in found.findings] == ["W134", "W102"] or [
        finding.code for finding in found.findings
    ] == ["W102", "W134"]
    (pair,) = found.near_duplicates
    assert pair.files == ("images/train/1.png", "images/val/2.png")
    assert pair.splits == ("train", "val")
    raise_for_errors(found)


@pytest.mark.heavy
def test_a_kill_loses_what_was_examined_last(make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch):
    root = make_folder({f"train/{number:03}": A for number in range(100)})
    for path in root.rglob("*.png"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    lines = (
        "import os, pathlib, sys",
        "from pixelwise.datasets.auditing.audit import audit",
        "from pixelwise.datasets.opening import open_dataset",
        "from pixelwise.recipes.schema.data import Data",
        "dataset = open_dataset(Data(classes=('a', 'b', 'c')), pathlib.Path(sys.argv[1]))",
        "audit(dataset, progress=lambda done, total: os.kill(os.getpid(), 9) if done == 90 else None)",
    )
    killed = subprocess.run([sys.executable, "-c", "\n".join(lines), str(root)], check=False)
    assert killed.returncode == -9
    examined: list[str] = []
    real = module.examine

    def examine(split, sample, *rest, **options):
        examined.append(sample.id)
        return real(split, sample, *rest, **options)

    monkeypatch.setattr(module, "examine", examine)
    audited(root)
    assert 0 < len(examined) < 10 + 0.15 * 90
