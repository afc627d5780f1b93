import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.storage.cells import cell, text_in


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"), ("\r=1", "'\r=1"), ("'=1", "''=1"), ("car", "car"), ("it's", "it's"), ("'quoted'", "'quoted'"),
        ("-1.5", "-1.5"), ("+3e-7", "+3e-7"), ("", ""), ("a=b", "a=b"), ("-1+1", "'-1+1"), ("|x", "'|x"), ("%x", "'%x"),
    ],
)  # fmt: skip
def test_formulas_are_text(text: str, shown: str):
    assert cell(text) == shown


@given(st.text(alphabet="'=+-@\t\r|%a1.e", max_size=8))
def test_the_text_comes_back(text: str):
    assert text_in(cell(text)) == text
    assert cell(text)[:1] not in tuple("=@\t\r|%")
