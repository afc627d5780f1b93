import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pixelwise.errors import ResourceError, RunLockedError
from pixelwise.prediction.inputs import Input
from pixelwise.prediction.receipts import ledger as module
from pixelwise.prediction.receipts.division import units
from pixelwise.prediction.receipts.ledger import RECEIPTS, Facts, Ledger


@pytest.fixture
def photos(tmp_path: Path) -> list[Input]:
    names = [f"{number:03d}" for number in range(100)]
    for name in names:
        (tmp_path / f"{name}.jpg").write_bytes(name.encode())
    return [Input(tmp_path / f"{name}.jpg", Path(name)) for name in names]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def write(output: Path, image: Input, content: str = "mask") -> list[str]:
    path = output / "masks" / f"{image.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return [f"masks/{image.name}.png"]


def do(output: Path, photos: Sequence[Input], job: str | None = "job", most: int = 1000, again: bool = False) -> Ledger:
    """Finish up to `most` of the remaining images."""
    ledger = Ledger(output, job, again=again)
    output.mkdir(exist_ok=True)
    with ledger.opened():
        for number, image in enumerate(ledger.remaining(units(photos))):
            if number == most:
                break
            ledger.add(image, write(output, image))
    return ledger


def remaining(output: Path, photos: Sequence[Input], job: str | None = "job") -> list[str]:
    ledger = Ledger(output, job)
    with ledger.opened():
        return [str(image.name) for image in ledger.remaining(units(photos))]


@pytest.mark.heavy
def test_what_is_done_is_left_out(output: Path, photos: list[Input]):
    assert do(output, photos).kept == 0
    again = do(output, photos)
    assert again.kept == 100
    assert remaining(output, photos) == []


@pytest.mark.parametrize("most", [0, 1, 31, 50, 99])
def test_what_is_done_until_it_is_stopped_is_left_out(most: int, output: Path, photos: list[Input]):
    do(output, photos, most=most)
    assert remaining(output, photos) == [str(image.name) for image in photos[most:]]
    do(output, photos)
    assert remaining(output, photos) == []


@pytest.mark.parametrize("cut", [1, 13, 50, 99])
def test_what_was_done_in_parts_is_left_out_of_the_whole(cut: int, output: Path, photos: list[Input]):
    do(output, photos[:cut])
    assert remaining(output, photos) == [str(image.name) for image in photos[cut:]]
    do(output, photos[cut:])
    assert remaining(output, photos) == []


@pytest.mark.parametrize("place", range(0, 100, 7))
def test_an_image_that_is_added_leaves_all_but_the_unit_before_it_done(place: int, output: Path, photos: list[Input]):
    do(output, [*photos[:place], *photos[place + 1 :]])
    whole = next(unit for unit in units(photos) if photos[place] in unit)
    left = remaining(output, photos)
    assert str(photos[place].name) in left
    assert set(left) <= {str(image.name) for image in whole}
    if place != photos.index(whole[-1]):
        assert len(left) == 1


def test_what_failed_is_tried_again(output: Path, photos: list[Input]):
    ledger = Ledger(output, "job")
    with ledger.opened():
        for image in ledger.remaining(units(photos)):
            ledger.add(image, [] if str(image.name) in ("007", "042") else write(output, image))
    assert remaining(output, photos) == ["007", "042"]


def test_a_changed_image_is_done_again(output: Path, photos: list[Input]):
    do(output, photos)
    photos[3].path.write_bytes(b"another")
    os.utime(photos[5].path, ns=(0, 0))
    assert remaining(output, photos) == ["003", "005"]


def test_an_image_that_changes_while_it_is_predicted_is_done_again(output: Path, photos: list[Input]):
    ledger = Ledger(output, "job")
    with ledger.opened():
        for image in ledger.remaining(units(photos)):
            if str(image.name) == "010":
                image.path.write_bytes(b"another")
            ledger.add(image, write(output, image))
    assert remaining(output, photos) == ["010"]


def test_what_was_removed_or_overwritten_is_done_again(output: Path, photos: list[Input]):
    do(output, photos)
    (output / "masks" / "004.png").unlink()
    write(output, photos[8], "of another image")
    assert remaining(output, photos) == ["004", "008"]


@pytest.mark.heavy
def test_images_of_the_same_name_in_another_folder_are_others(output: Path, photos: list[Input], tmp_path: Path):
    do(output, photos)
    (tmp_path / "b").mkdir()
    others = [Input(tmp_path / "b" / image.path.name, image.name) for image in photos]
    for image, other in zip(photos, others, strict=True):
        other.path.write_bytes(image.path.read_bytes())
        os.utime(other.path, ns=(image.path.stat().st_atime_ns, image.path.stat().st_mtime_ns))
    assert do(output, others).kept == 0
    # Their masks have taken the place of the first ones.
    assert len(remaining(output, photos)) == 100


def test_another_job_overwrites_what_the_first_has_done(output: Path, photos: list[Input]):
    do(output, photos)
    assert do(output, photos, "other", most=10).kept == 0
    assert len(remaining(output, photos)) == 100
    assert not (output / RECEIPTS).exists()


def test_a_job_that_cannot_be_continued_records_nothing(output: Path, photos: list[Input]):
    do(output, photos)
    assert do(output, photos, job=None).kept == 0
    assert not any((output / RECEIPTS).rglob("*.json"))


def test_all_images_are_done_again_on_request_and_counted_from_then_on(output: Path, photos: list[Input]):
    do(output, photos)
    assert do(output, photos, again=True).kept == 0
    assert do(output, photos).kept == 100


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"images": {"a": 3}}', b"\xff"])
def test_damaged_receipts_count_as_missing(content: bytes, output: Path, photos: list[Input]):
    do(output, photos)
    for path in (output / RECEIPTS / "job").glob("*.json"):
        path.write_bytes(content)
    assert len(remaining(output, photos)) == 100


def test_what_is_to_be_said_of_an_image_is_said_again(output: Path, photos: list[Input]):
    ledger = Ledger(output, "job")
    with ledger.opened():
        for image in ledger.remaining(units(photos)):
            facts = (
                Facts(animated=True) if str(image.name) == "001" else Facts(lost="turned" * (str(image.name) == "002"))
            )
            ledger.add(image, write(output, image), facts)
    later = do(output, photos)
    assert later.noted == [(str(photos[1].path), Facts(animated=True)), (str(photos[2].path), Facts(lost="turned"))]


def test_a_full_disk_hides_no_other_error_and_holds_no_lock(
    output: Path, photos: list[Input], monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, data: bytes) -> None:
        raise ResourceError("S601", "the disk is full", "free some space")

    monkeypatch.setattr(module, "write_bytes", full)

    def stopped() -> None:
        ledger = Ledger(output, "job")
        with ledger.opened():
            image = next(iter(ledger.remaining(units(photos))))
            ledger.add(image, write(output, image))
            raise ValueError("the first error")

    with pytest.raises(ValueError, match="first"):
        stopped()
    with Ledger(output, "other").opened():
        pass


def test_jobs_with_other_weights_do_not_write_to_one_output_at_the_same_time(output: Path, photos: list[Input]):
    output.mkdir()
    first, second = Ledger(output, "job"), Ledger(output, "other")
    with first.opened(), pytest.raises(RunLockedError, match="other weights or options"), second.opened():
        pass
    with Ledger(output, "job").opened(), Ledger(output, "job").opened():
        pass  # the jobs of an array


def test_a_folder_that_was_written_counts_as_changed_if_any_visible_file_of_it_did(tmp_path: Path):
    folder = tmp_path / "masks" / "clip"
    folder.mkdir(parents=True)
    for name in ("000000.png", "000001.png"):
        (folder / name).write_bytes(b"mask")
    source = tmp_path / "clip.mp4"
    source.write_bytes(b"video")
    one = Input(source, Path("clip"))

    def left() -> int:
        ledger = Ledger(tmp_path, "job")
        with ledger.opened():
            remaining = list(ledger.remaining(iter([[one]])))
            for image in remaining:
                ledger.add(image, ["masks/clip"], Facts(frames=2, remarks=(("W281", "1 s of 2 s"),)))
        if not remaining:
            assert ledger.noted == [(str(source), Facts(frames=2, remarks=(("W281", "1 s of 2 s"),)))]
        return len(remaining)

    assert [left(), left()] == [1, 0]
    (folder / ".hidden").write_bytes(b"of a file manager")
    assert left() == 0
    (folder / "000001.png").write_bytes(b"other")
    assert [left(), left()] == [1, 0]
    (folder / "000000.png").unlink()
    assert [left(), left()] == [1, 0]
    (folder / "000000.png").write_bytes(b"mask")
    assert left() == 1
