import hashlib
import pickle
import threading
from pathlib import Path

import pytest

from pixelwise.errors import DataError
from pixelwise.storage.stores.members import WHOLE, Member, Place, in_memory, in_parts, state_of
from pixelwise.storage.stores.store import FolderStore, MemoryStore

IMAGE, MASK = b"an image", b"its mask!"


class CountingStore(MemoryStore):
    """Counts how often something is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads = 0

    def read(self, name: str, offset: int, size: int) -> bytes:
        self.reads += 1
        return super().read(name, offset, size)


def pair(store: MemoryStore) -> tuple[Member, Member]:
    """Image and mask that lie behind each other."""
    places = [
        Place(store, "0.tar", 4, len(IMAGE), hashlib.sha256(IMAGE).digest(), 4, 21),
        Place(store, "0.tar", 12, len(MASK), hashlib.sha256(MASK).digest(), 4, 21),
    ]
    return Member("photos/0.tar/a.jpg", places[0]), Member("photos/0.tar/a.mask.png", places[1])


def test_a_member_is_a_path_with_a_content():
    image, mask = pair(MemoryStore(b"head" + IMAGE + MASK + b"tail"))
    assert (image.read_bytes(), mask.read_bytes()) == (IMAGE, MASK)
    assert image == Path("photos/0.tar/a.jpg")
    assert (str(image), image.name, image.suffix) == ("photos/0.tar/a.jpg", "a.jpg", ".jpg")
    assert image.is_file()
    assert image.exists()
    assert image.stat().st_size == len(IMAGE)
    with image.open("rb") as stream:
        assert stream.read(2) == b"an"
    with image.open() as stream:
        assert stream.read() == "an image"


def test_members_can_only_be_read():
    image, _ = pair(MemoryStore(b"head" + IMAGE + MASK))
    with pytest.raises(PermissionError):
        image.open("wb")


def test_derived_paths_are_ordinary_ones(tmp_path: Path):
    member = in_memory(tmp_path / "a.jpg", IMAGE)
    beside = member.with_suffix(".jgw")
    assert not beside.exists()
    assert not beside.is_file()
    beside.write_text("1")
    assert beside.read_bytes() == b"1"
    assert beside.open("rb").read() == b"1"
    assert beside.stat().st_size == 1
    assert member.parent.is_dir()


def test_an_image_and_its_mask_are_read_once():
    store = CountingStore(b"head" + IMAGE + MASK)
    image, mask = pair(store)
    for _ in range(3):
        assert (image.read_bytes(), mask.read_bytes()) == (IMAGE, MASK)
    assert store.reads == 1


def test_threads_do_not_disturb_each_other():
    image, mask = pair(MemoryStore(b"head" + IMAGE + MASK))
    other = in_memory(Path("other"), b"another")
    wrong = []

    def work(member: Member, content: bytes) -> None:
        for _ in range(200):
            if member.read_bytes() != content or other.read_bytes() != b"another":
                wrong.append(member)

    threads = [threading.Thread(target=work, args=one) for one in ((image, IMAGE), (mask, MASK))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("content", [b"head" + b"An image" + MASK, b"head" + IMAGE[:-1], b""])
def test_another_content_is_refused(content: bytes):
    image, _ = pair(MemoryStore(content))
    for _ in range(2):
        with pytest.raises(DataError, match=r"photos/0\.tar/a\.jpg") as caught:
            image.read_bytes()
        assert caught.value.code == "D271"


def test_a_member_survives_pickling(tmp_path: Path):
    (tmp_path / "0.tar").write_bytes(b"head" + IMAGE + MASK)
    image, _ = pair(FolderStore(tmp_path))  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(image))
    assert again == image
    assert again.read_bytes() == IMAGE


def test_the_state_changes_with_the_content(tmp_path: Path):
    states = {state_of(in_memory(Path("a"), content)) for content in (IMAGE, MASK, IMAGE + b" ", IMAGE)}
    assert len(states) == 3
    (tmp_path / "a").write_bytes(IMAGE)
    assert state_of(tmp_path / "a").startswith(f"{len(IMAGE)} ")


def test_parts_of_large_tiff_files_are_read_alone():
    assert [in_parts(*one) for one in (("a.TIF", WHOLE + 1), ("a.tiff", WHOLE), ("a.png", WHOLE + 1))] == [
        True, False, False,
    ]  # fmt: skip
    content = bytes(WHOLE) + b"the end"
    store = CountingStore(b"head" + content)
    member = Member("photos/0.tar/a.tif", Place(store, "0.tar", 4, len(content), bytes(32), 4, 4 + len(content)))
    assert member.by_ranges
    with member.open_ranges() as stream:
        stream.seek(-3, 2)
        assert stream.read() == b"end"
    assert not Member("a.tif").by_ranges
    with pytest.raises(OSError, match="not a member"):
        Member("a.tif").open_ranges()
