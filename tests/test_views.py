import math

import pytest

from pixelwise.views import classes_in_words, html_legend, html_picture, html_table, line, names_in_words, percent


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), "<Run>"),
        (("runs/x", "", "mIoU 50 %"), "<Run runs/x; mIoU 50 %>"),
        (("a\nb\x1b",), "<Run a b\\u001b>"),
    ],
)
def test_a_line_is_one_line_without_control_characters(parts: tuple[str, ...], expected: str):
    assert line("Run", *parts) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a", "b", "c", "d"], "a, b, c, d"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_the_first_of_many_names(names: list[str], expected: str):
    assert names_in_words(names) == expected


def test_classes_are_counted():
    assert classes_in_words(("sky",)) == "1 class: sky"
    assert classes_in_words(("sky", "road")) == "2 classes: sky, road"


def test_percent():
    assert (percent(0.53124), percent(0.5, 0), percent(math.nan)) == ("53.12", "50", "n/a")


def test_text_in_tables_pictures_and_legends_is_no_markup():
    pages = (
        html_table(("<b>",), [("<i>&",)], title="<u>"),
        html_picture(b"png", '"><script>'),
        html_legend(["<s>"], [(255, 0, 16)]),
    )
    assert pages[0].count("&lt;") == 3
    assert "<script>" not in pages[1]
    assert 'alt="&quot;&gt;&lt;script&gt;"' in pages[1]
    assert "cG5n" in pages[1]  # the picture in base64
    assert "#ff0010" in pages[2]
    assert "<s>" not in pages[2]


def test_a_table_has_a_cell_per_value():
    assert html_table(("a", "b"), [("1", "2"), ("3", "4")]).count("<td") == 4
