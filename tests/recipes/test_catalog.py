import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distributions import install, python

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import list_recipes, recipe


def test_the_published_enet_rows_are_there():
    camvid = recipe("enet-camvid")
    assert camvid.published is not None
    assert (camvid.published.miou_percent, camvid.published.split) == (53.12, "test")
    assert (camvid.model.graph, camvid.sampling.batch_size, camvid.schedule.epochs) == ("overlapping", 10, 300)
    cityscapes = recipe("enet-cityscapes")
    assert cityscapes.published is not None
    assert (cityscapes.published.miou_percent, cityscapes.published.protocol) == (60.94, "enet-1024x512")
    assert (cityscapes.augment.resize, cityscapes.sampling.batch_size) == ((512, 1024), 4)


def test_names_are_unique_and_found():
    names = list_recipes()
    assert len(names) == len(set(names))
    assert {"enet-camvid", "enet-cityscapes", "enet-camvid-2021", "enet-cityscapes-2021", "town-demo"} <= set(names)
    assert [recipe(name).name for name in names] == names


def test_an_unknown_name_gets_near_misses():
    with pytest.raises(RecipeError, match=r"'enet-camvit'.*'enet-camvid'") as caught:
        recipe("enet-camvit")
    assert caught.value.code == "R200"


def test_reading_recipes_does_not_load_pytorch():
    script = (
        "import sys; from pixelwise.recipes.catalog import list_recipes, recipe; "
        "[recipe(n) for n in list_recipes()]; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


GROUP = "[pixelwise.recipes]\nmine = {}:RECIPES\n"
OWN = """
import msgspec, pixelwise
BASE = pixelwise.recipe("enet-camvid")
def named(name, **changes):
    return msgspec.structs.replace(BASE, name=name, published=None, **changes)
"""
VERB = "from pixelwise.cli import entry; entry()"
LIST = (
    "import json, warnings; from pixelwise.recipes.catalog import list_recipes, recipe\n"
    "with warnings.catch_warnings(record=True) as caught:\n"
    "    warnings.simplefilter('always')\n"
    "    names = list_recipes(); list_recipes()\n"
    "print(json.dumps({'names': names, 'summaries': {name: recipe(name).summary for name in names},\n"
    "    'warnings': [[w.message.code, w.message.message] for w in caught]}))\n"
)


def listed(site: Path) -> dict[str, Any]:
    """All recipes with the packages in `site` installed."""
    done = python("-c", LIST, site=site)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_recipes_of_an_installed_package_are_listed_after_the_built_in_ones(tmp_path: Path):
    install(
        tmp_path, "acme-seg", GROUP.format("acme_seg"), f"{OWN}RECIPES = named('acme-a', summary='ours'), named('b')"
    )

    found = listed(tmp_path)

    assert found["names"] == [*list_recipes(), "acme-a", "b"]
    assert (found["summaries"]["acme-a"], found["warnings"]) == ("ours", [])
    shown = python("-c", VERB, "show", "acme-a", "--json", site=tmp_path)
    assert json.loads(shown.stdout)["summary"] == "ours"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("7", (" int",)),
        ("named('single')", (" Recipe",)),
        ("(named('a') for _ in range(1))", (" generator",)),
        ("'text'", (" str ", " 0;")),
        ("[named('a'), {'name': 'b'}]", (" dict ", " 1;")),
        ("[pixelwise.Recipe]", (" StructMeta ", " 0;")),
    ],
)
def test_an_entry_point_that_is_not_a_sequence_of_recipes_is_named(tmp_path: Path, value: str, found: tuple[str, ...]):
    install(tmp_path, "acme-seg", GROUP.format("acme_seg"), f"{OWN}RECIPES = {value}")

    result = listed(tmp_path)

    assert result["names"] == list_recipes()
    ((code, message),) = result["warnings"]
    assert code == "W240"
    assert "'mine' of acme-seg 1.2 (acme_seg:RECIPES)" in message
    assert all(part in message for part in found)


def test_a_built_in_recipe_stays_what_it_is_and_both_places_are_named(tmp_path: Path):
    code = f"{OWN}RECIPES = [named('unet-resnet18', summary='stolen'), named('acme-a')]"
    install(tmp_path, "acme-seg", GROUP.format("acme_seg"), code)

    found = listed(tmp_path)

    assert found["names"] == [*list_recipes(), "acme-a"]
    assert found["summaries"]["unet-resnet18"] == recipe("unet-resnet18").summary
    ((code, message),) = found["warnings"]
    assert code == "W241"
    assert "'unet-resnet18'" in message
    assert "acme-seg 1.2 (acme_seg:RECIPES)" in message
    assert "pixelwise.recipes.own.generic" in message


def test_a_name_that_two_packages_claim_is_refused_with_both_places(tmp_path: Path):
    for package in ("acme", "bcme"):
        code = f"{OWN}RECIPES = [named('twice', notes='{package}'), named('{package}-a')]"
        install(tmp_path, package, GROUP.format(package), code)

    found = listed(tmp_path)

    assert set(found["names"]) - set(list_recipes()) == {"acme-a", "bcme-a"}
    ((code, message),) = found["warnings"]
    shown = python("-c", VERB, "show", "twice", site=tmp_path)
    assert (code, shown.returncode) == ("W241", 2)
    for text in (message, shown.stderr.partition("error[R233]")[2]):
        assert "'twice'" in text
        assert "acme 1.2 (acme:RECIPES)" in text
        assert "bcme 1.2 (bcme:RECIPES)" in text


def test_the_same_recipe_under_two_entry_points_is_one(tmp_path: Path):
    both = f"{GROUP.format('acme')}again = acme:RECIPES\n"
    install(tmp_path, "acme", both, f"{OWN}RECIPES = [named('acme-a')]")
    found = listed(tmp_path)
    assert found["names"] == [*list_recipes(), "acme-a"]
    assert found["warnings"] == []


@pytest.mark.heavy
def test_a_broken_package_costs_the_command_line_a_warning(tmp_path: Path):
    install(tmp_path, "broken", GROUP.format("broken"), "import nothing_of_that_name")
    install(tmp_path, "acme", GROUP.format("acme"), f"{OWN}RECIPES = [named('acme-a')]")

    table = python("-c", VERB, "recipes", site=tmp_path)
    misspelt = python("-c", VERB, "show", "enet-camvit", site=tmp_path)
    known = python("-c", VERB, "show", "enet-camvid", site=tmp_path)

    assert (table.returncode, misspelt.returncode, known.returncode) == (0, 2, 0)
    assert "acme-a" in table.stdout
    assert "enet-camvid" in table.stdout
    assert "error[R200]" in misspelt.stderr
    assert "'enet-camvid'" in misspelt.stderr
    for shown in (table, misspelt):
        assert shown.stderr.startswith("warning[W240]: ")
        assert "'mine' of broken 1.2 (broken:RECIPES)" in shown.stderr
        assert "\nhelp: " in shown.stderr
        assert shown.stderr.count("warning") == 1
        assert "Traceback" not in shown.stderr
    assert known.stderr == ""  # nobody looked for other packages
