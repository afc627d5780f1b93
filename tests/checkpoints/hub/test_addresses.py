from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.checkpoints.hub.addresses import HubAddress, hub_address, is_address, is_revision, require_repository
from pixelwise.errors import CheckpointError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("hub://me/unet", "me/unet", "main"),
        ("hub:/me/unet", "me/unet", "main"),
        ("HUB://me/unet@v1", "me/unet", "v1"),
        ("hub://me/unet-1.5_x@refs/pr/1", "me/unet-1.5_x", "refs/pr/1"),
        (f"hub://me/unet@{COMMIT}", "me/unet", COMMIT),
        (r"hub:\me\unet", "me/unet", "main"),
    ],
)
def test_an_address_is_read(text: str, repository: str, revision: str):
    found = hub_address(text)
    assert found == HubAddress(repository, revision)
    assert found is not None
    assert hub_address(str(found)) == found
    assert hub_address(Path(str(found))) == found
    assert found.is_pinned == (revision == COMMIT)
    assert found.name == repository.partition("/")[2]


@pytest.mark.parametrize(
    "text", ["runs/a", "/hub/a/b", "hub/a/b", "hubs://a/b", "hf://datasets/a/b", "unet", "", "a:hub://b/c"]
)
def test_anything_else_is_no_address(text: str):
    assert not is_address(text)
    assert hub_address(text) is None


@pytest.mark.parametrize(
    "text",
    ["hub://me", "hub://me/", "hub:///", "hub://me/a/b", "hub://me/a--b", "hub://.me/a", "hub://me/a.git", "hub://me/a..b",
     "hub://me/ä", "hub://me/a?x", "hub://me/a@", "hub://me/a@b..c", "hub://me/a@/b", "hub://me/a@b/", "hub://me/a@b c",
     "hub://me/a@x.lock", "hub://me/a@b@c", "hub://" + "a" * 60 + "/" + "b" * 60],
)  # fmt: skip
def test_a_malformed_address_is_refused(text: str):
    assert is_address(text)
    with pytest.raises(CheckpointError) as caught:
        hub_address(text)
    assert caught.value.code == "K490"
    assert "hub://" in caught.value.message


def test_a_commit_takes_the_place_of_a_revision():
    assert str(HubAddress("me/a", "v1").at(COMMIT)) == f"hub://me/a@{COMMIT}"
    assert str(HubAddress("me/a")) == "hub://me/a"


def test_names_and_revisions_by_themselves():
    assert require_repository("me/a") == "me/a"
    with pytest.raises(CheckpointError, match="me does not name a run"):
        require_repository("me")
    assert is_revision("release/2024")
    assert not is_revision("-x")
