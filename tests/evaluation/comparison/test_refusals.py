import shlex
from pathlib import Path

import pytest
from compared_runs import (
    GOOD,
    OTHER,
    THREE,
    compared,
    counts,
    ids_of,
    refused,
    scored_folds,
    scored_run,
    two_cross_validations,
)

from pixelwise.errors import RecipeError

CAMVID = ('evaluation.protocols=["camvid-480x360"]',)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return two_cross_validations(tmp_path)


def test_what_is_no_cross_validation_of_the_same_images_is_refused_with_a_way_out(
    two: tuple[Path, Path], tmp_path: Path
):
    run = scored_run(tmp_path / "run", counts(GOOD, 2))
    for pair in ((two[0], run), (run, two[0])):
        error = refused(*pair)
        assert error.code == "R302"
        assert f"{two[0]} is a cross-validation" in error.message
        for path in pair:
            assert f"`pixelwise evaluate {path} --data FOLDER --split test`" in (error.help or "")
    other = scored_folds(tmp_path / "other", counts(GOOD, 2), THREE, fingerprint="else", data="/elsewhere")
    error = refused(other, two[0])
    assert (error.code, "cross-validations of other images or masks" in error.message) == ("R302", True)
    assert f"repeat {two[0]} on the data of {other}" in (error.help or "")
    assert "`pixelwise crossval RECIPE --data /elsewhere`" in (error.help or "")
    labels = scored_folds(tmp_path / "labels", counts(GOOD, 2) + 1, THREE)
    error = refused(two[0], labels)
    assert error.code == "R303"
    assert f"pixelwise evaluate {labels / 'fold-2'} 'data.label_map={{...}}' --protocol native`" in (error.help or "")
    error = refused(*two, split="val")
    assert (error.code, "leave the split out" in (error.help or "")) == ("R301", True)
    assert refused(two[0]).code == "R300"


def test_folds_that_were_not_scored_alike_are_told_how(two: tuple[Path, Path], tmp_path: Path):
    folder = tmp_path / "a b"
    scored_folds(folder, counts(GOOD, 2), THREE, protocol="camvid-480x360", overrides=CAMVID)
    error = refused(two[0], folder)
    assert error.code == "R301"
    commands = error.help.partition("`")[2].rstrip("`").split(" && ")
    words = [shlex.split(command) for command in commands]
    folds = [str(folder / f"fold-{number}") for number in range(3)]
    assert words == [["pixelwise", "evaluate", fold, "--protocol", "native"] for fold in folds]
    for fold, places in zip(folds, THREE, strict=True):
        own = [ids_of(30)[place] for place in places]
        extra = {"split": "held-out", "data_fingerprint": "all", "overrides": (*CAMVID, 'evaluation.split="held-out"')}
        scored_run(Path(fold), counts(GOOD, 2)[list(places)], ids=own, **extra)
    with pytest.raises(RecipeError, match="is not scored on out-of-fold under camvid-480x360") as caught:
        compared(two[0], folder, protocol="camvid-480x360")
    assert f"pixelwise evaluate {two[0] / 'fold-0'} --protocol camvid-480x360 && " in (caught.value.help or "")
    assert compared(two[0], folder).protocol == "native"


def test_what_no_single_run_has_is_not_asked_of_one(tmp_path: Path):
    pair = [scored_run(tmp_path / name, counts(GOOD, seed)) for seed, name in enumerate("ab")]
    error = refused(*pair, split="out-of-fold")
    assert error.code == "R301"
    assert error.help == "name cross-validations, or leave the split out"


def test_the_way_out_of_other_labels_leads_out(tmp_path: Path):
    """Scored anew with the options that the message names, they are compared, although the old results are there."""
    first, second = (counts(GOOD, seed) for seed in (1, 2))
    runs = scored_run(tmp_path / "a", first), scored_run(tmp_path / "b", 2 * second, overrides=OTHER)
    error = refused(*runs)
    assert error.code == "R303"
    assert "data.label_map=" in error.help
    for run, matrices in zip(runs, (first, second), strict=True):
        old = run / "evaluations" / "val-native"
        old.rename(run / "kept")
        scored_run(run, matrices, variant="data.label_map={1=0}", overrides=() if run == runs[0] else OTHER)
        old.rename(run / "evaluations" / "val-native-by-one-table")
        (run / "kept").rename(old)
    found = compared(*runs)
    assert found.pairs[0].miou.value is not None
    assert any("data.label_map={1=0}" in remark for remark in found.remarks)
