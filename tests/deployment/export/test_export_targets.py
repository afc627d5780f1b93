"""Networks of several families in the formats whose converters know only a part of PyTorch's operations."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from runtimes.descriptions import sidecar_of

from pixelwise.deployment.export.images import drawn_scenes
from pixelwise.deployment.export.verification import LEAST_EQUAL, compare
from pixelwise.models import build_model
from pixelwise.recipes.catalog import recipe
from pixelwise.runtimes.artefact import ArtefactModel
from pixelwise.runtimes.formats.coreml import check
from pixelwise.runtimes.graphs import ExportedNetwork, GraphOptions
from pixelwise.runtimes.targets import find_target
from pixelwise.testing.exporting import settled

SIZE = (64, 96)
NETWORKS = (
    "enet-camvid", "erfnet-cityscapes", "segformer-b0-cityscapes", "fpnlite-mobilenetv2-cityscapes-768x384",
    "unet-resnet18", "pidnet-s-cityscapes", "pspnet-r50-d8-voc-aug", "deeplab-mobilenetv3-cityscapes",
    "hrnet18-small-v1-ema-cityscapes", "swiftnet-mobilenetv2-cityscapes",
)  # fmt: skip
pytestmark = pytest.mark.heavy


def network(name: str) -> ExportedNetwork:
    torch.manual_seed(0)
    return ExportedNetwork(settled(build_model(recipe(name), 5)), GraphOptions(size=SIZE, output_stride=None)).eval()


@pytest.mark.skipif(importlib.util.find_spec("litert_torch") is None, reason="litert_torch is not installed")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_the_same_classes_in_litert(name: str, tmp_path: Path) -> None:
    subject = network(name)
    (file,) = find_target("litert").write(subject, tmp_path)

    sidecar = sidecar_of(runtime="litert", input=subject.input_facts(), output=subject.output_facts(), inference=None)
    artefact = ArtefactModel(sidecar, find_target("litert").open(file, 1), file)
    found = compare(subject, artefact, drawn_scenes(SIZE, dynamic=False).read())

    assert found.max_difference is not None
    assert found.logit_range is not None
    assert found.equal_pixels >= LEAST_EQUAL
    assert found.max_difference < 1e-3 * found.logit_range


@pytest.mark.skipif(importlib.util.find_spec("coremltools") is None, reason="coremltools is not installed")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_becomes_a_package_for_core_ml(name: str, tmp_path: Path) -> None:
    import coremltools

    subject = network(name)
    (file,) = find_target("coreml").write(subject, tmp_path)

    assert check(file, ()) == ""
    described = coremltools.utils.load_spec(str(file)).description
    (given,), (found,) = described.input, described.output
    assert (given.name, tuple(given.type.multiArrayType.shape)) == ("images", (1, 3, *SIZE))
    sides = tuple(-(-side // subject.stride) for side in SIZE)
    assert (found.name, tuple(found.type.multiArrayType.shape)) == ("logits", (1, 5, *sides))
    weights = file / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    parameters = sum(one.numel() for one in subject.model.parameters())
    # In float32, and not in float16, which is the converter's default; auxiliary heads are left out.
    assert weights.stat().st_size > 2.5 * parameters
