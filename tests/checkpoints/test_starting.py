import re
from pathlib import Path

import msgspec
import pytest
import torch

from pixelwise.checkpoints.starting import begin_with_run
from pixelwise.checkpoints.trained import load_trained
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.records.run_folder import read_recipe


def network(run: Path, classes: tuple[str, ...] = ("ground", "box", "ball")) -> SegmentationModel:
    """A network of the run's recipe with other random weights."""
    recipe = read_recipe(run)
    data = msgspec.structs.replace(recipe.data, classes=classes, palette=None)
    torch.manual_seed(7)
    return build_model(msgspec.structs.replace(recipe, data=data))


def test_everything_is_taken_from_a_run_of_the_same_network(tiny_run: Path):
    model = network(tiny_run)
    start = begin_with_run(model, tiny_run, recipe="tiny")
    trained = load_trained(tiny_run)
    own, theirs = model.state_dict(), trained.model.state_dict()
    assert all(torch.equal(own[key], theirs[key]) for key in own)
    assert (start.loaded, start.random, start.weights_sha256) == (len(own), (), trained.weights_sha256)


def test_a_classifier_of_other_classes_stays_as_it_was_and_is_named(tiny_run: Path):
    model = network(tiny_run, ("a", "b", "c", "d", "e"))
    before = model.state_dict()["classifier.weight"].clone()
    said: list[tuple[str, str]] = []
    start = begin_with_run(model, tiny_run, warn=lambda code, message: said.append((code, message)))
    assert start.random == ("classifier.weight",)
    assert torch.equal(model.state_dict()["classifier.weight"], before)
    assert [code for code, _ in said] == ["W450"]
    assert re.search(r"\b3 classes.*\b5: classifier\.weight ", said[0][1])


@pytest.mark.parametrize("partly", [False, True])
def test_another_network_is_refused_and_left_as_it_was(partly: bool, tiny_run: Path):
    model = torch.nn.Conv2d(1, 1, 1)
    model.num_classes = 3  # type: ignore[assignment]
    before = model.weight.detach().clone()
    with pytest.raises(CheckpointError, match=r"\b0 of its 2 tensors") as caught:
        begin_with_run(model, tiny_run, partly=partly)  # type: ignore[arg-type]
    assert caught.value.code == "K450"
    assert torch.equal(model.weight, before)


def test_what_agrees_in_name_and_shape_is_enough_where_that_is_asked_for(tiny_run: Path):
    model = network(tiny_run)
    model.classifier = torch.nn.Conv2d(16, 3, kernel_size=1)
    start = begin_with_run(model, tiny_run, partly=True)
    assert start.random == ("classifier.weight", "classifier.bias")
    with pytest.raises(CheckpointError, match=r"classifier\.weight, classifier\.bias") as caught:
        begin_with_run(model, tiny_run)
    assert caught.value.code == "K450"


def test_the_outputs_of_classes_in_another_order_follow_the_names(tiny_run: Path):
    model = network(tiny_run, ("Ball", "ground", "box"))
    said: list[str] = []
    start = begin_with_run(model, tiny_run, warn=lambda code, message: said.append(code))
    trained = load_trained(tiny_run).model
    assert (said, start.random) == (["W410"], ())
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images), trained(images)[:, [2, 0, 1]])


def test_outputs_of_other_names_are_told(tiny_run: Path):
    said: list[tuple[str, str]] = []
    begin_with_run(network(tiny_run, ("ground", "cube", "ball")), tiny_run, warn=lambda *told: said.append(told))
    assert [code for code, _ in said] == ["W414"]
    assert "cube with the weights of box" in said[0][1]
    said.clear()
    names = ("class_0", "class_1", "class_2")
    begin_with_run(network(tiny_run, names), tiny_run, warn=lambda *told: said.append(told))
    assert said == []
