"""Telemetry of dependencies, switched off unless the user opted in.

ONNX Runtime (1.29 and later, on Linux and macOS) reports the machine, every session and the model's hashes to
Microsoft from native code, under an identifier that it keeps in the user's cache folder. `import openvino`,
`openvino.convert_model` and `nncf.quantize` report to Google Analytics from child processes, under an identifier in
`~/intel`. huggingface_hub names the calling program in every download request. Ray reports its clusters to its makers.
MLflow reports which of its functions are called, W&B sends its errors to its makers.
Pixelwise itself sends nothing.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
_OPENVINO = "openvino_telemetry"


def switch_off() -> None:
    """Set the environment variables that disable telemetry, for this process and its children.

    Dependencies read them when they are imported, so call this first. A variable that is already set, and not empty,
    keeps its value.
    """
    for name, value in _OFF.items():
        if not os.environ.get(name):
            os.environ[name] = value


def switch_off_openvino() -> None:
    """Make OpenVINO and NNCF believe that their telemetry package is not installed; call it before their first import.

    Their only other switches are a file in the home folder and the claim to run in CI (NNCF's own `NNCF_CI` takes
    effect only after the identifier was written, and not in OpenVINO). Nothing changes where the user opted in
    (`opt_in_out --opt_in`), or where the program has already imported the telemetry package itself.
    """
    if _OPENVINO not in sys.modules and not _opted_in():
        # A None here makes the import raise ModuleNotFoundError; both packages have a stub for that case.
        modules: dict[str, ModuleType | None] = sys.modules  # pyright: ignore[reportAssignmentType]
        modules[_OPENVINO] = None


def _opted_in() -> bool:
    """Whether the file in which `opt_in_out` records the user's choice says yes."""
    from pixelwise.machine.folders import intel_folder  # pathlib: a fifth of the time of `import pixelwise`

    try:
        return (intel_folder() / _OPENVINO).read_text("ascii").strip() == "1"
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError):
        return False
