"""A network that is trained with its weights and activations rounded to 8 bits.

The network's graph is captured by `torch.export`, and torchao's PT2E workflow (BSD-3-Clause) inserts the rounding:
convolution and batch normalisation become one rounded convolution, as a runtime will compute it, whose statistics
are still learned. What is rounded where is decided here, how in `pixelwise.layers.fake_quantization`.
"""

from __future__ import annotations

import functools
import logging
import operator
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from pixelwise.errors import RecipeError
from pixelwise.layers.fake_quantization import SCHEMES, FakeQuantization, QuantizationScheme, Rounding, outlier_bound
from pixelwise.models.base import SegmentationModel

if TYPE_CHECKING:
    from torchao.quantization.pt2e.quantizer import Quantizer

aten = torch.ops.aten
EXAMPLE_SIZE = (64, 96)
"""(height, width) of the images that the graph is captured with; it takes any other."""
WEIGHTED = (aten.conv2d.default, aten.conv_transpose2d.input, aten.linear.default, aten.convolution.default)
# Place of the argument that says whether the operation trains, and its value where it does not.
MODES = {
    aten.batch_norm.default: 5,
    aten.dropout.default: 2,
    aten.dropout_.default: 2,
    aten.feature_dropout.default: 2,
    aten.feature_dropout_.default: 2,
}
RANDOM = ("bernoulli", "rand", "normal", "uniform", "exponential", "multinomial")
RECTIFIERS = (
    aten.relu.default, aten.relu_.default, aten.hardtanh.default, aten.hardtanh_.default, aten.sigmoid.default,
    aten.hardsigmoid.default,
)  # fmt: skip
"""Their results are never negative (a clamp from 0 on is exported as hardtanh)."""
ARITHMETIC = (
    aten.add.Tensor, aten.add_.Tensor, aten.mul.Tensor, aten.mul_.Tensor, aten.cat.default, operator.add, operator.mul,
)  # fmt: skip
MOVING = (
    aten.upsample_bilinear2d.vec, aten.upsample_nearest2d.vec, aten.max_pool2d.default, aten.avg_pool2d.default,
    aten.adaptive_avg_pool2d.default, aten.mean.dim,
)  # fmt: skip
"""Their results lie in their input's range."""


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
        weight = _tensor(graph, node.args[1])
        scale = torch.ones(())
        after = next(iter(node.users)) if len(node.users) == 1 else None
        if after is not None and after.target is aten.batch_norm.default and after.args[1] is not None:
            gain, variance, eps = _tensor(graph, after.args[1]), _tensor(graph, after.args[4]), after.args[7]
            # Weights of a transposed convolution have the output channels second.
            shape = (1, -1, 1, 1) if node.target is WEIGHTED[1] else (-1, *[1] * (weight.ndim - 1))
            scale = (gain / (variance + eps).sqrt()).reshape(shape)
        bound = outlier_bound(weight * scale)
        if bound is not None:
            # A channel that normalisation takes away stays what it is.
            weight.copy_(torch.where(scale == 0, weight, (weight * scale).clamp(-bound, bound) / scale))


def _tensor(graph: GraphModule, node: Any) -> Tensor:
    """The parameter or buffer that a node reads."""
    found = operator.attrgetter(node.target)(graph)
    assert isinstance(found, Tensor)  # noqa: S101 (what `get_attr` is documented to give)
    return found


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
        prepared = prepare_qat_pt2e(graph, _quantizer(scheme))
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


def _quantizer(scheme: QuantizationScheme) -> Quantizer:
    """Torchao's interface to `annotate`."""
    from torchao.quantization.pt2e.quantizer import Quantizer

    class SchemeQuantizer(Quantizer):
        def annotate(self, model: GraphModule) -> GraphModule:
            annotate(model, scheme)
            return model

        def validate(self, model: GraphModule) -> None:
            pass

    return SchemeQuantizer()


def annotate(graph: GraphModule, scheme: QuantizationScheme) -> None:
    """Say what is rounded: images, weights, and every result between a convolution and what follows it.

    A convolution, its normalisation and its rectifier count as one operation, of which only the result is
    rounded. Results of pooling and resizing lie in the range of their input and are rounded alike.
    """
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            _round_result(node, _activation(scheme, never_negative=False))
        elif node.target in WEIGHTED:
            tensor = node.args[1].meta.get("val")
            channels = int(tensor.shape[0]) if scheme.per_channel and node.target is not WEIGHTED[1] else 1
            _annotation(node).input_qspec_map = {
                node.args[0]: _specification_of(node.args[0], scheme),
                node.args[1]: _weights(scheme, channels),
            }
            last = _last_of_operation(node)
            _round_result(last, _activation(scheme, never_negative=last.target in RECTIFIERS))
        elif scheme.shared and node.target in (aten.cat.default, *MOVING) and _is_features(node):
            _share_rounding(node, scheme)
        elif node.target in ARITHMETIC and _is_features(node):
            last = _last_of_operation(node)
            _round_result(last, _activation(scheme, never_negative=_never_negative(last)))
        elif node.target in MOVING and _is_features(node):
            _round_result(node, _activation(scheme, never_negative=_never_negative(node)))
    for node in graph.graph.nodes:
        if "quantization_annotation" in node.meta:
            node.meta["quantization_annotation"]._annotated = True


def _share_rounding(node: Any, scheme: QuantizationScheme) -> None:
    """Let the result of a node, and all that goes into it, be rounded as the first of its inputs."""
    from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

    inputs = node.args[0] if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
    shared = SharedQuantizationSpec((inputs[0], node))
    first = {inputs[0]: _specification_of(inputs[0], scheme)}
    _annotation(node).input_qspec_map = first | {other: shared for other in inputs[1:] if other is not inputs[0]}
    _round_result(node, shared)


def _specification_of(node: Any, scheme: QuantizationScheme) -> Any:
    """How the input of a convolution is rounded: as it was where it was made."""
    source = node
    while "quantization_annotation" not in source.meta and source.target in MODES:
        source = source.args[0]
    own = source.meta.get("quantization_annotation")
    if own is not None and own.output_qspec is not None:
        return own.output_qspec
    return _activation(scheme, never_negative=_never_negative(node))


def _activation(scheme: QuantizationScheme, *, never_negative: bool) -> Any:
    unsigned = scheme.unsigned and (scheme.zero_point or never_negative)
    low, high = (0, 255) if unsigned else (-128, 127)
    rounding = Rounding(
        "activations",
        low,
        high,
        symmetric=not scheme.zero_point,
        power_of_two=scheme.power_of_two,
        shrink=scheme.shrink,
    )
    return _specification(rounding)


def _weights(scheme: QuantizationScheme, channels: int) -> Any:
    largest = scheme.largest_weight
    # A power of two times 128 reaches the smallest weight exactly; other scales are made for the largest.
    low = -largest - 1 if scheme.power_of_two else -largest
    return _specification(Rounding("weights", low, largest, channels, power_of_two=scheme.power_of_two))


@functools.cache
def _specification(rounding: Rounding) -> Any:
    """Torchao's words for it; equal roundings get the same object, by which torchao knows them to be equal."""
    from torchao.quantization.pt2e.quantizer import QuantizationSpec

    per_channel = rounding.channels > 1
    return QuantizationSpec(
        dtype=torch.uint8 if rounding.low == 0 else torch.int8,
        observer_or_fake_quant_ctr=_adapter().with_args(rounding=rounding),
        quant_min=rounding.low,
        quant_max=rounding.high,
        qscheme=torch.per_channel_symmetric if per_channel else torch.per_tensor_affine,
        ch_axis=0 if per_channel else None,
    )


@functools.cache
def _adapter() -> Any:
    """`FakeQuantization` with the base class and the attributes that torchao looks for."""
    from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase

    class Adapter(FakeQuantizeBase, FakeQuantization):
        def __init__(self, rounding: Rounding, **_: object) -> None:
            FakeQuantization.__init__(self, rounding)
            self.dtype = torch.uint8 if rounding.low == 0 else torch.int8
            self.quant_min, self.quant_max = rounding.low, rounding.high
            per_channel = rounding.channels > 1
            self.qscheme = torch.per_channel_symmetric if per_channel else torch.per_tensor_affine
            self.ch_axis = 0 if per_channel else -1
            self.is_dynamic = False

        def forward(self, x: Tensor) -> Any:
            return FakeQuantization.forward(self, x)

        def calculate_qparams(self, **_: object) -> Any:
            return self.scale_and_zero_point()

    return Adapter


def _annotation(node: Any) -> Any:
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation

    return node.meta.setdefault("quantization_annotation", QuantizationAnnotation())


def _round_result(node: Any, specification: Any) -> None:
    annotation = _annotation(node)
    if annotation.output_qspec is None:
        annotation.output_qspec = specification


def _last_of_operation(node: Any) -> Any:
    """The normalisation or rectifier behind `node` that a runtime computes together with it; else `node`."""
    while len(node.users) == 1:
        after = next(iter(node.users))
        if after.target is not aten.batch_norm.default and after.target not in RECTIFIERS[:4]:
            break
        node = after
    return node


def _never_negative(node: Any) -> bool:
    """Whether a result is a rectifier's, or made of such results alone."""
    if node.target in RECTIFIERS:
        return True
    if node.target not in (*ARITHMETIC, *MOVING, *MODES):
        return False
    if node.target is aten.batch_norm.default:
        return False
    first = node.args[0]
    inputs: Sequence[Any] = first if isinstance(first, (list, tuple)) else [first]
    if node.target in ARITHMETIC and not isinstance(first, (list, tuple)):
        inputs = node.args[:2]
    return all(hasattr(source, "target") and _never_negative(source) for source in inputs)


def _is_features(node: Any) -> bool:
    """Whether a result is a float tensor of feature maps, not a size or a counter."""
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 4


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
