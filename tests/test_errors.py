import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.errors import DataError, PixelwiseWarning, StoppedError, harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("naïve 日本 😀 a\u00a0b", "naïve 日本 😀 a\u00a0b"),
        ("a\nb\tc", "a\nb\tc"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("\x1b]8;;http://x\x07", "\\u001b]8;;http://x\\u0007"),
        ("\x9b31m\x7f\x00\r", "\\u009b31m\\u007f\\u0000\\u000d"),
        ("abc\u202egnp.exe\u2066\u200b\ufeff", "abc\\u202egnp.exe\\u2066\\u200b\\ufeff"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("می\u200cخواهم 👩\u200d🚀", "می\u200cخواهم 👩\u200d🚀"),
    ],
)
def test_what_controls_a_terminal_is_escaped(text: str, shown: str):
    assert harmless(text) == shown


@given(st.text())
def test_nothing_harmful_is_left_and_the_rest_is_kept(text: str):
    shown = harmless(text)
    assert not any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") and one not in "\n\t" for one in shown)
    assert harmless(shown) == shown
    assert [one for one in shown if not one.isascii()] == [one for one in text if one in shown and not one.isascii()]


def test_errors_and_warnings_are_shown_harmlessly_and_keep_their_text():
    error = DataError("D101", "a\x1b[2J.png: damaged", "copy `\u202eb`")
    assert str(error) == "error[D101]: a\\u001b[2J.png: damaged\nhelp: copy `\\u202eb`"
    assert error.message == "a\x1b[2J.png: damaged"
    assert str(PixelwiseWarning("W240", "\x07")) == "warning[W240]: \\u0007"


def test_errors_travel_between_processes():
    for error in (DataError("D101", "a", "b"), StoppedError("I130", "a", "b", 130)):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.exit_code) == (type(error), str(error), error.exit_code)
