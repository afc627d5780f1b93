import pytest

from pixelwise.storage.byte_counts import parse_byte_count


@pytest.mark.parametrize(
    ("text", "bytes"),
    [("4096", 4096), ("1GB", 10**9), ("1.5 gib", 3 * 2**29), ("500MB", 5 * 10**8), ("2k", 2000), ("7b", 7)],
)
def test_numbers_of_bytes_as_people_write_them(text: str, bytes: int):
    assert parse_byte_count(text) == bytes


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "1 XB", "1ib", "1GB2", "٣"])
def test_what_is_no_number_of_bytes_is_refused(text: str):
    with pytest.raises(ValueError, match="not a number of bytes"):
        parse_byte_count(text)
