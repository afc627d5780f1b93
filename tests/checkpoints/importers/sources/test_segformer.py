"""Imported SegFormers against the originals: transformers itself, and a statement by mmsegmentation's key names."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.checkpoints.importers.importing import import_weights
from pixelwise.errors import CheckpointError
from pixelwise.models import SegmentationModel, build_model
from pixelwise.models.segformer import SegFormer
from pixelwise.recipes.families.segformer import SegFormerSpec

State = dict[str, Tensor]

CHANNELS = (32, 64, 160, 256)
HEADS = (1, 2, 5, 8)
REDUCTIONS = (8, 4, 2, 1)
PREFIXES = {"united-perception": ("encoder", "decoder"), "mmsegmentation": ("backbone", "decode_head")}


def build(head: str, encoder: str = "mit_b0", num_classes: int = 5) -> SegmentationModel:
    model = build_model(SegFormerSpec(encoder=encoder, head=head), num_classes)  # type: ignore[arg-type]
    assert isinstance(model, SegFormer)
    return model.eval()


def randomise(state: State) -> State:
    """Random weights and statistics far from their initial values."""
    generator = torch.Generator().manual_seed(17)
    for key, tensor in state.items():
        if key.endswith("num_batches_tracked"):
            tensor.fill_(1234)
        elif key.endswith("running_var") or (tensor.ndim == 1 and key.endswith("weight")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.ndim == 1:
            tensor.normal_(0, 0.3, generator=generator)
        else:
            tensor.normal_(0, 1 / math.sqrt(tensor[0].numel()), generator=generator)
    return state


def openmmlab_shapes(encoder: str, head: str, num_classes: int = 5) -> dict[str, tuple[int, ...]]:
    """Key -> shape of the original with the encoder b0."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    for stage, width in enumerate(CHANNELS):
        at = f"{encoder}.layers.{stage}"
        kernel, inputs = (3, CHANNELS[stage - 1]) if stage else (7, 3)
        layer(f"{at}.0.projection", width, inputs, kernel, kernel)
        layer(f"{at}.0.norm", width)
        for block in (f"{at}.1.0", f"{at}.1.1"):
            for norm in ("norm1", "norm2"):
                layer(f"{block}.{norm}", width)
            shapes[f"{block}.attn.attn.in_proj_weight"] = (3 * width, width)
            shapes[f"{block}.attn.attn.in_proj_bias"] = (3 * width,)
            layer(f"{block}.attn.attn.out_proj", width, width)
            if REDUCTIONS[stage] > 1:
                layer(f"{block}.attn.sr", width, width, REDUCTIONS[stage], REDUCTIONS[stage])
                layer(f"{block}.attn.norm", width)
            layer(f"{block}.ffn.layers.0", 4 * width, width, 1, 1)
            layer(f"{block}.ffn.layers.1", 4 * width, 1, 3, 3)
            layer(f"{block}.ffn.layers.4", width, 4 * width, 1, 1)
        layer(f"{at}.2", width)
    layer(f"{head}.conv_seg", num_classes, 256, 1, 1)
    convs = {f"{head}.convs.{scale}": width for scale, width in enumerate(CHANNELS)}
    for name, width in {**convs, f"{head}.fusion_conv": 1024}.items():
        shapes[f"{name}.conv.weight"] = (256, width, 1, 1)
        layer(f"{name}.bn", 256)
        shapes[f"{name}.bn.running_mean"] = shapes[f"{name}.bn.running_var"] = (256,)
        shapes[f"{name}.bn.num_batches_tracked"] = ()
    return shapes


def openmmlab_state(source: str) -> State:
    shapes = openmmlab_shapes(*PREFIXES[source])
    counters = {key: torch.long for key in shapes if key.endswith("num_batches_tracked")}
    return randomise({key: torch.zeros(shape, dtype=counters.get(key)) for key, shape in shapes.items()})


class OpenMMLab:
    """The forward pass of mmsegmentation and United Perception, with functions and nn.MultiheadAttention."""

    def __init__(self, state: State, encoder: str, head: str) -> None:
        self.state, self.encoder, self.head = state, encoder, head

    def params(self, name: str) -> tuple[Tensor, Tensor]:
        return self.state[f"{name}.weight"], self.state[f"{name}.bias"]

    def norm(self, tokens: Tensor, name: str) -> Tensor:
        return F.layer_norm(tokens, tokens.shape[-1:], *self.params(name), eps=1e-6)

    def conv(self, tokens: Tensor, size: tuple[int, int], name: str, **options: Any) -> Tensor:
        return F.conv2d(tokens.transpose(1, 2).unflatten(2, size), *self.params(name), **options)

    def attention(self, tokens: Tensor, size: tuple[int, int], name: str, heads: int, reduction: int) -> Tensor:
        width = tokens.shape[-1]
        module = nn.MultiheadAttention(width, heads, batch_first=True)
        prefix = f"{name}.attn.attn."
        module.load_state_dict({k.removeprefix(prefix): v for k, v in self.state.items() if k.startswith(prefix)})
        keys = tokens
        if reduction > 1:
            reduced = self.conv(tokens, size, f"{name}.attn.sr", stride=reduction)
            keys = self.norm(reduced.flatten(2).transpose(1, 2), f"{name}.attn.norm")
        return module(tokens, keys, keys)[0]

    def feed_forward(self, tokens: Tensor, size: tuple[int, int], name: str) -> Tensor:
        inner = self.conv(tokens, size, f"{name}.ffn.layers.0")
        inner = F.conv2d(inner, *self.params(f"{name}.ffn.layers.1"), padding=1, groups=inner.shape[1])
        return F.conv2d(F.gelu(inner), *self.params(f"{name}.ffn.layers.4")).flatten(2).transpose(1, 2)

    def conv_bn_relu(self, x: Tensor, name: str) -> Tensor:
        s = self.state
        x = F.conv2d(x, s[f"{name}.conv.weight"])
        return F.relu(
            F.batch_norm(x, s[f"{name}.bn.running_mean"], s[f"{name}.bn.running_var"], *self.params(f"{name}.bn"))
        )

    def __call__(self, image: Tensor) -> Tensor:
        x, scales = image, []
        for stage, (heads, reduction) in enumerate(zip(HEADS, REDUCTIONS, strict=True)):
            at = f"{self.encoder}.layers.{stage}"
            stride, padding = (2, 1) if stage else (4, 3)
            x = F.conv2d(x, *self.params(f"{at}.0.projection"), stride=stride, padding=padding)
            size = (x.shape[2], x.shape[3])
            tokens = self.norm(x.flatten(2).transpose(1, 2), f"{at}.0.norm")
            for block in (f"{at}.1.0", f"{at}.1.1"):
                normed = self.norm(tokens, f"{block}.norm1")
                tokens = tokens + self.attention(normed, size, block, heads, reduction)
                tokens = tokens + self.feed_forward(self.norm(tokens, f"{block}.norm2"), size, block)
            x = self.norm(tokens, f"{at}.2").transpose(1, 2).unflatten(2, size)
            scales.append(x)
        projected = [self.conv_bn_relu(scale, f"{self.head}.convs.{i}") for i, scale in enumerate(scales)]
        enlarged = [F.interpolate(scale, size=projected[0].shape[2:], mode="bilinear") for scale in projected]
        fused = self.conv_bn_relu(torch.cat(enlarged, dim=1), f"{self.head}.fusion_conv")
        return F.conv2d(fused, *self.params(f"{self.head}.conv_seg"))


def assert_close(logits: Tensor, expected: Tensor) -> None:
    assert logits.shape == expected.shape
    assert expected.std() > 0.1  # the comparison is of something
    assert (logits - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("source", PREFIXES)
@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_imported_convolution_heads_give_the_original_s_logits(source: str, size: tuple[int, int]) -> None:
    state = openmmlab_state(source)
    model = build("convolution")
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(5))

    report = import_weights(model, state, source)
    with torch.no_grad():
        assert_close(model.head_logits(images)[0], OpenMMLab(state, *PREFIXES[source])(images))

    assert {key for key, _ in report.mapped} == set(state)
    assert sorted(ours for _, ours in report.mapped) == sorted(model.state_dict())
    assert (report.dropped, report.missing, report.mismatched) == ((), (), ())


def huggingface_model(**config: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(num_labels=5, **config)).eval()
    model.load_state_dict(randomise(model.state_dict()))
    return model


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("encoder", "config"), [("mit_b0", {}), ("mit_b1", {"hidden_sizes": [64, 128, 320, 512]})], ids=["b0", "b1"]
)
@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_imported_transformers_give_their_logits(encoder: str, config: dict[str, Any], size: tuple[int, int]) -> None:
    original = huggingface_model(**config)
    model = build("mlp", encoder)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(5))

    report = import_weights(model, original.state_dict(), "huggingface")
    with torch.no_grad():
        assert_close(model.head_logits(images)[0], original(images).logits)

    assert sorted(ours for _, ours in report.mapped) == sorted(model.state_dict())


PUBLISHED_NAMES = (
    (r"^segformer\.stages\.(\d)\.patch_embeddings\.", r"segformer.encoder.patch_embeddings.\1."),
    (r"^segformer\.stages\.(\d)\.blocks\.", r"segformer.encoder.block.\1."),
    (r"^segformer\.stages\.(\d)\.layer_norm\.", r"segformer.encoder.layer_norm.\1."),
    (r"attention\.q_proj", "attention.self.query"),
    (r"attention\.k_proj", "attention.self.key"),
    (r"attention\.v_proj", "attention.self.value"),
    (r"attention\.sequence_reduction\.sequence_reduction", "attention.self.sr"),
    (r"attention\.sequence_reduction\.layer_norm", "attention.self.layer_norm"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.fc(\d)", r"mlp.dense\1"),
    (r"layernorm_before", "layer_norm_1"),
    (r"layernorm_after", "layer_norm_2"),
    (r"decode_head\.linear_projections", "decode_head.linear_c"),
)
"""From the names of transformers 5 in memory to those of the published files."""


def test_the_published_files_names_give_the_same_network() -> None:
    state = huggingface_model().state_dict()
    published = {}
    for key, tensor in state.items():
        for pattern, replacement in PUBLISHED_NAMES:
            key = re.sub(pattern, replacement, key)
        published[key] = tensor
    first, second = build("mlp"), build("mlp")

    import_weights(first, state, "huggingface")
    import_weights(second, published, "huggingface")

    assert "segformer.encoder.block.0.1.attention.self.key.weight" in published
    assert "decode_head.linear_c.3.proj.bias" in published
    ours = second.state_dict()
    assert all(torch.equal(tensor, ours[key]) for key, tensor in first.state_dict().items())


@pytest.mark.parametrize(
    ("source", "head", "encoder", "message", "help"),
    [
        ("mmsegmentation", "mlp", "mit_b0", "'convolution'.*'mlp'", "model.head=convolution"),
        ("mmsegmentation", "convolution", "mit_b1", "'mit_b0'.*'mit_b1'", "model.encoder=mit_b0"),
        ("mmsegmentation", "convolution", "resnet18", "MiT.*'resnet18'", "model.encoder=mit_b0"),
        ("united-perception", "convolution", "mit_b0", r"'encoder\.layers\.'", "`source` mmsegmentation"),
        ("huggingface", "mlp", "mit_b0", r"'segformer\.'", "`source` mmsegmentation"),
    ],
)
def test_weights_of_another_network_are_refused_with_the_way_out(
    source: str, head: str, encoder: str, message: str, help: str
) -> None:
    model = build(head, encoder)
    before = model.head.classifier.weight.clone()  # type: ignore[union-attr, operator]

    with pytest.raises(CheckpointError, match=message) as caught:
        import_weights(model, openmmlab_state("mmsegmentation"), source)

    assert caught.value.code == "K402"
    assert help in caught.value.help
    assert torch.equal(model.head.classifier.weight, before)  # type: ignore[union-attr, arg-type]


def test_weights_of_an_hrnet_of_the_same_source_are_refused_with_the_way_out() -> None:
    state = {"encoder.transition1.0.0.weight": torch.zeros(1), "decoder.last_layer.3.weight": torch.zeros(1)}

    with pytest.raises(CheckpointError, match=r"'encoder\.layers\.'") as caught:
        import_weights(build("convolution"), state, "united-perception")

    assert caught.value.code == "K402"
    assert "family hrnet or ocrnet" in caught.value.help


def test_a_huggingface_head_does_not_fit_the_convolution_head() -> None:
    state = huggingface_model().state_dict()

    with pytest.raises(CheckpointError, match=r"'mlp'.*'convolution'") as caught:
        import_weights(build("convolution"), state, "huggingface")

    assert caught.value.code == "K402"
    assert "model.head=mlp" in caught.value.help


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"conv_seg\.weight .*\b5 outputs.*\b4 classes") as caught:
        import_weights(build("convolution", num_classes=4), openmmlab_state("mmsegmentation"), "mmsegmentation")

    assert caught.value.code == "K403"
