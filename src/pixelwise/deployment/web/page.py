"""The files of a page around an ONNX artefact."""

from __future__ import annotations

import base64
import gzip
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from pixelwise.deployment.web.runtime import pinned
from pixelwise.errors import RecipeError
from pixelwise.models import SegmentationModel
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.recipes.sizes import Size
from pixelwise.runtimes.sidecar import Sidecar
from pixelwise.storage import printable, sha256_bytes, write_bytes, write_text
from pixelwise.storage.names import counted

INDEX = "index.html"
DESCRIPTION = "description.js"
NOTICES = "onnxruntime.ThirdPartyNotices.txt"
WORKER = ("images.js", "resizing.js", "worker.js")
"""Scripts of the worker, in the order in which they are joined."""
_OWN = (INDEX, "page.css", "page.js", *WORKER, "onnxruntime.LICENSE.txt")
_KEYS = ("classes", "palette", "preprocessing", "input", "output", "inference")
"""What the scripts need of `model.toml`."""


def refuse_unsuitable(recipe: Recipe, model: SegmentationModel) -> None:
    """Check that a browser can show what the network predicts, from the images that it can read.

    Raises:
        RecipeError: R244, the network is multi-label, or takes other channels than RGB.
    """
    problem = None
    if model.multilabel or recipe.data.multilabel:
        problem = "shows one class per pixel, and this network is multi-label"
    elif recipe.data.channels is not None or model.preprocessing.in_channels != 3:
        problem = f"takes RGB images, and this network takes {counted(model.preprocessing.in_channels, 'channel')}"
        problem += " that data.channels selects" if recipe.data.channels is not None else ""
    if problem is not None:
        raise RecipeError("R244", f"the page of web {problem}", "export to onnx, and write a page of your own for it")


def page_files() -> tuple[str, ...]:
    """Names of all files of a page besides those of the artefact."""
    twins = tuple(f"{name}.js" for name in (*WORKER, *pinned().files, "model.onnx"))
    return (*_OWN, DESCRIPTION, NOTICES, *pinned().files, *twins)


def refuse_occupied(folder: Path) -> None:
    """Check that no file of a page would take the place of another one.

    Raises:
        RecipeError: R243, the folder has a file of that name.
    """
    taken = next((name for name in page_files() if (folder / name).exists()), None)
    if taken is not None:
        raise RecipeError("R243", f"{printable(folder)} already holds {taken}", "choose another `output`")


def write_page(folder: Path, sidecar: Sidecar, runtime: dict[str, bytes]) -> list[Path]:
    """Write the page beside an ONNX artefact.

    Browsers let a page that is opened as a file load scripts alone. What the worker needs is therefore written twice:
    as it is, and compressed within a script, which only such pages load.

    Args:
        folder: Folder with `model.onnx`.
        sidecar: Description of the artefact, complete.
        runtime: The files of ONNX Runtime Web by name.

    Returns:
        The files that were written.
    """
    static = files("pixelwise.deployment.web").joinpath("static")
    contents = {name: static.joinpath(name).read_bytes() for name in _OWN} | runtime
    if (notices := _notices()) is not None:
        contents[NOTICES] = notices
    (network,) = sidecar.files
    needed = {name: contents[name] for name in (*WORKER, *runtime)} | {network: (folder / network).read_bytes()}
    for name, content in contents.items():
        write_bytes(folder / name, content)
    for name, content in needed.items():
        write_text(folder / f"{name}.js", _twin(name, content))
    plain = msgspec.to_builtins(sidecar)
    script, wasm = sorted(runtime, key=lambda name: name.endswith(".wasm"))
    described = {
        "title": sidecar.recipe_name,
        "model": {key: _without_none(plain[key]) for key in _KEYS},
        "about": _about(sidecar),
        "script": script,
        "wasm": wasm,
        "network": network,
        "files": {name: sha256_bytes(content) for name, content in needed.items()},
        "contents": {},
    }
    write_text(folder / DESCRIPTION, f"const PIXELWISE = {msgspec.json.encode(described).decode()};\n")
    return [folder / name for name in (*contents, *(f"{name}.js" for name in needed), DESCRIPTION)]


def _twin(name: str, content: bytes) -> str:
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'PIXELWISE.contents["{name}"] = "{packed}";\n'


def _notices() -> bytes | None:
    """The notices of what ONNX Runtime is built from, which its Python package brings and its npm package lacks."""
    found = find_spec("onnxruntime")
    path = None if found is None or found.origin is None else Path(found.origin).with_name("ThirdPartyNotices.txt")
    return path.read_bytes() if path is not None and path.is_file() else None


def _about(sidecar: Sidecar) -> list[tuple[str, str]]:
    """Facts about the model that the page shows: name and value."""
    found = [("Model", sidecar.recipe_name), ("Classes", str(len(sidecar.classes)))]
    if (score := sidecar.score) is not None:
        found.append(("Mean IoU", f"{100 * score.miou:.2f} % on {score.split} (protocol {score.protocol})"))
    if (verified := sidecar.verification) is not None:
        same = f"{100 * verified.equal_pixels:.3f} % of the pixels of {verified.source} as in PyTorch"
        found.append(("Verified with ONNX Runtime", same))
    found += sidecar.licence.facts
    found.append(("Weights", f"SHA-256 {sidecar.weights_sha256}" if sidecar.weights_sha256 else "random"))
    found.append(("Sizes", _sizes(sidecar)))
    return found


def _sizes(sidecar: Sidecar) -> str:
    """What becomes of photos of any size, in words."""
    how = sidecar.inference
    if how is None:
        raise AssertionError("an artefact that is written now has rules")
    if how.resize == "none":
        text = "photos are seen at their own size"
    elif how.resize == "area":
        text = f"photos are resized to the area of {_sides(how.size)}"
    elif how.resize == "exact":
        text = f"photos are resized to {_sides(how.size)}"
    elif how.longer_side is None:
        text = f"photos are resized so that the shorter side is {how.shorter_side}"
    else:
        text = f"photos are resized to fit {how.shorter_side}x{how.longer_side}"
    if how.window is not None:
        return f"{text}, and seen through windows of {_sides(how.window)}"
    large = f"of more than {how.whole_pixels / 1e6:.1f} megapixels through windows of {_sides(how.large_window)}"
    return f"{text}; those {large}"


def _sides(size: Size | None) -> str:
    if size is None:
        return "any size"
    return f"{size[1]}x{size[0]}"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value
