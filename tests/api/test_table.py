import pytest
from reports.zoo_cases import make_result, write_result

import pixelwise
from pixelwise.errors import DataError, RecipeError
from pixelwise.observer import Observer
from pixelwise.recipes.catalog import recipe
from pixelwise.zoo.rows import ZooPage


class Counting(Observer):
    def __init__(self) -> None:
        self.phases: list[str] = []
        self.done = 0

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def progress(self, done: int, total: int | None) -> None:
        self.done = done


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """A folder without benchmarks/results."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.heavy
def test_a_page_comes_with_what_was_measured(tmp_path):
    write_result(tmp_path / "mine" / "a.json", make_result(recipe("enet-camvid"), 52.6))
    watching = Counting()
    (page,) = pixelwise.table("enet", results=(tmp_path / "mine",), observer=watching)
    assert isinstance(page, ZooPage)
    states = {row.recipe.name: row.state for row in page.rows()}
    assert (states["enet-camvid"], states["enet-cityscapes"]) == ("reproduced", "architecture verified")
    assert len(watching.phases) == 1
    assert watching.done == len(page.rows())


@pytest.mark.parametrize(
    ("name", "format", "begins"),
    [("a.md", None, "# Published"), ("a.csv", None, "page,"), ("a.TXT", None, "Page 000"), ("a.out", "json", "{")],
)
def test_a_file_is_written_in_the_format_asked_for_or_that_of_its_ending(tmp_path, name, format, begins):
    pixelwise.table("000", tmp_path / name, format=format)
    assert (tmp_path / name).read_text("utf-8").startswith(begins)


def test_mistakes_are_errors_before_anything_is_counted(tmp_path):
    with pytest.raises(RecipeError) as ending:
        pixelwise.table("000", tmp_path / "a.docx")
    with pytest.raises(RecipeError) as page:
        pixelwise.table("ennet")
    with pytest.raises(DataError) as results:
        pixelwise.table("000", results=(tmp_path / "nowhere",))
    assert (ending.value.code, page.value.code, results.value.code) == ("R260", "R209", "D240")
    with pytest.raises(TypeError, match="did you mean 'format'"):
        pixelwise.table("000", formatt="md")
