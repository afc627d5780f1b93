from __future__ import annotations

from pathlib import Path

import pytest

from pixelwise.errors import ResourceError
from pixelwise.storage.stores.addresses import place_of
from pixelwise.storage.stores.outputs import answering, output_store
from pixelwise.storage.stores.remote import RemoteStore
from pixelwise.storage.stores.store import FolderStore


def test_a_folder_and_an_address_have_stores_of_their_own(tmp_path: Path):
    assert isinstance(output_store(tmp_path), FolderStore)
    pytest.importorskip("obstore")
    assert isinstance(output_store(place_of("s3://bucket/masks")), RemoteStore)


def test_errors_of_an_output_say_which_one_and_nothing_of_the_store():
    place = place_of("s3://bucket/masks")
    said = "s3://bucket/masks: the output does not work: no answer"
    with pytest.raises(ResourceError, match=said) as caught, answering(place):
        raise OSError(5, "no answer")
    assert (caught.value.code, "credentials" in caught.value.help) == ("S611", True)
