import hashlib
from pathlib import Path

from pixelwise.storage import sha256_bytes, sha256_file, sha256_folder


def test_hashes_are_sha256(tmp_path: Path):
    # The published test vector of FIPS 180-2.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == expected


def test_the_hash_of_a_folder_is_that_of_the_list_of_its_files(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "inner").write_bytes(b"abc")
    (tmp_path / "Z").write_bytes(b"")
    # What `find . -type f | LC_ALL=C sort | xargs sha256sum` prints.
    printed = (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  ./Z\n"
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  ./b/inner\n"
    )
    first = sha256_folder(tmp_path)
    assert first == hashlib.sha256(printed.encode()).hexdigest()
    (tmp_path / "b" / "inner").rename(tmp_path / "b" / "other")
    assert sha256_folder(tmp_path) != first
