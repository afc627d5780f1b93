import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pixelwise.datasets.preparing.fetching import prepare, state_of
from pixelwise.datasets.preparing.public_data import PUBLIC_DATA, Publication, Source, publication_of
from pixelwise.errors import DataError, RecipeError


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for split in ("train", "val"):
            file.writestr(f"top/images/{split}/a.png", b"image")
            file.writestr(f"top/masks/{split}/a.png", b"mask")
    return stream.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "web").mkdir()
    (tmp_path / "web/data.zip").write_bytes(archive())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/data.zip"
    server.shutdown()
    server.server_close()
    thread.join()


def known(url: str | None, **options: str) -> dict[str, Publication]:
    source = Source(file="data.zip", url=url, brings="images", only="top", **options)  # type: ignore[arg-type]
    return {"x": Publication("made up", "none", (source,), {"images/*/*.png": 2}, "log in at example.org")}


def test_nothing_is_downloaded_without_being_asked_for(served: str, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        prepare("x", tmp_path / "root", publications=known(served))
    assert caught.value.code == "D253"
    assert "--download" in caught.value.help
    assert served in caught.value.help


def test_a_public_set_is_downloaded_unpacked_and_its_hash_remembered(served: str, tmp_path: Path):
    said: list[str] = []
    state = prepare("x", tmp_path / "root", fetch=True, tell=said.append, publications=known(served))
    assert state.complete
    assert [line.split()[0] for line in said] == ["downloading", "unpacking"]
    record = json.loads((tmp_path / "root/downloads.json").read_text())
    assert record["data.zip"]["sha256"] == hashlib.sha256(archive()).hexdigest()
    said.clear()
    assert prepare("x", tmp_path / "root", publications=known(served), tell=said.append).complete
    assert said == []


def test_another_file_at_the_same_place_is_noticed_by_the_remembered_hash(served: str, tmp_path: Path):
    root = tmp_path / "root"
    prepare("x", root, fetch=True, publications=known(served))
    (root / "data.zip").unlink()
    (root / "images").rename(root / "gone")
    (tmp_path / "web/data.zip").write_bytes(archive() + b"x")
    with pytest.raises(DataError) as caught:
        prepare("x", root, fetch=True, publications=known(served))
    assert caught.value.code == "D251"
    assert not (root / "images").exists()


def test_an_archive_put_there_by_hand_is_used_and_checked(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "data.zip").write_bytes(archive())
    with pytest.raises(DataError) as caught:
        prepare("x", root, publications=known(None, sha256="0" * 64))
    assert caught.value.code == "D251"
    assert prepare("x", root, publications=known(None)).complete


def test_a_gated_set_says_what_to_put_where(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        prepare("x", tmp_path, fetch=True, publications=known(None))
    assert caught.value.code == "D253"
    assert f"log in at example.org; put data.zip into {tmp_path}" in caught.value.help


def test_cityscapes_names_its_archives_and_counts_what_is_there(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        prepare("cityscapes", tmp_path, fetch=True)
    assert "leftImg8bit_trainvaltest.zip" in str(caught.value)
    assert "cityscapes-dataset.com" in caught.value.help
    folder = tmp_path / "leftImg8bit/val/bonn"
    folder.mkdir(parents=True)
    (folder / "bonn_000000_000019_leftImg8bit.png").touch()
    state = state_of(PUBLIC_DATA["cityscapes"], tmp_path)
    assert state.counts["leftImg8bit/val/*/*_leftImg8bit.png"] == (1, 500)
    assert [source.file for source in state.missing] == ["gtFine_trainvaltest.zip"]
    assert not state.complete


def test_an_archive_of_loose_files_gets_a_folder(served: str, tmp_path: Path):
    loose = Source(file="data.zip", url=served, brings="masks", into="masks", only="top/masks")
    recipe = Publication("made up", "none", (loose,), {"masks/*/a.png": 2})
    assert prepare("x", tmp_path / "root", fetch=True, publications={"x": recipe}).complete
    assert not (tmp_path / "root" / "train").exists()


def test_an_unknown_name_is_corrected():
    with pytest.raises(RecipeError, match="did you mean 'ade20k'"):
        publication_of("ade20")


def test_every_source_is_complete():
    for recipe in PUBLIC_DATA.values():
        for source in recipe.sources:
            assert source.url is None or source.url.startswith("http")
            assert source.sha256 is None or len(bytes.fromhex(source.sha256)) == 32
            assert source.url or recipe.by_hand
