import json
from pathlib import Path

import pytest
from reports.zoo_cases import make_recipe, make_result, make_zoo

from pixelwise.reports.zoo.rendering import RENDERERS, render, show_table


@pytest.fixture(scope="module")
def zoo():
    return [make_zoo(make_result(make_recipe(), 59.456))]


@pytest.mark.parametrize("format", RENDERERS)
def test_every_format_names_every_row(zoo, format):
    text = render(zoo, format)
    assert all(name in text for name in ("row-1", "row-2", "later"))


def test_pages_are_printed_unless_they_were_written(zoo, capsys):
    show_table(zoo, Path("a.md"), "md")
    assert capsys.readouterr().out == "a.md\n"
    show_table(zoo, None, "json")
    assert json.loads(capsys.readouterr().out)["pages"][0]["page"] == "000"
    show_table(zoo, None, None)
    assert "Page 000: A page" in capsys.readouterr().out
