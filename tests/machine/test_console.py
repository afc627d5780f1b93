import io
import sys

import pytest

from pixelwise.machine.console import print_anything


def test_what_the_encoding_lacks_is_printed_as_an_escape(monkeypatch: pytest.MonkeyPatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(UnicodeEncodeError):
        print("写真 café")
    print_anything()
    print("写真 café", end="")
    assert written.getvalue() == "\\u5199\\u771f café".encode("cp1252")


def test_streams_that_are_none_or_something_else_stay(monkeypatch: pytest.MonkeyPatch):
    other = io.StringIO()
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", other)
    print_anything()
    assert sys.stderr is other
