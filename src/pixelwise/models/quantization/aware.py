"""A network that is trained with its weights and activations rounded to 8 bits.

The network's graph is captured by `torch.export`, and torchao's PT2E workflow (BSD-3-Clause) inserts the rounding:
convolution and batch normalisation become one rounded convolution, as a runtime will compute it, whose statistics
are still learned. What is rounded where is decided here, how in `pixelwise.layers.fake_quantization`.
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from pixelwise.errors import RecipeError
from pixelwise.layers.fake_quantization import SCHEMES, FakeQuantization, QuantizationScheme, outlier_bound
from pixelwise.models.base import SegmentationModel
from pixelwise.models.quantization.annotation import MODES, WEIGHTED, aten, quantizer_of, tensor_of

if TYPE_CHECKING:
    pass

EXAMPLE_SIZE = (64, 96)
"""(height, width) of the images that the graph is captured with; it takes any other."""
RANDOM = ("bernoulli", "rand", "normal", "uniform", "exponential", "multinomial")


class QuantizationAwareModel(SegmentationModel):
    """A network whose head logits are computed with 8-bit weights and activations, simulated in float.

    `train()` and `eval()` change the whole graph: in evaluation mode the ranges of activations stay what they are,
    and auxiliary heads give nothing.

    Args:
        network: The float network; its weights are taken over and it should not be used any more.
        scheme: A name in `pixelwise.layers.fake_quantization.SCHEMES`.

    Raises:
        RecipeError: R218, torchao is missing; R219, the network cannot be captured.
    """

    def __init__(self, network: SegmentationModel, scheme: str) -> None:
        super().__init__(network.spec, network.classes)
        self.align_corners = network.align_corners
        self.multilabel = network.multilabel
        self.scheme = scheme
        graph = captured(network)
        if SCHEMES[scheme].clip_outliers:
            clip_outliers(graph)
        self.graph = _prepared(graph, SCHEMES[scheme])

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """As those of the network."""
        heads = self.graph(images)
        return heads if self.training else heads[:1]

    def train(self, mode: bool = True) -> QuantizationAwareModel:
        """Training or evaluation mode."""
        self.training = mode
        for module in self.graph.modules():
            if isinstance(module, FakeQuantization):
                module.observing = mode
        set_mode(self.graph, mode)
        return self


class QuantizedModel(SegmentationModel):
    """A network after quantization-aware training with 8-bit weights and explicit quantize and dequantize operations.

    It computes what the trained one simulates, in evaluation mode only, and is what an export takes.

    Args:
        trained: On the CPU; left as it is.
    """

    def __init__(self, trained: QuantizationAwareModel) -> None:
        super().__init__(trained.spec, trained.classes)
        self.align_corners = trained.align_corners
        self.multilabel = trained.multilabel
        self.graph = converted(trained)
        # Says on which device and in which type images are expected, as a network's parameters do.
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The main logits, alone."""
        return (self.graph(images)[0],)

    def train(self, mode: bool = True) -> QuantizedModel:
        """Changes nothing but the flag: there is no training any more."""
        self.training = mode
        return self


def quantization_aware(network: SegmentationModel, scheme: str) -> SegmentationModel:
    """The network as `scheme` trains it; itself for `none`.

    Args:
        network: Freshly built or filled, in training mode.
        scheme: `recipe.quantization`.

    Raises:
        RecipeError: R218 or R219, as `QuantizationAwareModel`.
    """
    return network if scheme == "none" else QuantizationAwareModel(network, scheme)


def captured(network: SegmentationModel) -> GraphModule:
    """The graph of a network's head logits in training mode, for any batch and image size.

    Names of parameters and buffers stay as they are.

    Raises:
        RecipeError: R219, PyTorch cannot follow what the network does.
    """
    network.train()
    device = next(network.parameters()).device
    # Random numbers for the example would shift those that training draws.
    images = torch.zeros(2, len(network.preprocessing.mean), *EXAMPLE_SIZE, device=device)
    size = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    network.forward = network.head_logits  # type: ignore[method-assign, assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = torch.export.export(network, (images,), dynamic_shapes=(size,), strict=False).module()
    except Exception as error:  # every kind of failure of the tracer ends here
        raise RecipeError(
            "R219",
            f"{type(network).__name__} cannot be trained quantization-aware: its graph cannot be captured "
            f"({str(error).strip().partition(chr(10))[0][:200]})",
            "train it in float (quantization=none) and quantize it afterwards: pixelwise quantize RUN",
        ) from error
    finally:
        del network.forward
    assert isinstance(graph, GraphModule)  # noqa: S101 (what `module()` is documented to give)
    _refuse_random(graph, type(network).__name__)
    _without_counters(graph)
    return graph


@torch.no_grad()
def clip_outliers(graph: GraphModule) -> None:
    """Clip the weights of a captured graph, as they are once normalisation is folded into them, to `outlier_bound`."""
    for node in graph.graph.nodes:
        if node.target not in WEIGHTED or node.args[1].op != "get_attr":
            continue
        weight = tensor_of(graph, node.args[1])
        scale = torch.ones(())
        after = next(iter(node.users)) if len(node.users) == 1 else None
        if after is not None and after.target is aten.batch_norm.default and after.args[1] is not None:
            gain, variance, eps = tensor_of(graph, after.args[1]), tensor_of(graph, after.args[4]), after.args[7]
            # Weights of a transposed convolution have the output channels second.
            shape = (1, -1, 1, 1) if node.target is WEIGHTED[1] else (-1, *[1] * (weight.ndim - 1))
            scale = (gain / (variance + eps).sqrt()).reshape(shape)
        bound = outlier_bound(weight * scale)
        if bound is not None:
            # A channel that normalisation takes away stays what it is.
            weight.copy_(torch.where(scale == 0, weight, (weight * scale).clamp(-bound, bound) / scale))


def set_mode(graph: GraphModule, training: bool) -> None:
    """Make batch normalisation and dropout of a captured graph train or not."""
    changed = False
    for node in graph.graph.nodes:
        place = MODES.get(node.target)
        if place is not None and node.args[place] != training:
            node.args = (*node.args[:place], training, *node.args[place + 1 :])
            changed = True
    if changed:
        graph.recompile()


def converted(model: QuantizationAwareModel) -> GraphModule:
    """The trained graph with real 8-bit weights and explicit quantize and dequantize operations, for export.

    Args:
        model: On the CPU; left as it is.

    Returns:
        A graph from (B, C, H, W) float images to the tuple of head logits, in evaluation mode.
    """
    import copy

    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    graph = copy.deepcopy(model.graph)
    set_mode(graph, False)
    for module in graph.modules():
        if isinstance(module, FakeQuantization):
            module.observing = False
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Scales of weights follow the weights whenever they are used; here for the last time.
        graph(torch.zeros(1, len(model.preprocessing.mean), *EXAMPLE_SIZE))
        return convert_pt2e(graph)


def _prepared(graph: GraphModule, scheme: QuantizationScheme) -> GraphModule:
    """The captured graph with rounding inserted."""
    before = logging.root.manager.disable
    # What torchao says to PyTorch's developers while it is imported is nothing that a user could act on.
    logging.disable(logging.WARNING)
    try:
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    except ImportError as error:
        raise RecipeError(
            "R218",
            "quantization-aware training needs torchao, which is not installed",
            "pip install 'pixelwise[quantization]'",
        ) from error
    finally:
        logging.disable(before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = prepare_qat_pt2e(graph, quantizer_of(scheme))
    _with_one_name_each(prepared)
    return prepared


def _with_one_name_each(graph: GraphModule) -> None:
    """Call a rounding that several places share by one name, so that it is saved once."""
    names: dict[int, str] = {}
    modules = dict(graph.named_modules(remove_duplicate=False))
    for node in graph.graph.nodes:
        if node.op == "call_module":
            node.target = names.setdefault(id(modules[node.target]), node.target)
    for name, module in modules.items():
        if names.get(id(module), name) != name:
            delattr(graph, name)
    graph.recompile()


def _without_counters(graph: GraphModule) -> None:
    """Leave out the counting of batches, which no statistic here depends on and which would count evaluations too."""
    for node in list(graph.graph.nodes):
        value = node.meta.get("val")
        if node.target is aten.add_.Tensor and isinstance(value, Tensor) and not value.is_floating_point():
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()


def _refuse_random(graph: GraphModule, name: str) -> None:
    """Refuse graphs whose training draws what evaluation must not."""
    for node in graph.graph.nodes:
        operation = str(node.target)
        if any(word in operation for word in RANDOM) and node.target not in MODES:
            raise RecipeError(
                "R219",
                f"{name} cannot be trained quantization-aware: its training draws random numbers ({operation}) that "
                "evaluation would draw, too",
                "turn stochastic depth off in model, or train it in float (quantization=none)",
            )
