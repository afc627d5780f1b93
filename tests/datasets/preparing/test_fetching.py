import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from observing import Listener

from pixelwise.datasets.format import FORMATS, Format
from pixelwise.datasets.preparing.fetching import Prepared, list_public_data, prepare, state_of
from pixelwise.datasets.publication import Publication, Source
from pixelwise.errors import DataError, RecipeError

Publish = Callable[..., None]


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for split in ("train", "val"):
            file.writestr(zipfile.ZipInfo(f"top/images/{split}/a.png"), b"image")  # of one date, so of one hash
            file.writestr(zipfile.ZipInfo(f"top/masks/{split}/a.png"), b"mask")
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


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register a data set `x`, published as one archive."""

    def add(url: str | None, only: str = "top", **options: Any) -> None:
        source = Source(file="data.zip", url=url, **{"brings": "images", "only": only} | options)
        publication = Publication(
            name="x",
            summary="made up",
            terms="none",
            sources=(source,),
            expected={f"{source.brings}/*/*.png": 2},
            by_hand="log in at example.org",
        )
        format = Format(name="x", title="x", expected="x", layout=lambda root: None, publications=(publication,))
        monkeypatch.setitem(FORMATS, "x", format)

    return add


def test_nothing_is_downloaded_without_being_asked_for(publish: Publish, served: str, tmp_path: Path):
    publish(served)
    with pytest.raises(DataError) as caught:
        prepare("x", tmp_path / "root")
    assert caught.value.code == "D253"
    assert "`download`" in caught.value.help
    assert served in caught.value.help


def test_a_public_set_is_downloaded_unpacked_and_its_hash_remembered(publish: Publish, served: str, tmp_path: Path):
    publish(served)
    listener = Listener()
    prepared = prepare("x", tmp_path / "root", download=True, observer=listener)
    assert prepared.complete
    assert prepared.counts == {"images/*/*.png": (2, 2)}
    assert [name.split()[0] for name in listener.phases] == ["x:", "downloading", "unpacking"]
    assert listener.last[0] == len(b"imagemask" * 2)
    record = json.loads((tmp_path / "root/downloads.json").read_text())
    assert record["data.zip"]["sha256"] == hashlib.sha256(archive()).hexdigest()
    again = Listener()
    assert prepare("x", tmp_path / "root", observer=again).complete
    assert again.phases == ["x: terms: none"]


def test_another_file_at_the_same_address_is_noticed_by_its_hash(publish: Publish, served: str, tmp_path: Path):
    root = tmp_path / "root"
    publish(served)
    prepare("x", root, download=True)
    (root / "data.zip").unlink()
    (root / "images").rename(root / "gone")
    (tmp_path / "web/data.zip").write_bytes(archive() + b"x")
    with pytest.raises(DataError) as caught:
        prepare("x", root, download=True)
    assert caught.value.code == "D251"
    assert not (root / "images").exists()


def test_an_archive_put_there_by_hand_is_used_and_checked(publish: Publish, tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "data.zip").write_bytes(archive())
    publish(None, sha256="0" * 64)
    with pytest.raises(DataError) as caught:
        prepare("x", root)
    assert caught.value.code == "D251"
    publish(None)
    assert prepare("x", root).complete


def test_a_gated_set_says_what_to_put_where(publish: Publish, tmp_path: Path):
    publish(None)
    with pytest.raises(DataError) as caught:
        prepare("x", tmp_path, download=True)
    assert caught.value.code == "D253"
    assert "log in at example.org" in caught.value.help
    assert f"data.zip into {tmp_path}" in caught.value.help


def test_files_that_are_missing_at_the_end_are_counted(publish: Publish, tmp_path: Path):
    publish(None)
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "a.png").touch()
    with pytest.raises(DataError, match=r"images/\*/\*\.png \(1 of 2\)") as caught:
        prepare("x", tmp_path)
    assert caught.value.code == "D253"


def test_the_last_step_of_a_format_is_done_once_everything_is_unpacked(
    publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    publish(None)
    done: list[Path] = []
    format = FORMATS["x"]
    finished = msgspec.structs.replace(format.publications[0], finish=lambda root, observer: done.append(root))
    monkeypatch.setitem(FORMATS, "x", msgspec.structs.replace(format, publications=(finished,)))
    with pytest.raises(DataError):
        prepare("x", tmp_path)
    assert done == []
    (tmp_path / "data.zip").write_bytes(archive())
    prepare("x", tmp_path)
    assert done == [tmp_path]


def test_cityscapes_names_its_archives_and_counts_what_is_there(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        prepare("cityscapes", tmp_path, download=True)
    assert "leftImg8bit_trainvaltest.zip" in str(caught.value)
    assert "cityscapes-dataset.com" in caught.value.help
    folder = tmp_path / "leftImg8bit/val/bonn"
    folder.mkdir(parents=True)
    (folder / "bonn_000000_000019_leftImg8bit.png").touch()
    prepared: Prepared = state_of(list_public_data()["cityscapes"], tmp_path)
    assert prepared.counts["leftImg8bit/val/*/*_leftImg8bit.png"] == (1, 500)
    assert [source.file for source in prepared.missing] == ["gtFine_trainvaltest.zip"]
    assert not prepared.complete


def test_an_archive_of_loose_files_gets_a_folder(publish: Publish, served: str, tmp_path: Path):
    publish(served, only="top/masks", brings="masks", into="masks")
    assert prepare("x", tmp_path / "root", download=True).complete
    assert not (tmp_path / "root" / "train").exists()


def test_an_unknown_name_is_corrected():
    with pytest.raises(RecipeError, match="'ade20k'") as caught:
        prepare("ade20")
    assert caught.value.code == "R203"


def test_what_formats_publish_is_known():
    # The coarse masks of Cityscapes come to the fine ones; two data sets are COCO's files.
    names = "ade20k camvid camvid-original cityscapes cityscapes-coarse coco cocostuff voc-aug"
    assert {*names.split()} <= list_public_data().keys()


def test_every_source_is_complete():
    for publication in list_public_data().values():
        for source in publication.sources:
            assert source.url is None or source.url.startswith("http")
            assert source.sha256 is None or len(bytes.fromhex(source.sha256)) == 32
            assert source.url or publication.by_hand
