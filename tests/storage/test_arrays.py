import pickle
from pathlib import Path

import numpy as np
import pytest

from pixelwise.storage.arrays import ArrayFile, DamagedArrayError, write_arrays


def rows() -> list[tuple[np.ndarray, ...]]:
    random = np.random.default_rng(0)
    return [
        (random.integers(0, 256, (4, 6, 3), np.uint8), random.integers(0, 9, (4, 6), np.uint8)),
        (random.integers(0, 256, (7, 5, 4), np.uint8), random.integers(0, 2**31, (7, 5)).astype(np.int32)),
        (np.zeros((0, 3), np.float32), np.array(2.5)),
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "arrays"
    write_arrays(path, rows(), {"split": "train"})
    return path


def test_arrays_of_any_size_and_type_come_back_as_they_were(file: Path):
    opened = ArrayFile(file)
    assert len(opened) == 3
    assert opened.about == {"split": "train"}
    for row, expected in zip((opened[index] for index in range(3)), rows(), strict=True):
        for array, wanted in zip(row, expected, strict=True):
            assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
            assert np.array_equal(array, wanted)
    assert opened[0][0].ctypes.data % 64 == 0


def test_arrays_cannot_be_changed_through_the_file(file: Path):
    with pytest.raises(ValueError, match="read-only"):
        ArrayFile(file)[0][0][:] = 0


def test_views_are_written_by_value(tmp_path: Path):
    flipped = rows()[0][0][:, ::-1]
    write_arrays(tmp_path / "arrays", [(flipped,)], {})
    assert np.array_equal(ArrayFile(tmp_path / "arrays")[0][0], flipped)


def test_no_shortened_or_lengthened_file_opens(file: Path):
    whole = file.read_bytes()
    for part in [whole[:length] for length in range(0, len(whole), 7)] + [whole + b"\0", whole[:-1]]:
        file.write_bytes(part)
        with pytest.raises(ValueError, match=file.name):
            ArrayFile(file)


def test_no_file_with_a_damaged_index_opens(file: Path):
    whole = file.read_bytes()
    start = whole.index(b"about")
    for place in range(start - 2, len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="index"):
            ArrayFile(file)


def test_a_damaged_array_is_noticed_when_it_is_read_and_others_are_not_concerned(file: Path):
    whole = bytearray(file.read_bytes())
    whole[64 + 5] ^= 4
    file.write_bytes(whole)
    opened = ArrayFile(file)
    with pytest.raises(DamagedArrayError):
        opened[0]
    assert np.array_equal(opened[1][1], rows()[1][1])


def test_a_failure_while_writing_leaves_no_file(tmp_path: Path):
    def failing():
        yield rows()[0]
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        write_arrays(tmp_path / "arrays", failing(), {})
    assert list(tmp_path.iterdir()) == []


def test_what_was_open_can_still_be_read_when_the_file_is_replaced(file: Path):
    opened = ArrayFile(file)
    write_arrays(file, rows()[1:], {})
    assert np.array_equal(opened[0][0], rows()[0][0])
    assert len(ArrayFile(file)) == 2


def test_another_process_that_gets_it_maps_the_same_file(file: Path):
    there = pickle.loads(pickle.dumps(ArrayFile(file)))
    assert there.about == ArrayFile(file).about
    for index, row in enumerate(rows()):
        for array, expected in zip(there[index], row, strict=True):
            np.testing.assert_array_equal(array, expected)
