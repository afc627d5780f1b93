from __future__ import annotations

import pytest
import torch

from pixelwise.checkpoints.importers.conversions import Conversion, Deinterleave, Join, Regroup, Split
from pixelwise.checkpoints.importers.translating import (
    as_convolution,
    fit_classes,
    leave_out,
    rename,
    reshape,
    translate,
)
from pixelwise.errors import CheckpointError

CLASSIFIER = (("head.weight", 0), ("head.bias", 0))


def rules(**fields: object) -> Conversion:
    return Conversion(**{"rules": (), "classifiers": CLASSIFIER, **fields})  # type: ignore[arg-type]


def test_each_key_passes_through_all_rules_in_order() -> None:
    conversion = rules(rules=((r"^encoder\.", "backbone."), (r"\.bn(\d)\.", r".norm\1."), (r"^backbone\.", "body.")))
    names = rename({"encoder.0.bn2.weight": 0, "head.weight": 0}, conversion)
    assert names == {"encoder.0.bn2.weight": "body.0.norm2.weight", "head.weight": "head.weight"}


def test_what_no_network_has_is_left_out_by_its_whole_key() -> None:
    conversion = rules(left_out=((r"fc\..*", "the classifier of images"),))
    assert leave_out({"fc.weight": 1, "fcn.weight": 2, "a.fc.weight": 3}, conversion) == {
        "fcn.weight": 2,
        "a.fc.weight": 3,
    }


def test_one_tensor_becomes_several_by_shares_of_its_rows() -> None:
    conversion = rules(tensors=(Split(pattern=r"(.*)\.kv", parts=((r"\1.key", 1), (r"\1.value", 2))),))
    weights, origins = reshape({"a.kv": torch.arange(6.0)}, conversion)
    assert {key: value.tolist() for key, value in weights.items()} == {"a.key": [0, 1], "a.value": [2, 3, 4, 5]}
    assert origins == {"a.key": "a.kv", "a.value": "a.kv"}
    with pytest.raises(CheckpointError, match=r"a\.kv has 7 rows") as caught:
        reshape({"a.kv": torch.arange(7.0)}, conversion)
    assert caught.value.code == "K403"


def test_several_tensors_become_one_in_their_order() -> None:
    conversion = rules(tensors=(Join(pattern=r"(.*)\.key", others=(r"\1.value",), key=r"\1.kv"),))
    weights, origins = reshape({"a.value": torch.tensor([3.0]), "a.key": torch.tensor([1.0, 2.0])}, conversion)
    assert weights["a.kv"].tolist() == [1, 2, 3]
    assert origins == {"a.kv": "a.key + a.value"}
    assert list(reshape({"a.key": torch.ones(1)}, conversion)[0]) == ["a.key"]


def test_groups_of_input_channels_change_places() -> None:
    conversion = rules(tensors=(Regroup(pattern="fuse", order=(1, 0)),))
    weights, _ = reshape({"fuse": torch.tensor([[1.0, 2.0, 3.0, 4.0]])}, conversion)
    assert weights["fuse"].tolist() == [[3, 4, 1, 2]]


def test_channels_that_alternate_between_groups_become_one_group_after_the_other() -> None:
    conversion = rules(tensors=(Deinterleave(pattern=r"halved\..+", order=(1, 0)),))
    weights, _ = reshape(
        {"halved.weight": torch.tensor([[1.0, 2.0, 3.0, 4.0]]), "halved.bias": torch.arange(2.0)}, conversion
    )
    assert weights["halved.weight"].tolist() == [[2, 4, 1, 3]]
    assert weights["halved.bias"].tolist() == [1, 0]
    with pytest.raises(CheckpointError, match=r"halved\.bias has 3 channels; expected a multiple of 2") as caught:
        reshape({"halved.bias": torch.arange(3.0)}, conversion)
    assert caught.value.code == "K403"


def test_the_output_that_means_no_class_is_dropped() -> None:
    conversion = rules(unlabelled_output={3: 1})
    theirs = {"head.weight": torch.tensor([[0.0], [1.0], [2.0]]), "head.bias": torch.tensor([5.0, 6.0, 7.0])}
    weights, dropped, notes = fit_classes(theirs, 2, conversion)
    assert weights["head.weight"].tolist() == [[0], [2]]
    assert weights["head.bias"].tolist() == [5, 7]
    assert dropped == ("head.weight[1]", "head.bias[1]")
    assert "output 1 of 3" in notes[0]


def test_it_is_kept_where_the_model_has_as_many_classes() -> None:
    theirs = {"head.weight": torch.zeros(3, 1)}
    weights, dropped, notes = fit_classes(theirs, 3, rules(unlabelled_output={3: 1}))
    assert weights["head.weight"].shape == (3, 1)
    assert (dropped, len(notes)) == ((), 1)
    assert fit_classes(theirs, 3, rules())[1:] == ((), ())


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_other_numbers_of_classes_are_refused(classes: int) -> None:
    with pytest.raises(CheckpointError, match=rf"head\.weight .*\b3 outputs.*\b{classes} classes") as caught:
        fit_classes({"head.weight": torch.zeros(3, 1)}, classes, rules())
    assert caught.value.code == "K403"


def test_a_linear_layer_and_a_convolution_of_one_pixel_are_the_same() -> None:
    linear, convolution = torch.rand(4, 3), torch.rand(4, 3, 1, 1)
    assert as_convolution(linear, convolution).shape == (4, 3, 1, 1)
    assert as_convolution(convolution, linear).shape == (4, 3)
    assert as_convolution(linear, torch.rand(4, 3, 3, 3)) is linear


def test_translating_compares_with_no_model() -> None:
    conversion = rules(rules=((r"^theirs\.", ""),), left_out=((r"theirs\.fc", "the classifier of images"),))
    assert translate({"theirs.fc": 1, "theirs.a": 2}, conversion) == {"a": 2}
