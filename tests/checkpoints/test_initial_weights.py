from __future__ import annotations

import contextlib
import hashlib
import http.server
import importlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import timm
import torch
from timm.models import adapt_input_conv

from pixelwise.checkpoints.encoders.fitting import for_channels
from pixelwise.checkpoints.initial_weights import initialize
from pixelwise.errors import CheckpointError
from pixelwise.models import build_model
from pixelwise.recipes.families.fpn import FPNSpec
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.families.segformer import SegFormerSpec
from pixelwise.recipes.families.unet import UNetSpec
from pixelwise.recipes.schema.model import Preprocessing, Spec
from pixelwise.recipes.schema.recipe import Initialize

ENCODER = "mobilenetv3_small_050"
TAG = f"{ENCODER}.lamb_in1k"


class Hub(http.server.ThreadingHTTPServer):
    """The part of the Hugging Face hub that downloading a file needs."""

    content: bytes = b""


class Answers(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        assert isinstance(self.server, Hub)
        content = self.server.content
        if self.path != f"/timm/{TAG}/resolve/main/model.safetensors":
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", hashlib.sha1(content, usedforsecurity=False).hexdigest())
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def weights(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return dict(timm.create_model(ENCODER).state_dict())


def ask(port: int, home: Path, name: str, *, offline: bool = False) -> dict[str, Any]:
    """Initialise an encoder from the hub at a port, as a process does whose environment names it."""
    environment = {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(home / "hub"),
        "XDG_CACHE_HOME": str(home),
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    torch.manual_seed(0)
    model = build_model(UNetSpec(encoder=ENCODER, decoder_channels=(8,)), 2)
    before = torch.get_rng_state()
    with as_in(environment):
        try:
            digest = initialize(model, Initialize(encoder=name))
        except CheckpointError as error:
            return {"code": error.code, "message": error.message, "help": error.help}
    stem = model.state_dict()["encoder.network.conv_stem.weight"]
    same = torch.equal(before, torch.get_rng_state())
    return {"sha256": digest, "stem": stem.flatten()[:4].tolist(), "same_random_state": same}


@contextlib.contextmanager
def as_in(environment: dict[str, str]) -> Iterator[None]:
    """The hub's client as it is in a process with that environment, which it reads when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        importlib.reload(huggingface_hub.constants)
        try:
            yield
        finally:
            patch.undo()
            importlib.reload(huggingface_hub.constants)
            huggingface_hub.close_session()


def test_weights_come_from_the_hub_once_and_are_remembered(hub: Hub, tmp_path: Path) -> None:
    published = weights(1)
    hub.content = safetensors.torch.save(published)

    first = ask(hub.server_port, tmp_path, TAG)

    assert first["stem"] == pytest.approx(published["conv_stem.weight"].flatten()[:4].tolist())
    assert first["same_random_state"]
    hub.content = b""  # the second time nothing is downloaded
    assert ask(hub.server_port, tmp_path, TAG, offline=True) == first


@pytest.mark.heavy
def test_weights_that_changed_since_the_first_download_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.content = safetensors.torch.save(weights(1))
    first = ask(hub.server_port, tmp_path, TAG)
    hub.content = safetensors.torch.save(weights(2))

    found = ask(hub.server_port, tmp_path, TAG)

    assert found["code"] == "K442"
    assert first["sha256"][:12] in found["message"]


def test_without_a_network_the_error_says_how_to_go_on(tmp_path: Path) -> None:
    found = ask(1, tmp_path, TAG, offline=True)

    assert found["code"] == "K440"
    assert TAG in found["message"]
    assert "initialize.encoder=none" in found["help"]


def test_random_weights_are_left_alone() -> None:
    model = build_model(ENetSpec(), 2)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    assert initialize(model, Initialize()) is None
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_that_timm_does_not_have_are_refused_with_those_it_has() -> None:
    model = build_model(UNetSpec(encoder="resnet18", decoder_channels=(8,)), 2)

    with pytest.raises(CheckpointError, match=r"'resnet18\.imagenet'.* resnet18\.a1_in1k") as caught:
        initialize(model, Initialize(encoder="resnet18.imagenet"))
    assert caught.value.code == "K441"


def test_a_network_without_an_encoder_takes_none() -> None:
    with pytest.raises(CheckpointError, match=r"'resnet18\.a1_in1k'.*\bENet\b") as caught:
        initialize(build_model(ENetSpec(), 2), Initialize(encoder="resnet18.a1_in1k"))
    assert caught.value.code == "K441"


@pytest.mark.heavy
def test_a_segformer_encoder_is_read_from_a_classification_network_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(5)
    theirs = transformers.SegformerForImageClassification(transformers.SegformerConfig()).eval()
    theirs.save_pretrained(tmp_path / "published")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: str(tmp_path / "published" / file))
    model = build_model(SegFormerSpec(encoder="mit_b0", head="mlp"), 3).eval()

    digest = initialize(model, Initialize(encoder="nvidia/mit-b0"))

    assert digest is not None
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        expected = theirs.segformer(images, output_hidden_states=True).hidden_states
        found = model.encoder(images)  # type: ignore[operator]
    for ours, map_of_theirs in zip(found, expected, strict=True):
        assert torch.allclose(ours, map_of_theirs, atol=1e-4, rtol=1e-4)


Published = dict[str, dict[str, torch.Tensor]]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Published:
    """Pretrained tensors from timm, by tag; random instead of downloaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    given: Published = {}
    create: Callable[..., torch.nn.Module] = timm.create_model

    def create_without_download(name: str, *, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        if not pretrained:
            return create(name, **options)
        torch.manual_seed(len(name))
        network = create(name, **options)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
        given[name] = {key: value.clone() for key, value in network.state_dict().items()}
        return network

    monkeypatch.setattr(timm, "create_model", create_without_download)
    return given


@pytest.mark.parametrize("wrap", ["plain", "Lightning", "in a network", "pickled"])
def test_weights_are_read_from_a_file(tmp_path: Path, wrap: str) -> None:
    theirs = timm.create_model(ENCODER)
    state = theirs.state_dict()
    content: Any = {
        "plain": state,
        "Lightning": {"state_dict": {f"model.encoder.{key}": value for key, value in state.items()}, "epoch": 3},
        "in a network": {**{f"encoder.{key}": value for key, value in state.items()}, "head.weight": torch.randn(2, 3)},
        "pickled": theirs,
    }[wrap]
    torch.save(content, tmp_path / "weights")
    model = build_model(UNetSpec(encoder=ENCODER, decoder_channels=(8,)), 2)
    said: list[str] = []

    digest = initialize(model, Initialize(encoder=str(tmp_path / "weights")), say=said.append)

    assert digest == hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()
    prefix = "encoder.network."
    own = model.state_dict().items()
    loaded = {key.removeprefix(prefix): value for key, value in own if key.startswith(prefix)}
    common = [key for key in state if key in loaded and not key.endswith("num_batches_tracked")]
    assert len(common) > 100
    assert all(torch.equal(loaded[key], state[key]) for key in common)
    assert ("under 'model.encoder.'" in " ".join(said)) == (wrap == "Lightning")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda state: {**state, "conv_stem.weight": state["conv_stem.weight"] * float("nan")}, "K480"),
        (lambda state: {**state, "bn1.running_var": -state["bn1.running_var"]}, "K481"),
        (lambda state: {key: value for key, value in state.items() if key != "bn1.weight"}, "K441"),
        (lambda state: {"a.weight": torch.randn(2, 2)}, "K441"),
    ],
)
def test_a_file_that_does_not_serve_leaves_the_network_alone(
    tmp_path: Path, spoil: Callable[[dict], dict], code: str
) -> None:
    torch.save(spoil(weights(1)), tmp_path / "encoder.pth")
    model = build_model(UNetSpec(encoder=ENCODER, decoder_channels=(8,)), 2)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    with pytest.raises(CheckpointError, match=r"encoder\.pth") as caught:
        initialize(model, Initialize(encoder=str(tmp_path / "encoder.pth")))

    assert caught.value.code == code
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


VIT = "vit_tiny_patch16_224"
SWIN = "swin_tiny_patch4_window7_224"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("spec", "tag"),
    [
        (FPNSpec(encoder=VIT, channels=8, head_channels=8), f"{VIT}.augreg_in21k_ft_in1k"),
        (LinearSpec(encoder=VIT), f"{VIT}.augreg_in21k_ft_in1k"),
        (FPNSpec(encoder=SWIN, channels=8, head_channels=8), f"{SWIN}.ms_in1k"),
    ],
)
def test_transformers_take_pretrained_weights_whatever_is_built_around_them(
    published: Published, spec: Spec, tag: str
) -> None:
    model = build_model(spec, 3)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    assert initialize(model, Initialize(encoder="default")) is not None

    after = model.state_dict()
    prefix = "encoder.network."
    assert list(published) == [tag]
    loaded = {key.removeprefix(prefix) for key in after if key.startswith(prefix)}
    assert loaded <= set(published[tag])
    assert len(loaded) > 100
    assert all(torch.equal(after[prefix + key], published[tag][key]) for key in loaded)
    assert all(torch.equal(after[key], before[key]) for key in after if not key.startswith(prefix))


def test_a_transformer_that_normalises_the_mean_gives_that_normalisation_to_its_patches(published: Published) -> None:
    model = build_model(LinearSpec(encoder="eva02_tiny_patch14_224"), 3)

    initialize(model, Initialize(encoder="default"))

    (theirs,) = published.values()
    assert torch.equal(model.state_dict()["encoder.network.norm.weight"], theirs["fc_norm.weight"])


def test_default_weights_of_two_encoders_are_remembered_apart(published: Published) -> None:
    for encoder in ("mobilenetv3_small_050", "convnext_atto"):
        initialize(build_model(LinearSpec(encoder=encoder), 3), Initialize(encoder="default"))

    assert len(published) == 2


def test_weights_of_another_transformer_are_refused(published: Published) -> None:
    model = build_model(LinearSpec(encoder=VIT), 3)

    with pytest.raises(CheckpointError, match=r"deit_small_patch16_224.*\b150 pretrained tensors") as caught:
        initialize(model, Initialize(encoder="deit_small_patch16_224"))
    assert caught.value.code == "K441"


def test_weights_that_cannot_be_fetched_are_named_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(LinearSpec(encoder="convnext_atto"), 3)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: (_ for _ in ()).throw(OSError("no route to host")))

    with pytest.raises(CheckpointError, match=r"'default' \(convnext_atto\.d2_in1k\) .*: no route to host") as e:
        initialize(model, Initialize(encoder="default"))
    assert e.value.code == "K440"


@pytest.mark.parametrize("channels", [1, 2, 4, 12])
def test_the_stem_s_weights_are_spread_over_other_channels_as_timm_does_it(channels: int) -> None:
    theirs = torch.randn(8, 3, 3, 3)
    spread = for_channels(theirs, torch.zeros(8, channels, 3, 3))
    assert torch.equal(spread, adapt_input_conv(channels, theirs))
    # Of the same value in all channels the sums are those of a grey image.
    assert torch.allclose(spread.sum(1), theirs.sum(1), atol=1e-5) == (channels in (1, 12))
    if channels == 4:
        assert torch.equal(spread[:, 3], 0.75 * theirs[:, 0])


def test_other_weights_are_not_spread() -> None:
    for theirs, ours in (((8, 3, 3, 3), (8, 3, 3, 3)), ((8, 1, 3, 3), (8, 4, 3, 3)), ((8, 3), (8, 4)), ((), ()),
                         ((8, 3, 3, 3), (9, 4, 3, 3))):  # fmt: skip
        weights = torch.randn(theirs)
        assert for_channels(weights, torch.zeros(ours)) is weights


@pytest.mark.parametrize("encoder", [ENCODER, VIT])
def test_published_weights_fit_networks_of_other_channels(published: Published, encoder: str) -> None:
    spec = LinearSpec(encoder=encoder, preprocessing=Preprocessing(mean=(0.5,) * 5, std=(0.2,) * 5))
    model, rgb = build_model(spec, 3), build_model(LinearSpec(encoder=encoder), 3)
    assert initialize(model, Initialize(encoder="default")) == initialize(rgb, Initialize(encoder="default"))
    five, three = model.state_dict(), rgb.state_dict()
    differing = [key for key in five if key.startswith("encoder.") and five[key].shape != three[key].shape]
    assert len(differing) == 1
    assert torch.equal(five[differing[0]], adapt_input_conv(5, three[differing[0]]))
