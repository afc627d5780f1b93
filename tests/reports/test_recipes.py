import json

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.parsing import from_plain
from pixelwise.reports.recipes import show_recipe, show_recipes


def test_a_recipe_is_printed_so_that_it_reads_back(capsys):
    show_recipe(recipe("town-demo"), as_json=True)
    assert from_plain(json.loads(capsys.readouterr().out)) == recipe("town-demo")
    show_recipe(recipe("town-demo"))
    assert 'name = "town-demo"' in capsys.readouterr().out


def test_recipes_are_listed_with_their_published_scores(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    names = ["enet-camvid", "town-demo"]
    show_recipes(names, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == names
    assert [row["published_miou_percent"] for row in rows] == [53.12, None]
    show_recipes(names)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["enet-camvid", "camvid", "53.12"]
    assert lines[2].split()[:3] == ["town-demo", "town", "-"]
