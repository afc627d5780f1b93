"""Quantization-aware training of a network through its captured graph.

`torch.export` captures the graph of the network, and torchao's PT2E workflow (BSD-3-Clause) inserts the fake
quantization: a convolution and its batch normalisation become one quantized convolution, as a runtime computes it,
whose statistics are still learned. `annotation` decides which tensors are quantized,
`pixelwise.layers.fake_quantization` how.
"""

from __future__ import annotations

import logging
import math
import warnings

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from pixelwise.errors import RecipeError
from pixelwise.layers.fake_quantization import SCHEMES, FakeQuantization, QuantizationScheme, outlier_bound
from pixelwise.models.base import SegmentationModel
from pixelwise.models.quantization.annotation import MODES, WEIGHTED, aten, quantizer_of, tensor_of

CHECKED_SIZES = ((96, 160), (67, 101), (34, 257))
"""(height, width) of images with which a captured graph is compared with its network: multiples of 32, and others."""
SIMILAR = 5e-3
"""Largest difference of their logits, relative to the largest logit; a graph made for one size is far from it."""
RANDOM = ("bernoulli", "rand", "normal", "uniform", "exponential", "multinomial")


class QuantizationAwareModel(SegmentationModel):
    """A network whose head logits are computed with int8 weights and activations, simulated in float.

    `train()` and `eval()` switch the whole graph: in evaluation mode the ranges of activations are frozen, and
    there are no auxiliary logits.

    Args:
        network: The float network; this one takes over its weights, so it should not be used afterwards.
        scheme: A name in `pixelwise.layers.fake_quantization.SCHEMES`.

    Raises:
        RecipeError: R218, torchao is missing; R219, the network cannot be captured.
    """

    def __init__(self, network: SegmentationModel, scheme: str) -> None:
        super().__init__(network.spec, network.classes)
        self.align_corners = network.align_corners
        self.multilabel = network.multilabel
        self.scheme = scheme
        self.traced_size = _traced_size(network)
        graph = captured(network)
        if SCHEMES[scheme].clip_outliers:
            clip_outliers(graph)
        self.graph = _prepared(graph, SCHEMES[scheme])

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The head logits of the original network, from the quantized graph.

        Raises:
            RecipeError: R219, the graph was made for images of other sizes.
        """
        try:
            heads = self.graph(images)
        except AssertionError as error:  # how a graph refuses a size, see `captured`
            height, width = images.shape[-2:]
            condition = str(error).partition(chr(10))[0].removeprefix("Guard failed: ")
            condition = condition.replace("images.size()[2]", "height").replace("images.size()[3]", "width")
            raise RecipeError(
                "R219",
                f"the graph of '{self.spec.family}' for quantization-aware training accepts no images of "
                f"{width}x{height}: it needs {condition}",
                "take images of other sizes (augment.crop, evaluation.input_size), or train in float "
                "(quantization=none) and quantize it afterwards: pixelwise quantize RUN",
            ) from error
        return heads if self.training else heads[:1]

    def train(self, mode: bool = True) -> QuantizationAwareModel:
        """Switch the graph to training or evaluation mode."""
        self.training = mode
        for module in self.graph.modules():
            if isinstance(module, FakeQuantization):
                module.observing = mode
        set_mode(self.graph, mode)
        return self


class QuantizedModel(SegmentationModel):
    """A network after quantization-aware training: int8 weights, explicit quantize and dequantize operations.

    It computes what the trained network simulates, in evaluation mode only, and is the input of an export.

    Args:
        trained: The trained network, on the CPU; it is not modified.
    """

    def __init__(self, trained: QuantizationAwareModel) -> None:
        super().__init__(trained.spec, trained.classes)
        self.align_corners = trained.align_corners
        self.multilabel = trained.multilabel
        self.traced_size = trained.traced_size
        self.graph = converted(trained)
        # As the parameters of other networks do, it tells on which device and in which dtype images are expected.
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

    def head_logits(self, images: Tensor) -> tuple[Tensor, ...]:
        """The main logits; there are no auxiliary heads."""
        return (self.graph(images)[0],)

    def train(self, mode: bool = True) -> QuantizedModel:
        """Set the flag only: this network cannot be trained."""
        self.training = mode
        return self


def quantization_aware(network: SegmentationModel, scheme: str) -> SegmentationModel:
    """Prepare a network for training under a quantization scheme.

    Args:
        network: Network with initial or loaded weights, in training mode.
        scheme: Quantization scheme, `recipe.quantization`; `none`: the network is returned unchanged.

    Raises:
        RecipeError: R218 or R219, as for `QuantizationAwareModel`.
    """
    return network if scheme == "none" else QuantizationAwareModel(network, scheme)


def captured(network: SegmentationModel) -> GraphModule:
    """Capture the graph of a network's head logits in training mode, for any batch and image size.

    Parameters and buffers keep their names. Where the graph computes something else than the network at another size
    than the traced one, it refuses the sizes that tracing did not allow for.

    Raises:
        RecipeError: R219, PyTorch cannot trace the network.
    """
    network.train()
    device = next(network.parameters()).device
    # Zeros, because a random example would advance the random generator that training draws from.
    images = torch.zeros(2, len(network.preprocessing.mean), *_traced_size(network), device=device)
    size = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    network.forward = network.head_logits  # type: ignore[method-assign, assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(network, (images,), dynamic_shapes=(size,), strict=False)
    except Exception as error:  # the tracer raises many types of errors
        raise RecipeError(
            "R219",
            f"{type(network).__name__} does not support quantization-aware training: its graph cannot be captured "
            f"({str(error).strip().partition(chr(10))[0][:200]})",
            "train it in float (quantization=none) and quantize it afterwards: pixelwise quantize RUN",
        ) from error
    finally:
        del network.forward
    name = type(network).__name__
    # Tracing notes what it asked about sizes as conditions, most of them about layouts in memory, which change nothing.
    graph = _graph_of(program, name, checked=False)
    return graph if _accepts_any_size(graph, network) else _graph_of(program, name, checked=True)


def _traced_size(network: SegmentationModel) -> tuple[int, int]:
    """The largest `traced_size` of a network and its parts."""
    sizes = (size for part in network.modules() if (size := getattr(part, "traced_size", None)))
    return max(sizes, key=math.prod)


def _graph_of(program: ExportedProgram, name: str, *, checked: bool) -> GraphModule:
    """The graph of a traced network of the class `name`, which checks the conditions on its input or does not."""
    graph = program.module(check_guards=checked)
    assert isinstance(graph, GraphModule)  # noqa: S101 (what `module()` is documented to give)
    _refuse_random(graph, name)
    _without_counters(graph)
    return graph


@torch.no_grad()
def _accepts_any_size(graph: GraphModule, network: SegmentationModel) -> bool:
    """Whether a graph in training mode computes, in evaluation mode, what its network does at `CHECKED_SIZES`."""
    device, bands = next(network.parameters()).device, len(network.preprocessing.mean)
    set_mode(graph, False)
    network.eval()
    try:
        for height, width in CHECKED_SIZES:
            # No random numbers: training draws from the same generator.
            pattern = torch.arange(2 * bands * height * width, device=device).remainder(251) / 125 - 1
            images = pattern.view(2, bands, height, width)
            expected, found = network.head_logits(images)[0], graph(images)[0]
            tolerance = SIMILAR * float(expected.abs().max())
            if found.shape != expected.shape or not torch.allclose(found, expected, rtol=0, atol=tolerance):
                return False
    except RuntimeError:  # a graph that was made for other sizes fails at any of its operations
        return False
    finally:
        network.train()
        set_mode(graph, True)
    return True


@torch.no_grad()
def clip_outliers(graph: GraphModule) -> None:
    """Clip the weights of a captured graph to `outlier_bound`, computed with batch normalisation folded into them."""
    for node in graph.graph.nodes:
        if node.target not in WEIGHTED or node.args[1].op != "get_attr":
            continue
        weight = tensor_of(graph, node.args[1])
        scale = torch.ones(())
        after = next(iter(node.users)) if len(node.users) == 1 else None
        if after is not None and after.target is aten.batch_norm.default and after.args[1] is not None:
            gain, variance, eps = tensor_of(graph, after.args[1]), tensor_of(graph, after.args[4]), after.args[7]
            # The weights of a transposed convolution have the output channels in the second dimension.
            shape = (1, -1, 1, 1) if node.target is WEIGHTED[1] else (-1, *[1] * (weight.ndim - 1))
            scale = (gain / (variance + eps).sqrt()).reshape(shape)
        bound = outlier_bound(weight * scale)
        if bound is not None:
            # A channel that normalisation multiplies by 0 keeps its weights.
            weight.copy_(torch.where(scale == 0, weight, (weight * scale).clamp(-bound, bound) / scale))


def set_mode(graph: GraphModule, training: bool) -> None:
    """Switch batch normalisation and dropout of a captured graph to training or evaluation mode."""
    changed = False
    for node in graph.graph.nodes:
        place = MODES.get(node.target)
        if place is not None and node.args[place] != training:
            node.args = (*node.args[:place], training, *node.args[place + 1 :])
            changed = True
    if changed:
        graph.recompile()


def converted(model: QuantizationAwareModel) -> GraphModule:
    """The trained graph with real int8 weights and explicit quantize and dequantize operations, for export.

    Args:
        model: The trained network, on the CPU; it is not modified.

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
        # A forward pass updates the scales of the weights from the weights; this is the last one.
        graph(torch.zeros(1, len(model.preprocessing.mean), *model.traced_size))
        return convert_pt2e(graph)


def _prepared(graph: GraphModule, scheme: QuantizationScheme) -> GraphModule:
    """The captured graph with fake quantization inserted."""
    before = logging.root.manager.disable
    # torchao's import logs messages for PyTorch developers that users cannot act on.
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
    """Give a fake quantization that several nodes share a single name, so that it is saved once."""
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
    """Remove the batch counters: no statistic here depends on them, and they would also count evaluation batches."""
    for node in list(graph.graph.nodes):
        value = node.meta.get("val")
        if node.target is aten.add_.Tensor and isinstance(value, Tensor) and not value.is_floating_point():
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()


def _refuse_random(graph: GraphModule, name: str) -> None:
    """Refuse graphs with random operations that `set_mode` cannot turn off for evaluation."""
    for node in graph.graph.nodes:
        operation = str(node.target)
        if any(word in operation for word in RANDOM) and node.target not in MODES:
            raise RecipeError(
                "R219",
                f"{name} does not support quantization-aware training: its captured graph draws random numbers "
                f"({operation}) in evaluation as in training",
                "turn stochastic depth off in model, or train it in float (quantization=none)",
            )
