"""The runtime of a page: checked whatever it comes from, fetched once, refused if it is another one."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pixelwise.deployment.web.runtime import Release, Wanted, pinned, runtime_files
from pixelwise.errors import PixelwiseError

CONTENTS = {"ort.mjs": b"export const one = 1;\n", "ort.wasm": b"\0asm" + bytes(range(200))}


def packed(contents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


ARCHIVE = packed(CONTENTS | {"README.md": b"not needed"})
RELEASE = Release(
    package="runtime",
    version="1.2.3",
    license="MIT",
    size=len(ARCHIVE),
    sha256=sha256(ARCHIVE),
    files={name: Wanted(len(content), sha256(content)) for name, content in CONTENTS.items()},
)


class Registry(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A registry with the archive; the file that it serves. The cache is empty."""
    file = tmp_path / "npm" / "runtime" / "-" / "runtime-1.2.3.tgz"
    file.parent.mkdir(parents=True)
    file.write_bytes(ARCHIVE)
    Registry.asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    handler = functools.partial(Registry, directory=str(tmp_path / "npm"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
        yield file
        server.shutdown()


def refused(source: Path | None, release: Release = RELEASE) -> PixelwiseError:
    with pytest.raises(PixelwiseError) as caught:
        runtime_files(source, release)
    return caught.value


def test_it_is_fetched_once_from_the_registry_of_npms_settings(registry: Path) -> None:
    assert runtime_files(None, RELEASE) == CONTENTS
    registry.unlink()

    assert runtime_files(None, RELEASE) == CONTENTS
    assert Registry.asked == ["/runtime/-/runtime-1.2.3.tgz"]


def test_another_archive_is_refused_and_not_kept(registry: Path) -> None:
    registry.write_bytes(ARCHIVE[:-1] + bytes([ARCHIVE[-1] ^ 1]))
    assert refused(None).code == "D251"

    registry.write_bytes(ARCHIVE)
    assert runtime_files(None, RELEASE) == CONTENTS


def test_without_a_network_it_says_how_to_bring_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")

    error = refused(None)

    assert error.code == "D250"
    assert "npm pack runtime@1.2.3" in error.help
    assert "`runtime`" in error.help


@pytest.mark.parametrize("folder", ["", "dist", "package/dist", "node_modules/runtime/dist"])
def test_it_is_found_in_a_folder(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        (place / name).write_bytes(content)

    assert runtime_files(tmp_path, RELEASE) == CONTENTS


def test_it_is_read_from_an_archive(tmp_path: Path) -> None:
    (tmp_path / "runtime.tgz").write_bytes(ARCHIVE)

    assert runtime_files(tmp_path / "runtime.tgz", RELEASE) == CONTENTS


@pytest.mark.parametrize(
    ("contents", "code", "words"),
    [
        ({"ort.mjs": CONTENTS["ort.mjs"]}, "R240", "ort.wasm is not in it"),
        (CONTENTS | {"ort.wasm": b"another"}, "D251", f"expected {sha256(CONTENTS['ort.wasm'])}"),
        (CONTENTS | {"ort.wasm": CONTENTS["ort.wasm"] + b"x" * 10**6}, "D251", "its SHA-256 is"),
    ],
)
def test_other_files_are_refused(contents: dict[str, bytes], code: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "other.tgz").write_bytes(packed(contents))

    error = refused(tmp_path / "other.tgz")

    assert (error.code, words in error.message) == (code, True), error.message


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_bytes(b"hello")

    assert refused(tmp_path / "x.tgz").code == "D251"
    assert refused(tmp_path / "missing").code == "R240"


def test_the_pinned_release_is_whole() -> None:
    release = pinned()

    assert release.address.endswith(f"/onnxruntime-web/-/onnxruntime-web-{release.version}.tgz")
    assert sorted(name.rpartition(".")[2] for name in release.files) == ["mjs", "wasm"]
    every = (release.sha256, *(wanted.sha256 for wanted in release.files.values()))
    assert all(len(bytes.fromhex(found)) == 32 for found in every)
    assert msgspec.convert(msgspec.to_builtins(release), Release) == release
