import math
from typing import ClassVar

import msgspec
import pytest

from pixelwise.errors import RecipeError
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.explaining import explain
from pixelwise.recipes.files import load_toml
from pixelwise.recipes.loss_terms.cross_entropy import CrossEntropy
from pixelwise.recipes.loss_terms.dice import Dice
from pixelwise.recipes.loss_terms.focal import Focal
from pixelwise.recipes.loss_terms.lovasz import Lovasz
from pixelwise.recipes.overrides import apply_overrides, changes_between, to_toml
from pixelwise.recipes.schema.loss import Loss, Ohem
from pixelwise.recipes.schema.terms import TERMS, Term, register_term


@pytest.fixture
def hinge():
    """A term of another package, while the test runs."""

    @register_term("hinge")
    class Hinge(Term, frozen=True, kw_only=True):
        multi_label: ClassVar[bool] = False
        margin: float = 1.0

        def __post_init__(self) -> None:
            if self.margin < 0:
                raise RecipeError("R203", f"margin is {self.margin}", "make it 0 or more")

    yield Hinge
    TERMS.discard("hinge")


def test_fields_become_terms_with_options_in_order_of_addition():
    loss = Loss(focal=0.5, focal_gamma=1.5, lovasz=2, lovasz_per_image=True, label_smoothing=0.1, dice=1)
    assert loss.active_terms() == [
        CrossEntropy(weight=1, label_smoothing=0.1),
        Dice(weight=1),
        Focal(weight=0.5, gamma=1.5),
        Lovasz(weight=2, per_image=True),
    ]
    ohem = Ohem(threshold=0.5)
    assert Loss(ohem=ohem).active_terms() == [CrossEntropy(ohem=ohem)]


def test_terms_of_other_packages_are_tables_with_all_their_options(hinge):
    loss = Loss(cross_entropy=0, terms={"hinge": {"weight": 0.5}})
    assert loss.terms == {"hinge": hinge(weight=0.5, margin=1.0)}
    assert loss.active_terms() == [hinge(weight=0.5, margin=1.0)]
    assert Loss(terms={"hinge": hinge()}).active_terms() == [CrossEntropy(), hinge(weight=1)]
    assert Loss(terms={}).terms is None


def test_a_table_can_be_overridden_written_shown_and_read_again(hinge, tmp_path):
    before = recipe("town-demo")
    changed = apply_overrides(before, ["loss.terms.hinge.weight=0.5", "loss.cross_entropy=0.5"])
    assert changed.loss.active_terms() == [CrossEntropy(weight=0.5), hinge(weight=0.5)]
    further = apply_overrides(changed, ["loss.terms.hinge.margin=2"])
    assert further.loss.terms == {"hinge": hinge(weight=0.5, margin=2)}
    assert apply_overrides(further, ["loss.terms=none", "loss.cross_entropy=1"]).loss == before.loss
    assert apply_overrides(before, changes_between(before, further)) == further
    (tmp_path / "mine.toml").write_text(to_toml(further))
    assert load_toml(tmp_path / "mine.toml") == further
    (tmp_path / "based.toml").write_text('base = "town-demo"\n[loss.terms.hinge]\nweight = 0.5\n')
    shown = explain(str(tmp_path / "based.toml"))
    assert "\nweight = 0.5 # " in shown.partition("[loss.terms.hinge]")[2]
    (tmp_path / "shown.toml").write_text(shown)
    assert load_toml(tmp_path / "shown.toml").loss == load_toml(tmp_path / "based.toml").loss


def test_only_what_differs_from_the_defaults_of_a_table_changes_the_hash(hinge):
    plain = recipe("town-demo")
    half = apply_overrides(plain, ["loss.terms.hinge.weight=0.5"])
    assert half.hash() != plain.hash()
    assert apply_overrides(half, ["loss.terms.hinge.margin=1.0"]).hash() == half.hash()
    assert apply_overrides(half, ["loss.terms.hinge.margin=2.0"]).hash() != half.hash()


@pytest.mark.parametrize(
    ("override", "code", "words"),
    [
        ("loss.terms.hinges.weight=1", "R274", "'hinge'"),
        ("loss.terms.hinge.magin=1", "R202", "'margin'"),
        ("loss.terms.hinge.margin=-1", "R203", "margin is -1"),
        ("loss.terms.hinge.margin=wide", "R203", "loss.terms.hinge.margin"),
        ("loss.terms.hinge.weight=-1", "R203", "loss.terms.hinge.weight is -1.0"),
        ("loss.terms.hinge=1", "R203", "loss.terms.hinge is 1"),
        ("loss.terms.focal.weight=1", "R203", "loss.terms.focal"),
    ],
)
def test_wrong_tables_are_refused(hinge, override, code, words):
    with pytest.raises(RecipeError, match=words) as caught:
        apply_overrides(recipe("town-demo"), [override])
    assert caught.value.code == code


def test_terms_that_are_not_defined_for_the_labels_are_refused(hinge):
    for loss in (Loss(lovasz=1), Loss(boundary=1), Loss(terms={"hinge": {}})):
        loss.require_labels(multilabel=False)
        with pytest.raises(RecipeError, match=r"data\.multilabel") as caught:
            loss.require_labels(multilabel=True)
        assert caught.value.code == "R203"
    Loss(lovasz=0, terms={"hinge": {"weight": 0}}).require_labels(multilabel=True)


def test_a_term_of_multi_label_data_alone_is_refused_elsewhere():
    @register_term("both")
    class Both(Term, frozen=True, kw_only=True):
        single_label: ClassVar[bool] = False
        multi_label: ClassVar[bool] = True

    try:
        Loss(terms={"both": Both()}).require_labels(multilabel=True)
        with pytest.raises(RecipeError) as caught:
            Loss(terms={"both": Both()}).require_labels(multilabel=False)
        assert caught.value.code == "R203"
    finally:
        TERMS.discard("both")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"focal": -1}, "loss.focal is -1.0; expected 0 or more"),
        ({"cross_entropy": 0}, "all of loss.cross_entropy, loss.dice, .*loss.boundary are 0"),
        ({"focal_gamma": -0.5}, "loss.focal_gamma is -0.5; expected 0 or more"),
        ({"tversky_alpha": 0, "tversky_beta": 0}, r"loss.tversky_alpha is 0.0 and loss.tversky_beta is 0.0"),
        ({"tversky_alpha": -1}, "loss.tversky_alpha is -1.0"),
        ({"boundary_width": 0}, "loss.boundary_width is 0; expected 1 or more"),
        ({"class_weights": [1, -1]}, r"loss.class_weights is \[1.0, -1.0\]"),
        ({"class_weights": []}, r"loss.class_weights is \[\]"),
        ({"class_weights": [0, 0]}, r"loss.class_weights is \[0.0, 0.0\]"),
        ({"class_weights": [1, math.inf]}, "loss.class_weights is"),
        ({"class_weights_share": 0.2}, "loss.class_weights_share is 0.2 but loss.class_weights is none"),
        ({"class_weights": "enet", "class_weights_share": 0}, "loss.class_weights_share is 0.0; "),
        ({"class_weights": "enet", "class_weights_share": 1.5}, "loss.class_weights_share is 1.5; "),
        ({"ohem": {}, "normalize": "all"}, "loss.normalize is all but loss.ohem "),
        ({"ohem": {}, "cross_entropy": 0, "dice": 1}, "loss.ohem .* loss.cross_entropy is 0"),
        ({"ohem": {"threshold": 1.5}}, "loss.ohem.threshold is 1.5; expected 0..1"),
        ({"ohem": {"min_kept": 1.5}}, "loss.ohem.min_kept is 1.5; "),
        ({"ohem": {"min_kept": -1}}, "loss.ohem.min_kept is -1"),
        ({"ohem": {"min_kept": math.nan}}, "loss.ohem.min_kept is nan"),
    ],
)  # fmt: skip
def test_impossible_losses_are_refused(fields: dict, message: str):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(fields, Loss)
    error = caught.value.__cause__
    assert isinstance(error, RecipeError)
    assert error.code == "R203"
    with pytest.raises(RecipeError, match=message):
        raise error


@pytest.mark.parametrize(
    "fields",
    [
        {"class_weights": [1, 2.5]},
        {"class_weights": "erfnet-decoder"},
        {"ohem": {"min_kept": 0.05}},
        {"ohem": {"min_kept": 100000, "auxiliary": False}},
        {"cross_entropy": 0, "lovasz": 1},
    ],
)
def test_possible_losses_survive_a_recipe_file(fields: dict):
    loss = msgspec.convert(fields, Loss)
    assert msgspec.convert(msgspec.toml.decode(msgspec.toml.encode(_without_none(loss))), Loss) == loss


def _without_none(loss: Loss) -> dict:
    return {key: value for key, value in msgspec.to_builtins(loss).items() if value is not None}


@pytest.mark.parametrize("name", ["boundary_head", "boundary_aware"])
def test_a_term_of_a_boundary_head_is_refused_without_one(name):
    with pytest.raises(RecipeError, match=rf"loss\.terms\.{name} needs a network with a boundary head.*unet") as caught:
        apply_overrides(recipe("unet-resnet18"), [f"loss.terms.{name}.weight=1"])
    assert caught.value.code == "R203"
    assert recipe("pidnet-s-cityscapes").model.boundary_head
