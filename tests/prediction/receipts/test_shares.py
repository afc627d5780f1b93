import pytest

from pixelwise.errors import RecipeError
from pixelwise.prediction.receipts.shares import Share, parse_share


@pytest.mark.parametrize(
    ("text", "share"), [("0/1", (0, 1)), ("3/8", (3, 8)), (" 7 / 8 ", (7, 8)), ("09/010", (9, 10))]
)
def test_a_part_is_read(text: str, share: tuple[int, int]):
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "1", "8/8", "1/0", "-1/8", "1/8/2", "a/b", "1.0/2", "१/८", "0/99999999999"])
def test_what_names_no_part_is_refused(text: str):
    with pytest.raises(RecipeError, match=r"R260.*expected I/N") as caught:
        parse_share(text)
    assert "0/8" in caught.value.help


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("parts", [1, 2, 8])
def test_parts_are_all_images_once_in_their_order_and_of_equal_length(count: int, parts: int):
    found = [Share(number, parts).of(range(count)) for number in range(parts)]
    assert [one for part in found for one in part] == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1
