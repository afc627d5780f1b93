import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.published.pages import (
    COMPILED,
    PAGES,
    Heading,
    Listing,
    Paragraph,
    PerClass,
    Piece,
    Row,
    Table,
    find_page,
    pieces,
    printed_number,
    read_page,
)

ROWS = {"000": 2, "001": 12, "002": 12, "003": 12, "004": 35, "modern": 52}


@pytest.mark.parametrize("page", PAGES + COMPILED)
def test_every_row_of_a_page_is_there_once(page):
    names = [row.recipe for _, row in read_page(page).rows()]
    assert len(names) == len(set(names)) == ROWS[page]


@pytest.mark.parametrize("page", PAGES + COMPILED)
def test_the_printed_numbers_are_those_of_the_recipes(page):
    for table, row in read_page(page).rows():
        published = recipe(row.recipe).published
        assert published is not None, row.recipe
        assert published.page == page
        assert printed_number(row.cells[table.miou]) == published.miou_percent, row.recipe
        printed = None if table.gmacs is None else printed_number(row.cells[table.gmacs])
        assert printed == published.gmacs, row.recipe


def test_every_recipe_of_a_page_has_its_row_or_says_that_it_has_none():
    rows = {row.recipe for page in PAGES + COMPILED for _, row in read_page(page).rows()}
    for entry in map(recipe, list_recipes()):
        if entry.published is not None and entry.name not in rows:
            assert entry.published.note.startswith("Not a row of the page"), entry.name


def test_page_000_prints_memory_and_hours_as_the_recipes_have_them():
    for _, row in read_page("000").rows():
        published = recipe(row.recipe).published
        assert published is not None
        assert [float(row.cells[6]), float(row.cells[7])] == [published.gpu_memory_gib, published.train_hours]


def test_page_000_has_both_per_class_tables():
    tables = [block for block in read_page("000").blocks if isinstance(block, PerClass)]
    assert [(table.recipe, len(table.classes)) for table in tables] == [("enet-camvid", 11), ("enet-cityscapes", 19)]
    assert dict(zip(tables[0].classes, tables[0].values, strict=True))["Bicyclist"] == "35.1"
    assert dict(zip(tables[1].classes, tables[1].values, strict=True))["Motorcycle"] == "25.7"
    for table in tables:
        # The page prints one decimal per class, so that their mean is known to half of it.
        mean = sum(map(float, table.values)) / len(table.values)
        assert mean == pytest.approx(recipe(table.recipe).published.miou_percent, abs=0.05)


def test_sections_notes_footnotes_and_references_are_kept():
    blocks = read_page("004").blocks
    headings = [(block.level, block.text) for block in blocks if isinstance(block, Heading)]
    assert (3, "Tensorflow DeepLab Models") in headings
    assert (2, "References") in headings
    texts = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert "*- Quantization Aware Training using 8b precision" in texts
    assert [text[: text.index("]") + 1] for text in texts if text.startswith("[")] == [f"[{n}]" for n in range(1, 12)]
    assert [len(block.items) for block in blocks if isinstance(block, Listing)] == [3]
    groups = [row.group for block in blocks if isinstance(block, Table) for row in block.rows if row.group]
    assert groups.count("-") == 3
    assert "- Our modified models" in groups
    notes = [block.text for block in read_page("000").blocks if isinstance(block, Paragraph)]
    assert notes[2:] == ["<sup>3</sup> Test set.", "<sup>4</sup> Validation set."]


def test_the_pages_own_spelling_stays():
    assert "Segfomer_b0" in next(row for _, row in read_page("002").rows()).cells[0]
    assert any("RegNetX3.2FF+FPNLite" in row.cells for _, row in read_page("004").rows())


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("000", "000"),
        ("0", "000"),
        ("4", "004"),
        ("ENet", "000"),
        ("edgeai", "004"),
        ("ocr", "002"),
        ("Modern", "modern"),
        ("pidnet", "modern"),
    ],
)
def test_a_page_is_found_by_its_number_and_by_its_names(name, page):
    assert find_page(name) == page


def test_an_unknown_page_gets_near_misses():
    with pytest.raises(RecipeError, match=r"'pspnett'.*'pspnet'") as caught:
        find_page("pspnett")
    assert caught.value.code == "R209"
    assert "004 (edgeai)" in caught.value.help
    with pytest.raises(RecipeError, match="'5'") as caught:
        find_page("5")
    assert caught.value.code == "R209"


def test_aliases_are_unique():
    names = [alias for page in PAGES + COMPILED for alias in read_page(page).aliases]
    assert len(names) == len(set(names))


def test_texts_fall_into_links_marks_and_the_rest():
    assert pieces("see [A (b)](http://c/$/d.pth), [3,11]<sup>2</sup>!") == [
        Piece("text", "see "),
        Piece("link", "A (b)", "http://c/$/d.pth"),
        Piece("text", ", [3,11]"),
        Piece("raised", "2"),
        Piece("text", "!"),
    ]


@pytest.mark.parametrize(("cell", "number"), [("53.12<sup>3</sup>", 53.12), ("66.50%", 66.5), ("", None), ("4", 4.0)])
def test_a_cells_number_is_read_without_marks_and_percent_signs(cell, number):
    assert printed_number(cell) == number


def test_a_row_with_a_cell_too_few_is_refused():
    with pytest.raises(ValueError, match=r"'x' .*1 .*2 "):
        Table(columns=("a", "b"), align="ll", rows=(Row(recipe="x", cells=("1",)),), miou=0)
