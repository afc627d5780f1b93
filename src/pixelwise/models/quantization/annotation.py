"""Annotation of the tensors of a captured graph that are quantized to 8 bits: a torchao quantizer per scheme."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from pixelwise.layers.fake_quantization import FakeQuantization, QuantizationScheme, Rounding

if TYPE_CHECKING:
    from torchao.quantization.pt2e.quantizer import Quantizer


aten = torch.ops.aten


WEIGHTED = (aten.conv2d.default, aten.conv_transpose2d.input, aten.linear.default, aten.convolution.default)


# Operation -> position of its argument that switches between training and evaluation mode.
MODES = {
    aten.batch_norm.default: 5,
    aten.dropout.default: 2,
    aten.dropout_.default: 2,
    aten.feature_dropout.default: 2,
    aten.feature_dropout_.default: 2,
}


RECTIFIERS = (
    aten.relu.default, aten.relu_.default, aten.hardtanh.default, aten.hardtanh_.default, aten.sigmoid.default,
    aten.hardsigmoid.default,
)  # fmt: skip
"""Operations whose results are never negative (a clamp with minimum 0 is exported as hardtanh)."""


ARITHMETIC = (
    aten.add.Tensor, aten.add_.Tensor, aten.mul.Tensor, aten.mul_.Tensor, aten.cat.default, operator.add, operator.mul,
)  # fmt: skip


MOVING = (
    aten.upsample_bilinear2d.vec, aten.upsample_nearest2d.vec, aten.max_pool2d.default, aten.avg_pool2d.default,
    aten.adaptive_avg_pool2d.default, aten.mean.dim,
)  # fmt: skip
"""Operations whose results lie in the range of their input."""


def tensor_of(graph: GraphModule, node: Any) -> Tensor:
    """The parameter or buffer that a node reads."""
    found = operator.attrgetter(node.target)(graph)
    assert isinstance(found, Tensor)  # noqa: S101 (what `get_attr` is documented to give)
    return found


def quantizer_of(scheme: QuantizationScheme) -> Quantizer:
    """A torchao quantizer that calls `annotate`."""
    from torchao.quantization.pt2e.quantizer import Quantizer

    class SchemeQuantizer(Quantizer):
        def annotate(self, model: GraphModule) -> GraphModule:
            annotate(model, scheme)
            return model

        def validate(self, model: GraphModule) -> None:
            pass

    return SchemeQuantizer()


def annotate(graph: GraphModule, scheme: QuantizationScheme) -> None:
    """Mark the tensors to quantize: images, weights, and the feature maps between operations.

    A convolution, its normalisation and its rectifier count as one operation, of which only the result is
    quantized. Results of pooling and resizing, which lie in the range of their input, are quantized as well.
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
    """Quantize the result of a node and all its inputs with the scale and zero point of its first input."""
    from torchao.quantization.pt2e.quantizer import SharedQuantizationSpec

    inputs = node.args[0] if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
    shared = SharedQuantizationSpec((inputs[0], node))
    first = {inputs[0]: _specification_of(inputs[0], scheme)}
    _annotation(node).input_qspec_map = first | {other: shared for other in inputs[1:] if other is not inputs[0]}
    _round_result(node, shared)


def _specification_of(node: Any, scheme: QuantizationScheme) -> Any:
    """The specification of a convolution's input: the one of the operation that produced it."""
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
    # A power-of-two range is 128 steps long, so -128 is its exact lower end; other scales fit the largest weight.
    low = -largest - 1 if scheme.power_of_two else -largest
    return _specification(Rounding("weights", low, largest, channels, power_of_two=scheme.power_of_two))


@functools.cache
def _specification(rounding: Rounding) -> Any:
    """The torchao specification; cached, because torchao recognises equal specifications by object identity."""
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
    """`FakeQuantization` with the base class and the attributes that torchao requires."""
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
    """The normalisation or rectifier after `node` that a runtime fuses with it; else `node` itself."""
    while len(node.users) == 1:
        after = next(iter(node.users))
        if after.target is not aten.batch_norm.default and after.target not in RECTIFIERS[:4]:
            break
        node = after
    return node


def _never_negative(node: Any) -> bool:
    """Whether a result comes from a rectifier, or is computed from such results only."""
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
