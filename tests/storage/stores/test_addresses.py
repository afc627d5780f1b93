import os
from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.storage import printable
from pixelwise.storage.stores.addresses import address_of, place_of, recorded, require_local, with_access

SECRET = "se%2Fcret"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("s3://bucket/photos", "s3://bucket/photos"),
        ("gs://bucket/photos/", "gs://bucket/photos"),
        ("az://account/container/photos", "az://account/container/photos"),
        ("https://host:8000/a/b", "https://host:8000/a/b"),
        ("HTTP://host/a", "http://host/a"),
        (f"https://host/a/b?sig={SECRET}&x=1", "https://host/a/b"),
        (f"https://me:{SECRET}@host/a", "https://host/a"),
    ],
)
def test_an_address_is_a_place_without_what_gives_access(given: str, address: str):
    place = place_of(given)
    assert address_of(place) == address
    assert printable(place) == address
    assert recorded(place) == address
    assert SECRET not in os.fspath(place)
    assert address_of(place / "index.parquet") == f"{address}/index.parquet"
    # Whoever keeps the place, as text or as a path, means the same.
    for again in (os.fspath(place), recorded(place), Path(given)):
        assert address_of(place_of(again)) == address


def test_what_gives_access_is_remembered_by_the_process():
    given = f"https://signed.example/a?sig={SECRET}"
    place = place_of(given)
    assert with_access("https://signed.example/a") == given
    # Asked for again, as by a run that recorded the address.
    assert place_of("https://signed.example/a") == place
    assert with_access("https://signed.example/a") == given
    assert with_access("https://other.example/a") == "https://other.example/a"


@pytest.mark.parametrize(
    "given", ["photos", "/data/s3", "C:/photos", "s3:", "s3://", "file:///data", "ftp://host/a", ""]
)
def test_other_places_are_paths(given: str):
    assert address_of(given) is None
    assert place_of(given) == Path(given)
    assert recorded(Path(given)) == str(Path(given).resolve())


def test_messages_show_no_query_even_where_nobody_took_it_out():
    assert printable(Path(f"https://host/a/b?sig={SECRET}")) == "https://host/a/b"
    assert printable(f"https://me:{SECRET}@host/a?sig={SECRET}") == "https://host/a"


def test_an_address_is_no_folder_to_write_to():
    require_local("runs/s3")
    with pytest.raises(RecipeError, match="s3://bucket/runs is an address") as caught:
        require_local(Path("s3://bucket/runs"))
    assert caught.value.code == "R294"
