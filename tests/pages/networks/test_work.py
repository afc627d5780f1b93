from pathlib import Path

import pytest
from runs_to_show import shown_run

import pixelwise
from pixelwise.pages.catalog import Catalog, Refused
from pixelwise.pages.fixing.masks import Uneditable
from pixelwise.pages.networks.costs import UNKNOWN, Cost
from pixelwise.pages.networks.helper import Ended
from pixelwise.pages.networks.work import Networks, Work
from pixelwise.recipes.overrides import to_toml


def test_no_process_is_started_for_what_the_files_alone_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", lambda _: pytest.fail("a process was started"))
    catalog = Catalog([shown_run(tmp_path / "a")])
    entry = catalog.entries()[0]
    result = catalog.result(entry)
    assert result is not None
    networks = Networks(catalog)
    assert networks.cost(entry.run, None) == UNKNOWN
    with pytest.raises(Refused, match="for runs only"):
        networks.shown(entry, result, "one")
    (entry.run / "recipe.toml").write_text("model = 3")
    (entry.run / "checkpoints" / "step-00000001").mkdir(parents=True)
    with pytest.raises(Refused, match="error"):
        networks.shown(entry, result, "one")


def test_a_process_that_dies_is_told_as_what_it_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def died(*_: object) -> None:
        raise Ended

    monkeypatch.setattr("pixelwise.pages.networks.helper.Helper.ask", died)
    monkeypatch.setattr("pixelwise.pages.networks.work.require_predictable", lambda *_: None)
    run = shown_run(tmp_path / "a")
    (run / "recipe.toml").write_text(to_toml(pixelwise.recipe("town-demo")))
    catalog = Catalog([run])
    entry = catalog.entries()[0]
    result = catalog.result(entry)
    assert result is not None
    networks = Networks(catalog)
    assert networks.cost(run, None) == UNKNOWN
    with pytest.raises(Refused, match="has ended"):
        networks.shown(entry, result, "one")
    with pytest.raises(Uneditable, match="has ended"):
        networks.filled(run, tmp_path / "a.png", ("sky",), (1, 2))


@pytest.mark.heavy
def test_the_process_counts_as_this_one(tmp_path: Path):
    recipe = pixelwise.recipe("town-demo")
    (tmp_path / "recipe.toml").write_text(to_toml(recipe))
    catalog = Catalog([tmp_path])
    networks = Networks(catalog)
    expected = pixelwise.complexity(recipe, 32, 64)
    assert networks.cost(tmp_path, (32, 64)) == Cost(expected.parameters, expected.macs, (32, 64))
    assert Work(catalog).cost(recipe, (32, 64)) == networks.cost(tmp_path, (32, 64))
    networks.close()
