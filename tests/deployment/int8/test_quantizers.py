from __future__ import annotations

import errno
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from pixelwise.deployment.int8.quantizers import Int8Job, Quantizer, cannot_quantize, find_quantizer
from pixelwise.errors import RecipeError
from pixelwise.runtimes.targets import TARGETS, find_target


def test_a_target_says_where_its_quantizer_is() -> None:
    target, quantizer = find_quantizer("onnx")
    assert target is find_target("onnx")
    assert quantizer.last_in_float
    assert quantizer.package == "onnxruntime.quantization"
    assert not find_quantizer("openvino")[1].last_in_float


@pytest.mark.parametrize(("name", "code"), [("torch-export", "R244"), ("onyx", "R250")])
def test_a_target_that_has_none_is_refused(name: str, code: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_quantizer(name)
    assert caught.value.code == code


QUANTIZER = Quantizer(package="not_installed_anywhere", quantize=lambda job: [Path()])


def test_the_package_of_a_strangers_quantizer_is_what_the_target_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = msgspec.structs.replace(
        find_target("torch-export"), name="mine", quantizer="strangers_quantizer:QUANTIZER", install="acme-int8"
    )
    module = ModuleType("strangers_quantizer")
    module.QUANTIZER = QUANTIZER  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "strangers_quantizer", module)
    monkeypatch.setitem(TARGETS, "mine", mine)
    with pytest.raises(RecipeError) as caught:
        find_quantizer("mine")
    assert caught.value.code == "R240"
    assert "pip install 'acme-int8'" in caught.value.help


def test_why_a_quantizer_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "float.onnx").write_bytes(bytes(100))
    job = Int8Job(float_file=tmp_path / "float.onnx", folder=tmp_path, inputs=list, count=0)
    error = cannot_quantize("nncf", RuntimeError("\n  no such operator  \nand a trace"), job)
    assert error.code == "K467"
    assert error.message.endswith("no such operator")
    assert cannot_quantize("nncf", KeyError(), job).message.endswith("KeyError")
    full = OSError(errno.ENOSPC, "No space left on device")
    assert cannot_quantize("nncf", full, job).code == "S601"
