"""Usage statistics that dependencies send unless they are told otherwise: off, unless the user chose to send them.

ONNX Runtime (1.29 and later, on Linux and macOS) reports the machine, every session and the model's hashes to
Microsoft from native code, under an identifier that it keeps in the user's cache folder. `import openvino`,
`openvino.convert_model` and `nncf.quantize` report to Google Analytics from child processes, under an identifier in
`~/intel`. huggingface_hub tells with each download which program makes it. Pixelwise itself sends nothing.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from pixelwise.machine.folders import intel_folder

_OFF = {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
_OPENVINO = "openvino_telemetry"


def switch_off() -> None:
    """Switch off what listens to the environment, for this process and its children; needed before they are imported.

    A variable that says something already stays as it is.
    """
    for name, value in _OFF.items():
        if not os.environ.get(name):
            os.environ[name] = value


def switch_off_openvino() -> None:
    """Let OpenVINO and NNCF take their telemetry package for not installed; needed before their first import.

    They know no other switch that is neither a file in the home folder nor the claim to run in CI (NNCF's own
    `NNCF_CI` comes after the identifier was written and says nothing to OpenVINO). Nothing changes where the user
    opted in (`opt_in_out --opt_in`), or where the program has imported one of the packages itself.
    """
    if _OPENVINO not in sys.modules and not _opted_in():
        # What Python asks for in order to raise ModuleNotFoundError; both packages have a stub for that case.
        modules: dict[str, ModuleType | None] = sys.modules  # pyright: ignore[reportAssignmentType]
        modules[_OPENVINO] = None


def _opted_in() -> bool:
    """Whether the file in which `opt_in_out` notes the user's choice says yes."""
    try:
        return (intel_folder() / _OPENVINO).read_text("ascii").strip() == "1"
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError):
        return False
