import os
import time
from pathlib import Path

import numpy as np
import pytest
from editing import edited_data, grey_png, pixels_of

from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_folder
from pixelwise.pages.fixing import keeping
from pixelwise.pages.fixing.collection import Folder
from pixelwise.pages.fixing.keeping import FOLDER, Stale
from pixelwise.pages.fixing.masks import Uneditable

SESSION, OTHER = "session-1", "session-2"


def runs(*each: tuple[int, int, int]) -> np.ndarray:
    return np.array(each, np.int64).reshape(-1, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(edited_data(tmp_path / "data"))


@pytest.fixture
def keeper(folder: Folder):
    return folder.opened().keeper


@pytest.fixture
def target(folder: Folder):
    item = next(item for item in folder.opened().items.values() if item.name == "train/a")
    return folder.target(item)


def test_a_change_is_saved_logged_and_the_original_kept(keeper, target):
    before = target.path.read_bytes()
    first = keeper.save(target, runs((0, 2, 1), (8, 1, 2)), keeper.mask(target).version, SESSION)
    second = keeper.save(target, runs((9, 1, 2)), first.version, SESSION)
    expected = np.zeros((6, 8), np.uint8)
    expected[0, :2], expected[1, :2] = 1, 2
    assert np.array_equal(pixels_of(target.path), expected)
    kept = keeper.folder / "originals" / "masks" / "train" / "a.png"
    assert kept.read_bytes() == before
    one, two = keeper.edits()
    assert (one.after, two.before, two.after) == (first.version, first.version, second.version)
    assert (one.image, one.mask, one.session, one.pixels) == ("train/a", "masks/train/a.png", SESSION, 3)
    assert one.gained == {"road": 2, "car": 1}
    assert one.lost == {"sky": 2, "ignored": 1}


def test_a_change_of_no_pixel_writes_nothing(keeper, target):
    version = keeper.mask(target).version
    assert keeper.save(target, runs((1, 3, 0)), version, SESSION).version == version
    assert keeper.edits() == []
    assert not (keeper.folder / "originals").exists()


def test_a_mask_that_another_program_has_changed_is_not_overwritten(keeper, target):
    version = keeper.mask(target).version
    theirs = grey_png(np.ones((6, 8), np.uint8))
    target.path.write_bytes(theirs)
    with pytest.raises(Stale):
        keeper.save(target, runs((0, 1, 2)), version, SESSION)
    assert target.path.read_bytes() == theirs


def test_a_mask_that_changes_while_it_is_saved_is_not_overwritten(keeper, target, monkeypatch):
    theirs, real = grey_png(np.ones((6, 8), np.uint8)), keeper._log

    def logging(edit):
        real(edit)
        target.path.write_bytes(theirs)

    monkeypatch.setattr(keeper, "_log", logging)
    with pytest.raises(Stale):
        keeper.save(target, runs((0, 1, 2)), keeper.mask(target).version, SESSION)
    assert target.path.read_bytes() == theirs


def test_a_change_whose_answer_was_lost_is_made_again(keeper, target, folder):
    version = keeper.mask(target).version
    saved = keeper.save(target, runs((0, 1, 2)), version, SESSION)
    with pytest.raises(Stale):  # another page has not seen it
        keeper.save(target, runs((1, 1, 2)), version, OTHER)
    anew = Folder(folder.root).opened().keeper  # as after a crash
    assert anew.save(target, runs((0, 1, 2)), version, SESSION).version == saved.version
    assert pixels_of(target.path)[0, :3].tolist() == [2, 0, 0]


@pytest.fixture
def new(folder: Folder):
    """The keeper and the target of an image without a mask."""
    (folder.root / "masks/train/b.png").unlink()
    item = next(item for item in folder.opened().items.values() if item.name == "train/b")
    return folder.opened().keeper, folder.target(item)


def test_a_mask_that_is_not_there_is_made_with_the_first_change(new, folder):
    keeper, target = new
    blank = keeper.mask(target)
    assert keeper.save(target, runs((0, 2, 255)), blank.version, SESSION) is blank  # nothing has changed
    assert not target.path.exists()
    first = keeper.save(target, runs((0, 2, 1)), blank.version, SESSION)
    expected = np.full((6, 8), 255)
    expected[0, :2] = 1
    assert np.array_equal(pixels_of(target.path), expected)
    assert sorted(path.name for path in target.path.parent.iterdir()) == ["a.png", "b.png"]
    again = Folder(folder.root).opened().keeper  # as after a crash
    second = again.save(target, runs((0, 2, 255)), first.version, SESSION)
    assert np.array_equal(pixels_of(target.path), np.full((6, 8), 255))
    assert [(edit.before, edit.after, edit.made) for edit in again.edits()] == [
        (blank.version, first.version, True),
        (first.version, second.version, False),
    ]
    assert again.edits()[0].gained == {"road": 2}
    assert not (keeper.folder / "originals").exists()  # there is nothing to go back to


def test_a_new_mask_never_replaces_one_of_another_program(new, monkeypatch):
    keeper, target = new
    version, theirs, real = keeper.mask(target).version, grey_png(np.ones((6, 8), np.uint8)), keeper._log

    def logging(edit):
        real(edit)
        target.path.write_bytes(theirs)

    monkeypatch.setattr(keeper, "_log", logging)
    with pytest.raises(Stale):
        keeper.save(target, runs((0, 1, 2)), version, SESSION)
    assert target.path.read_bytes() == theirs
    monkeypatch.setattr(keeper, "_log", real)
    keeper.save(target, runs((0, 1, 2)), keeper.mask(target).version, SESSION)
    assert (keeper.folder / "originals" / target.relative).read_bytes() == theirs


def test_a_new_mask_is_complete_or_not_there_when_its_process_ends(new, folder, monkeypatch):
    keeper, target = new
    version = keeper.mask(target).version
    monkeypatch.setattr(keeping, "link_new", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        keeper.save(target, runs((0, 1, 2)), version, SESSION)
    assert not target.path.exists()
    monkeypatch.undo()
    anew = Folder(folder.root).opened().keeper
    saved = anew.save(target, runs((0, 1, 2)), version, SESSION)
    assert (
        anew.save(target, runs((0, 1, 2), (1, 1, 1)), version, SESSION).version != saved.version
    )  # its answer was lost
    with pytest.raises(Stale):
        anew.save(target, runs((0, 1, 2)), version, OTHER)
    assert pixels_of(target.path)[0, :3].tolist() == [2, 1, 255]
    assert [edit.made for edit in anew.edits()] == [True, True, False]


def test_a_line_of_the_log_that_was_cut_off_is_left_out(keeper, target):
    version = keeper.save(target, runs((0, 1, 2)), keeper.mask(target).version, SESSION).version
    log = keeper.folder / "edits.jsonl"
    log.write_bytes(log.read_bytes() + b'{"time":"20')
    keeper.save(target, runs((1, 1, 2)), version, SESSION)
    assert [edit.pixels for edit in keeper.edits()] == [1, 1]


def test_undoing_brings_back_values_without_a_meaning(keeper, target):
    values = np.zeros((6, 8), np.uint8)
    values[2, 2] = 77
    target.path.write_bytes(grey_png(values))
    painted = keeper.save(target, runs((18, 1, 1)), keeper.mask(target).version, SESSION)
    assert 77 not in painted.meanings
    keeper.save(target, runs((18, 1, 77)), painted.version, SESSION)
    assert np.array_equal(pixels_of(target.path), values)


def test_links_lead_nowhere(keeper, target, folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder.root / FOLDER).symlink_to(outside)
    with pytest.raises(Uneditable, match="links"):
        keeper.save(target, runs((0, 1, 2)), keeper.mask(target).version, SESSION)
    assert list(outside.iterdir()) == []


def test_data_is_read_as_before_apart_from_the_pixels(keeper, target, folder):
    before = open_folder(folder.root)[1]
    keeper.save(target, runs((0, 1, 2)), keeper.mask(target).version, SESSION)
    after = open_folder(folder.root)[1]
    assert (after.splits, after.problems, after.layout) == (before.splits, before.problems, before.layout)


def test_the_fingerprint_changes_although_size_and_time_might_not(keeper, target, folder):
    mask = keeper.save(target, runs((9, 1, 1)), keeper.mask(target).version, SESSION)
    size = target.path.stat().st_size
    ahead = time.time_ns() + 10**13  # a clock that was wrong: "now" is no later than the last change
    os.utime(target.path, ns=(ahead, ahead))
    dataset = folder.opened().dataset
    seen = [fingerprint(dataset)]
    for value in (2, 1):
        before = target.path.stat().st_mtime_ns
        mask = keeper.save(target, runs((9, 1, value)), mask.version, SESSION)
        assert target.path.stat().st_mtime_ns > before
        assert target.path.stat().st_size == size
        seen.append(fingerprint(dataset))
    assert seen[0] == seen[2] != seen[1]


def unlabelled(root: Path, *names: bytes) -> Folder:
    """A labelled image `a` and images without masks."""
    write_pair(root, "a")
    for name in names:
        with open(os.path.join(os.fsencode(root), b"images", name), "wb") as file:
            file.write(grey_png(np.zeros((4, 6), np.uint8)))
    return Folder(root)


def write_pair(root: Path, name: str) -> None:
    (root / "dataset.toml").write_text('classes = ["sky", "road"]\nignore = 255\n')
    for kind in ("images", "masks"):
        (root / kind).mkdir()
        (root / kind / f"{name}.png").write_bytes(grey_png(np.zeros((4, 6), np.uint8)))


def test_a_mask_whose_name_is_no_text_is_made_and_changed(tmp_path: Path):
    folder = unlabelled(tmp_path, b"caf\xe9.png", b"two words %20.png")
    for item in folder.opened().items.values():
        target = folder.target(item)
        for place in (3, 4):
            keeper = folder.keeper(target)
            keeper.save(target, runs((place, 1, 1)), keeper.mask(target).version, SESSION)
        assert np.flatnonzero(pixels_of(target.path) == 1).tolist() == [3, 4]
    assert {edit.mask for edit in folder.opened().keeper.edits()} == {
        "masks/a.png", "masks/caf\\xe9.png", "masks/two words %20.png",
    }  # fmt: skip
    assert os.listdir(tmp_path / ".pixelwise-fix/originals/masks") == ["a.png"]


def test_no_mask_is_made_beside_one_with_another_ending(tmp_path: Path):
    folder = unlabelled(tmp_path, b"b.png")
    target = folder.target(next(item for item in folder.opened().items.values() if item.mask))
    keeper = folder.keeper(target)
    version = keeper.mask(target).version
    (tmp_path / "masks/b.tif").write_bytes(b"theirs")
    with pytest.raises(Uneditable, match=r"b\.tif"):
        keeper.save(target, runs((0, 1, 1)), version, SESSION)
    assert not target.path.exists()
    assert keeper.edits() == []


def test_a_new_mask_has_the_size_that_its_image_has_now(tmp_path: Path):
    folder = unlabelled(tmp_path, b"b.png")
    target = folder.target(next(item for item in folder.opened().items.values() if item.mask))
    keeper = folder.keeper(target)
    assert keeper.mask(target).stored.shape == (4, 6)
    (tmp_path / "images/b.png").write_bytes(grey_png(np.zeros((7, 9), np.uint8)))
    assert keeper.mask(target).stored.shape == (7, 9)
