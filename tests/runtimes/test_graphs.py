"""A network of one 1x1 convolution of stride 4, so that what is before and after it can be computed by hand."""

from __future__ import annotations

from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions, NotOneGraphError, constant_slopes, head_stride

SIZE = (8, 12)


class Subsampled(SegmentationModel):
    """Logits are the first two channels of every fourth pixel."""

    def __init__(self) -> None:
        spec = LinearSpec(encoder="resnet10t", preprocessing=Preprocessing(mean=(0.5, 0.0, 0.0), std=(0.25, 1.0, 1.0)))
        super().__init__(spec, ("a", "b"))
        self.classifier = nn.Conv2d(3, 2, 1, stride=4, bias=False)
        nn.init.zeros_(self.classifier.weight)
        self.classifier.weight.data[0, 0] = self.classifier.weight.data[1, 1] = 1.0

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.classifier(images),)


def network(**options: object) -> ExportedNetwork:
    return ExportedNetwork(Subsampled(), GraphOptions(**{"size": SIZE, **options})).eval()  # type: ignore[arg-type]


def test_the_stride_of_the_logits_is_found_by_asking() -> None:
    assert head_stride(Subsampled()) == 4
    assert network(output_stride=None).stride == 4
    assert network(output_stride=2).stride == 2
    for stride, enlarged in ((None, None), (4, None), (2, 2), (1, 1)):
        facts = network(output_stride=stride).output_facts()
        assert (facts.head_stride, facts.enlarged_to) == (4, enlarged)


def test_bytes_are_normalised_inside() -> None:
    images = torch.zeros(1, *SIZE, 3, dtype=torch.uint8)
    images[0, 0, 4] = torch.tensor([255, 51, 0], dtype=torch.uint8)
    logits = network(uint8_input=True, output_stride=None)(images)
    # Row 0 and column 4 are column 1 of the result: (255 / 255 - 0.5) / 0.25 and 51 / 255.
    assert logits[0, :, 0, 1].tolist() == pytest.approx([2.0, 0.2])
    assert logits[0, :, 0, 0].tolist() == pytest.approx([-2.0, 0.0])


def test_the_result_has_the_stride_that_is_asked_for() -> None:
    images = torch.randn(1, 3, *SIZE)
    own = network(output_stride=None)(images)
    assert own.shape == (1, 2, 2, 3)
    for stride, size in ((1, (8, 12)), (2, (4, 6)), (4, (2, 3))):
        enlarged = network(output_stride=stride)(images)
        assert enlarged.shape[-2:] == size
        expected = F.interpolate(own, size=size, mode="bilinear", align_corners=False)
        assert torch.allclose(enlarged, expected, atol=1e-6)


def test_the_best_class_is_taken_after_enlarging() -> None:
    images = torch.randn(1, 3, *SIZE)
    labels = network(argmax=True)(images)
    assert labels.dtype == torch.uint8
    assert torch.equal(labels.long(), network()(images).argmax(1))


@pytest.mark.parametrize("stride", [0, 5, 8])
def test_a_stride_that_the_network_cannot_have_is_refused(stride: int) -> None:
    with pytest.raises(RecipeError) as caught:
        network(output_stride=stride)
    assert caught.value.code == "R242"


def test_several_classes_per_pixel_have_no_best_one() -> None:
    model = Subsampled()
    model.multilabel = True
    with pytest.raises(RecipeError) as caught:
        ExportedNetwork(model, GraphOptions(size=SIZE, argmax=True))
    assert caught.value.code == "R244"


def test_what_goes_in_and_out_is_described() -> None:
    fixed, free = network(), network(uint8_input=True, argmax=True, dynamic=True, output_stride=2)
    assert (fixed.input_facts().layout, fixed.input_facts().size, fixed.input_facts().batch) == ("NCHW", SIZE, 1)
    assert (fixed.output_facts().name, fixed.output_facts().stride) == ("logits", 1)
    assert (free.input_facts().dtype, free.input_facts().size, free.input_facts().batch) == ("uint8", None, None)
    assert (free.output_facts().name, free.output_facts().stride) == ("labels", 2)


def test_the_graph_of_any_size_takes_other_sizes_than_its_example() -> None:
    traced = network(dynamic=True)
    program = traced.program().module(check_guards=False)
    images = torch.randn(3, 3, 21, 10)
    assert torch.allclose(program(images), traced(images), atol=1e-5)
    assert traced.program() is traced.captured


class Undecided(Subsampled):
    """A layer whose control flow depends on its input."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.classifier(images if cast("bool", images.sum() > 0) else -images),)


def test_a_network_that_is_not_one_graph_is_said_so() -> None:
    with pytest.raises(NotOneGraphError) as caught:
        ExportedNetwork(Undecided(), GraphOptions(size=SIZE)).program()
    assert caught.value.__cause__ is not None


@pytest.mark.heavy
def test_the_sizes_in_the_graph_of_an_efficientnet_stay_short() -> None:
    """As timm computes its paddings, with `max` in every layer, capturing this network takes minutes."""
    network = ExportedNetwork(build_model(recipe("unet"), 2), GraphOptions(size=SIZE, dynamic=True)).eval()
    graph = network.program()
    assert not [node for node in graph.graph.nodes if "max" in str(node.target) and "max_pool" not in str(node.target)]
    for size in ((64, 96), (33, 71)):
        images = torch.rand(1, 3, *size)
        with torch.no_grad():
            assert torch.equal(graph.module()(images), network(images))


def test_one_slope_for_all_channels_is_a_constant_of_the_graph_and_the_network_is_not_changed() -> None:
    several = nn.PReLU(2)
    model = nn.Sequential(nn.PReLU(init=0.3), nn.Sequential(several, nn.ReLU())).eval()
    before, images = list(model.modules()), torch.randn(2, 2, 5, 7)
    wanted = model(images)
    with constant_slopes(model):
        assert [type(one) for one in model.modules()][1:] == [nn.LeakyReLU, nn.Sequential, nn.PReLU, nn.ReLU]
        assert torch.equal(model(images), wanted)
    assert list(model.modules()) == before
    assert dict(model.named_parameters()).keys() == {"0.weight", "1.0.weight"}
