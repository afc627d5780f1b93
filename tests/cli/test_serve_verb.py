from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import pixelwise
from pixelwise.serving.options import ServeOptions

TOKEN = "0123456789abcdef"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, ServeOptions]]:
    """What the verb would serve."""
    found: list[tuple[Path, ServeOptions]] = []
    monkeypatch.delenv("PIXELWISE_TOKEN", raising=False)
    monkeypatch.setattr(pixelwise, "serve", lambda run, options, observer: found.append((run, options)), raising=False)
    return found


def test_options_and_settings_reach_the_server(run_cli: Callable, served):
    words = ["serve", "model.onnx", "input_range=[0,65535]", "--port", "0", "--timeout", "2.5", "--window", "64x32"]
    code, _, stderr = run_cli(words)
    assert code == 0, stderr
    ((run, options),) = served
    assert (run, options.port, options.timeout, options.window) == (Path("model.onnx"), 0, 2.5, (32, 64))
    assert options.overrides == ("input_range=[0,65535]",)


def test_the_token_comes_from_the_environment_unless_it_is_given(run_cli: Callable, served, monkeypatch):
    assert run_cli(["serve", "model.onnx", "--host", "0.0.0.0"])[0] == 2
    monkeypatch.setenv("PIXELWISE_TOKEN", TOKEN)
    assert run_cli(["serve", "model.onnx", "--host", "0.0.0.0"])[0] == 0
    assert run_cli(["serve", "model.onnx", "--token", f"{TOKEN}-other"])[0] == 0
    assert [options.token for _, options in served] == [TOKEN, f"{TOKEN}-other"]


def test_a_second_name_is_refused(run_cli: Callable, served):
    code, _, stderr = run_cli(["serve", "model.onnx", "photos"])
    assert (code, "FIELD=VALUE" in stderr, served) == (2, True, [])
