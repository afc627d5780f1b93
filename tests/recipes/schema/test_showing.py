"""A recipe in a notebook: a table of what it sets, in which no text is markup."""

import re

import pixelwise
from pixelwise.recipes.schema.recipe import changed_values


def test_a_recipe_is_a_table_of_what_it_sets():
    one = pixelwise.recipe("enet-camvid", ["optimizer.lr=0.125"])
    page = one._repr_html_()
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    shown = dict(zip(cells[::2], cells[1::2], strict=True))
    assert shown["optimizer.lr"] == "0.125"
    assert shown["model.family"] == "enet"
    assert "ema.decay" not in shown
    assert set(shown) >= {f"optimizer.{name}" for name in changed_values(one)["optimizer"]}


def test_names_are_text_and_long_lists_are_cut():
    classes = tuple(f"<b>{number}</b>" for number in range(100))
    one = pixelwise.recipe("unet-resnet18", {"data.classes": list(classes)})
    page = one._repr_html_()
    assert "<b>0" not in page
    assert "&lt;b&gt;0" in page
    assert "…" in page
    assert "99&lt;" not in page
