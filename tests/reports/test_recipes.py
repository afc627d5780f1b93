import json
import sys

from pixelwise.recipes.catalog import list_recipes, recipe
from pixelwise.recipes.parsing import from_plain
from pixelwise.reports.recipes import MORE, grouped, show_recipe, show_recipes


def test_a_recipe_is_printed_so_that_it_reads_back(capsys):
    show_recipe(recipe("town-demo"), as_json=True)
    assert from_plain(json.loads(capsys.readouterr().out)) == recipe("town-demo")
    show_recipe(recipe("town-demo"))
    assert 'name = "town-demo"' in capsys.readouterr().out


def test_recipes_are_listed_with_their_published_scores(capsys):
    names = ["enet-camvid", "town-demo"]
    show_recipes(names, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == names
    assert [row["published_miou_percent"] for row in rows] == [53.12, None]


def test_recipes_for_own_images_come_first(capsys):
    show_recipes(["enet-camvid", "town-demo", "unet-resnet18", "unet"])
    blocks = capsys.readouterr().out.split("\n\n")
    assert [block.splitlines()[0].partition(":")[0] for block in blocks] == [
        "for your own images", "for one data set", "page 000", MORE,
    ]  # fmt: skip
    assert [line.split()[0] for line in blocks[0].splitlines()[1:]] == ["unet", "unet-resnet18"]
    assert blocks[1].splitlines()[1].split()[:2] == ["town-demo", "town"]
    assert blocks[2].splitlines()[1].split()[:3] == ["enet-camvid", "camvid", "53.12"]


def test_every_recipe_has_one_line_which_is_complete_unless_a_terminal_is_narrow(monkeypatch, capsys):
    show_recipes(list_recipes())
    lines = capsys.readouterr().out.splitlines()
    for name in list_recipes():
        [line] = [line for line in lines if line.split()[:1] == [name]]
        assert line.endswith(recipe(name).summary)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    show_recipes(list_recipes())
    cut = capsys.readouterr().out.splitlines()
    inside = [line for line in cut if line.startswith("  ")]
    assert max(map(len, inside)) == 60
    assert len(cut) == len(lines)


def test_nothing_found_is_said(capsys):
    show_recipes([])
    assert "no recipe" in capsys.readouterr().out


def test_groups_keep_every_recipe_once():
    names = list_recipes()
    assert sorted(
        one.name for inside in grouped([recipe(name) for name in names]).values() for one in inside
    ) == sorted(names)
