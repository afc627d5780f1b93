import os
from collections.abc import Callable
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
        ("az://container/photos", "az://container/photos"),
        (f"az://container/photos?sv=1&sig={SECRET}", "az://container/photos"),
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


@pytest.mark.parametrize("given", ["photos", "/data/s3", "C:/photos", "a:b", "12:/a", "photos/ftp://host", ""])
def test_other_places_are_paths(given: str):
    assert address_of(given) is None
    assert place_of(given) == Path(given)
    assert recorded(Path(given)) == str(Path(given).resolve())


@pytest.mark.parametrize(
    ("given", "way_out"),
    [
        ("s3://", "write s3://BUCKET/FOLDER"),
        ("HF://", "write hf://datasets/OWNER/NAME"),
        ("http://", "write http://HOST/FOLDER"),
        ("file:///data/a", "write the path itself, without file://"),
        ("gcs://bucket/a", "write gs://bucket/a"),
        ("abfs://container/a/", "write az://container/a"),
        (
            "abfss://container@account.dfs.core.windows.net/a",
            "write az://container/a, and set AZURE_STORAGE_ACCOUNT_NAME=account",
        ),
        ("ftp://host/a", "copy the files to a folder or to one of these, and name that"),
        ("my-store+x://host/a", "copy the files to a folder or to one of these, and name that"),
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_what_only_looks_like_an_address_is_refused(
    given: str, way_out: str, kind: Callable[[str], str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for refusing in (address_of, place_of, require_local):
        with pytest.raises(RecipeError) as caught:
            refusing(kind(given))
        assert (caught.value.code, caught.value.help) == ("R298", way_out)
    scheme = given.partition(":")[0]
    assert caught.value.message.startswith(f"{scheme.lower()}:/")
    # Whoever made a folder of that name means it.
    (tmp_path / f"{scheme}:").mkdir()
    assert address_of(kind(given)) is None


def test_its_message_shows_nothing_that_gives_access():
    with pytest.raises(RecipeError, match="ftp://host/a is not") as caught:
        place_of(f"ftp://me:{SECRET}@host/a?sig={SECRET}")
    assert SECRET not in str(caught.value)


def test_messages_show_no_query_even_where_nobody_took_it_out():
    assert printable(Path(f"https://host/a/b?sig={SECRET}")) == "https://host/a/b"
    assert printable(f"https://me:{SECRET}@host/a?sig={SECRET}") == "https://host/a"


def test_an_address_is_no_folder_to_write_to():
    require_local("runs/s3")
    with pytest.raises(RecipeError, match="s3://bucket/runs is an address") as caught:
        require_local(Path("s3://bucket/runs"))
    assert caught.value.code == "R294"
