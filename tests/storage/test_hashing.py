from pathlib import Path

from pixelwise.storage import sha256_bytes, sha256_file


def test_hashes_are_sha256(tmp_path: Path):
    # The published test vector of FIPS 180-2.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == expected
