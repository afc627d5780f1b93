from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.outputs import output_store
from pixelwise.storage.stores.remote import RemoteStore
from pixelwise.storage.stores.store import FolderStore


def test_a_folder_and_an_address_have_stores_of_their_own(tmp_path: Path):
    assert isinstance(output_store(tmp_path), FolderStore)
    pytest.importorskip("obstore")
    assert isinstance(output_store(place_of("s3://bucket/masks")), RemoteStore)
