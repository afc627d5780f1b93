"""Packages that only some targets need, imported when they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from pixelwise.errors import RecipeError
from pixelwise.telemetry import switch_off_openvino

EXPORT = "pixelwise[export]"
"""What `pip install` needs to be given for ONNX and OpenVINO."""


def require(package: str, purpose: str, install: str = EXPORT) -> ModuleType:
    """Import a module of an optional package, its telemetry switched off.

    Args:
        package: Name of the module.
        purpose: What needs it, for the error.
        install: What `pip install` needs to be given for it.

    Raises:
        RecipeError: R240, it is not installed, or something that it needs itself.
    """
    root = package.partition(".")[0]
    if root in ("openvino", "nncf"):
        switch_off_openvino()
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        through = "" if missing in ("", root) else f", which needs {missing}"
        raise RecipeError(
            "R240",
            f"{purpose} needs the package {root}{through}, which is not installed",
            f"install it: pip install '{install}'",
        ) from error
