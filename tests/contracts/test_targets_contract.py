"""Every registered export target keeps the contract, and provides the texts that tables, help and errors need."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pixelwise.deployment.int8.quantizers import Quantizer
from pixelwise.errors import RecipeError
from pixelwise.runtimes.targets import TARGETS, find_target
from pixelwise.testing import check_target

NAMES = sorted(TARGETS.own())
DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "deployment.md").read_text("utf-8")


def installed(name: str) -> bool:
    return all(importlib.util.find_spec(package.partition(".")[0]) for package in find_target(name).packages)


def test_the_built_in_targets_are_these() -> None:
    assert NAMES == ["coreml", "executorch", "litert", "onnx", "openvino", "torch-export"]


@pytest.mark.parametrize("name", [pytest.param(one, marks=() if one == "onnx" else pytest.mark.heavy) for one in NAMES])
def test_a_target_keeps_the_contract(name: str) -> None:
    if not installed(name):
        with pytest.raises(RecipeError) as caught:
            check_target(name)
        assert caught.value.code == "R240"
        assert find_target(name).install in caught.value.help
        pytest.skip(f"a package of {name} is not installed")
    check_target(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_target_says_what_it_is(name: str) -> None:
    target = find_target(name)
    assert target.label
    assert target.summary
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in target.suffixes)
    assert f"| `{name}` |" in DOCUMENT
    if target.quantizer:
        assert isinstance(pkgutil.resolve_name(target.quantizer), Quantizer)


def test_no_two_targets_share_the_ending_of_the_file_that_is_opened() -> None:
    endings = [find_target(name).suffixes[0] for name in NAMES]
    assert len(set(endings)) == len(endings)


def test_listing_targets_imports_neither_torch_nor_a_runtime() -> None:
    code = (
        "import sys; from pixelwise.runtimes.targets import target_names; assert 'onnx' in target_names(); "
        "print({'torch', 'numpy', 'onnx', 'onnxruntime', 'openvino', 'litert_torch', 'ai_edge_litert', 'coremltools'} "
        "& set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
