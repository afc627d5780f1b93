import html.parser
import re

import pytest
from reports.zoo_cases import make_recipe, make_result, make_zoo

from pixelwise.reports.zoo.page import render_html


class Tags(html.parser.HTMLParser):
    """Start tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def source() -> str:
    return render_html([make_zoo(make_result(make_recipe(), 59.456))])


def test_the_file_loads_nothing(source):
    tags = Tags(source).tags
    assert not {tag for tag, _ in tags} & {"script", "img", "iframe", "object", "audio", "video"}
    assert [attributes["href"] for tag, attributes in tags if tag == "link"] == ["data:,"]
    assert not any("src" in attributes or "srcset" in attributes for _, attributes in tags)
    assert "default-src 'none'" in source
    style = source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_links_of_the_page_are_links_and_its_other_markup_is_text(source):
    assert '<a href="https://a.b/c" rel="noreferrer">Net*</a>' in source
    assert '<a href="https://x.y/z" rel="noreferrer">https://x.y/z</a>.' in source
    assert "At &lt;b&gt;half&lt;/b&gt; size" in source
    assert "60.00<sup>1</sup>" in source


def test_every_row_has_as_many_cells_as_there_are_headings(source):
    table = source.split('<table class="plain zoo">')[1].split("</table>")[0]
    head, *rows = re.findall(r"<tr.*?</tr>", table, re.S)
    columns = head.count("<th ")
    assert columns == 10
    for row in rows:
        spans = sum(int(span) - 1 for span in re.findall(r'colspan="(\d+)"', row))
        assert row.count("<td") + row.count("<th ") + spans == columns


def test_footnotes_are_reached_from_their_letters(source):
    tags = Tags(source).tags
    targets = {attributes.get("id") for _, attributes in tags}
    letters = {str(attributes["href"])[1:] for tag, attributes in tags if tag == "a" and "#" in str(attributes["href"])}
    assert "note-000-a" in letters
    assert letters <= targets


def test_states_are_counted_and_classes_measured(source):
    assert '<span>reproduced</span></dt><dd class="number right">1</dd>' in source
    assert "<i>measured</i>" in source
    assert "<i>measured</i>" not in render_html([make_zoo()])
