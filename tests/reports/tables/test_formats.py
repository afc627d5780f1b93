from pathlib import Path

import pytest

from pixelwise.errors import RecipeError
from pixelwise.options import TableFormat
from pixelwise.reports.comparison import rendering as comparisons
from pixelwise.reports.tables.formats import ENDINGS, Renderers, as_printed, format_of, show
from pixelwise.reports.terminals import Console
from pixelwise.reports.zoo import rendering as pages

RENDERERS: Renderers[str] = {"md": "# {}".format, "json": '"{}"'.format}


def print_on(text: str, console: Console) -> None:
    console.print(f"printed {text}", markup=False)


def test_an_ending_asks_for_its_format() -> None:
    assert format_of(None) == "terminal"
    assert {ending: format_of(Path(f"a{ending}")) for ending in ENDINGS} == ENDINGS
    assert format_of(Path("A.MD")) == "md"
    for name in ("a.pdf", "a"):
        with pytest.raises(RecipeError, match=f"'{name}'") as caught:
            format_of(Path(name))
        assert caught.value.code == "R260"


def test_what_is_rendered_can_be_asked_for_by_an_ending() -> None:
    for renderers in (comparisons.RENDERERS, pages.RENDERERS):
        assert set(renderers) == set(ENDINGS.values()) == set(TableFormat.__args__)


@pytest.mark.parametrize(
    ("output", "format", "expected"),
    [
        (None, None, "printed it\n"),
        (None, "terminal", "printed it\n"),
        (None, "md", "# it"),
        (None, "json", '"it"'),
        (Path("a\x1b[1m.md"), "md", "a\\x1b[1m.md\n"),
    ],
)
def test_a_table_is_shown_in_its_format_or_the_file_is_named(
    output: Path | None, format: TableFormat | None, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show("it", output, format, RENDERERS, print_on)
    assert capsys.readouterr().out == expected


def test_a_text_file_holds_what_is_printed() -> None:
    assert as_printed("x" * 100, print_on) == f"printed {'x' * 100}\n"
