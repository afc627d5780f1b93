from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.errors import RecipeError
from pixelwise.layers.fake_quantization import FakeQuantization
from pixelwise.models.base import SegmentationModel
from pixelwise.models.quantization.aware import QuantizationAwareModel, converted, quantization_aware
from pixelwise.recipes.families.real_time.enet import ENetSpec

pytest.importorskip("torchao", reason="pip install 'pixelwise[quantization]'")


class Small(SegmentationModel):
    """Two scales, a sum, a concatenation, dropout, and an auxiliary head in training mode."""

    def __init__(self) -> None:
        super().__init__(ENetSpec(), ("a", "b", "c"))
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.dropout = nn.Dropout2d(0.5)
        self.classifier = nn.Conv2d(16, 3, 1, bias=False)
        self.auxiliary = nn.Conv2d(8, 3, 1)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = self.stem(images)
        fine = fine + self.block(fine)
        coarse = F.interpolate(self.down(fine), fine.shape[-2:], mode="bilinear")
        logits = self.classifier(self.dropout(torch.cat([fine, coarse], 1)))
        return (logits, self.auxiliary(coarse)) if self.training else (logits,)


class Stochastic(Small):
    """Draws random numbers in its forward pass."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        keep = torch.bernoulli(torch.full((images.shape[0], 1, 1, 1), 0.8)) if self.training else 1
        return super().head_logits(images * keep)


class Branching(Small):
    """Computes something else for wide images, which a graph cannot."""

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        return super().head_logits(images if images.shape[-1] < 200 else 2 * images)


@pytest.fixture(scope="module")
def trained() -> tuple[Small, QuantizationAwareModel]:
    """The float network with settled statistics, and the same after a few batches of quantization-aware training."""
    torch.manual_seed(0)
    network = Small().train()
    for _ in range(20):
        network.head_logits(torch.randn(4, 3, 32, 48))
    float_network = copy.deepcopy(network)
    model = quantization_aware(network, "edgeai-8bit")
    assert isinstance(model, QuantizationAwareModel)
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model.head_logits(torch.randn(4, 3, 32, 48))
    return float_network, model


def test_none_leaves_the_network_as_it_is():
    network = Small()
    assert quantization_aware(network, "none") is network


@pytest.mark.heavy
def test_eight_bits_change_the_logits_a_little_and_only_a_little(trained):
    network, model = trained
    # The statistics that the rounded network learned meanwhile, without the rounding.
    state = {name.removeprefix("graph."): value for name, value in model.state_dict().items()}
    network.load_state_dict({name: value for name, value in state.items() if name in network.state_dict()})
    images = torch.randn(1, 3, 33, 47)
    with torch.no_grad():
        expected, rounded = network.eval()(images), model.eval()(images)
    assert rounded.shape == (1, 3, 33, 47)
    difference = (rounded - expected).abs().max() / expected.abs().max()
    assert 0 < difference < 0.08


def test_evaluation_mode_has_no_dropout_no_auxiliary_head_and_moves_no_range(trained):
    _, model = trained
    images = torch.randn(2, 3, 32, 32)
    model.train()
    assert len(model.head_logits(images)) == 2
    model.eval()
    assert len(model.head_logits(images)) == 1  # ranges of weights follow what the last training step left
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(model.head_logits(images)[0], model.head_logits(images)[0])
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_training_mode_draws_dropout_and_learns_statistics(trained):
    model = copy.deepcopy(trained[1]).train()
    images = torch.randn(2, 3, 32, 32)
    before = {name: value.clone() for name, value in model.named_buffers()}
    first, second = model.head_logits(images)[0], model.head_logits(images)[0]
    assert not torch.equal(first, second)
    moved = {name.rpartition(".")[2] for name, value in model.named_buffers() if not torch.equal(value, before[name])}
    assert {"running_mean", "running_var", "maximum", "batches"} <= moved


def test_every_parameter_gets_a_gradient(trained):
    model = copy.deepcopy(trained[1]).train()
    sum(logits.square().sum() for logits in model.head_logits(torch.randn(2, 3, 32, 32))).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    assert {name.removeprefix("graph.") for name, _ in model.named_parameters()} == {
        name for name, _ in Small().named_parameters()
    }


def test_every_scale_of_edgeai_is_a_power_of_two_and_of_one_tensor(trained):
    _, model = trained
    roundings = [module for module in model.graph.modules() if isinstance(module, FakeQuantization)]
    # The images, 3 + 2 convolutions' weights and results, the sum, the concatenation, the resized features.
    assert len(roundings) >= 13
    for rounding in roundings:
        scale, zero_point = rounding.scale_and_zero_point()
        assert scale.numel() == 1
        assert int(zero_point) == 0
        assert float(torch.log2(scale)) == int(torch.log2(scale))


def test_results_of_rectifiers_are_unsigned_and_others_signed(trained):
    _, model = trained
    activations = [
        module.rounding.low
        for module in model.graph.modules()
        if isinstance(module, FakeQuantization) and module.rounding.of == "activations"
    ]
    # Signed: the images and the two heads' logits.
    assert sorted(activations)[:3] == [-128, -128, -128]
    assert set(activations[:]) == {-128, 0}
    assert activations.count(-128) == 3


@pytest.mark.heavy
@pytest.mark.parametrize("scheme", ["x86-8bit", "xnnpack-8bit"])
def test_other_schemes_have_a_scale_per_channel_and_zero_points(scheme):
    torch.manual_seed(0)
    model = quantization_aware(Small(), scheme).train()
    with torch.no_grad():
        model.head_logits(torch.randn(4, 3, 32, 48))
    roundings = [module for module in model.modules() if isinstance(module, FakeQuantization)]
    assert {module.rounding.channels for module in roundings if module.rounding.of == "weights"} == {8, 3}
    lows = {module.rounding.low for module in roundings if module.rounding.of == "activations"}
    assert lows == ({0} if scheme == "x86-8bit" else {-128})


@pytest.mark.heavy
def test_xnnpack_rounds_what_is_joined_or_resized_with_one_scale():
    torch.manual_seed(0)
    model = quantization_aware(Small(), "xnnpack-8bit").train()
    assert isinstance(model, QuantizationAwareModel)
    tensors = [tensor for tensor in model.state_dict().values() if tensor.numel()]
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)  # nothing is saved twice
    with torch.no_grad():
        for _ in range(3):
            model.head_logits(torch.randn(4, 3, 32, 48))

    graph = converted(model).graph
    (joined,) = (node for node in graph.nodes if node.target is torch.ops.aten.cat.default)
    (rounded,) = joined.users
    scales = {(node.args[1], node.args[2]) for node in (*joined.args[0], rounded)}
    assert len(joined.args[0]) == 2
    assert len(scales) == 1
    resized = next(node for node in graph.nodes if node.target is torch.ops.aten.upsample_bilinear2d.vec)
    assert {(node.args[1], node.args[2]) for node in (resized.args[0], *resized.users)} == scales


@pytest.mark.heavy
@pytest.mark.parametrize(("scheme", "largest"), [("edgeai-8bit", 15.0), ("x86-8bit", 50.0)])
def test_edgeai_clips_what_normalisation_makes_an_outlier(scheme, largest):
    network = Small()
    conv, norm = network.block[0], network.block[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        conv.weight.fill_(1)
        norm.eps = 1e-12
        # Its standard deviation is 1/50: channel 3 is multiplied by 50, the others by 1.
        norm.running_var[3] = 1 / 2500  # type: ignore[index]

    model = quantization_aware(network, scheme)

    clipped = dict(model.named_parameters())["graph.block.0.weight"].detach()
    torch.testing.assert_close(clipped[3] * 50, torch.full_like(clipped[3], largest))
    assert (clipped[[0, 1, 2, 4, 5, 6, 7]] == 1).all()


@pytest.mark.heavy
def test_the_converted_graph_computes_what_was_simulated(trained):
    _, model = trained
    images = torch.randn(1, 3, 40, 56)
    graph = converted(model)
    with torch.no_grad():
        simulated = model.eval().head_logits(images)[0]
        real = graph(images)[0]
    assert torch.allclose(simulated, real, atol=1e-5)
    kinds = {tensor.dtype for tensor in graph.state_dict().values()}
    assert torch.int8 in kinds


@pytest.mark.heavy
def test_a_second_network_takes_the_weights_of_the_first(trained):
    _, model = trained
    other = quantization_aware(Small(), "edgeai-8bit")
    other.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(other.eval()(images), model.eval()(images))


def test_networks_that_draw_random_numbers_are_refused_with_the_reason():
    with pytest.raises(RecipeError, match=r"Stochastic.*aten\.\w*(rand|bernoulli)") as raised:
        quantization_aware(Stochastic(), "x86-8bit")
    assert raised.value.code == "R219"


def test_a_graph_refuses_sizes_at_which_its_network_computes_something_else():
    model = QuantizationAwareModel(Branching(), "x86-8bit").eval()
    assert model.head_logits(torch.zeros(1, 3, 32, 199))[0].shape == (1, 3, 16, 100)
    with pytest.raises(RecipeError, match=r"accepts no images of 200x32: it needs width <= 199") as raised:
        model.head_logits(torch.zeros(1, 3, 32, 200))
    assert raised.value.code == "R219"
    assert "pixelwise quantize RUN" in raised.value.help
