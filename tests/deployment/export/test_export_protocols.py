"""An artefact predicts like its run: every registered protocol, every kind of artefact, images of many sizes."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from deployment.export.documented import masked
from PIL import Image

from pixelwise.checkpoints.checkpoint import save_checkpoint
from pixelwise.datasets.town.scenes import draw_scene
from pixelwise.deployment.export.export import Exported, export, sealed
from pixelwise.models import build_model, normalize
from pixelwise.prediction.loading import load
from pixelwise.prediction.prediction import Prediction
from pixelwise.prediction.rules import inference_of, resizes_logits, scoring_of
from pixelwise.prediction.segmenter import Segmenter
from pixelwise.recipes.families.linear import LinearSpec
from pixelwise.recipes.overrides import to_toml
from pixelwise.recipes.protocols import PROTOCOLS, Protocol
from pixelwise.recipes.protocols import protocol as find_protocol
from pixelwise.recipes.schema.model import Preprocessing
from pixelwise.recipes.schema.recipe import Data, Recipe
from pixelwise.records.run_folder import CHECKPOINTS, RECIPE
from pixelwise.runtimes.sidecar import write_sidecar
from pixelwise.runtimes.targets import find_target
from pixelwise.storage import write_text
from pixelwise.testing.exporting import settled

SCALE = 16
SCENES = [
    draw_scene(0, index, size)[0] for index, size in enumerate([(75, 110), (64, 128), (48, 64), (20, 150), (96, 128)])
]


def names() -> list[Any]:
    """Names of all protocols; those that differ from an earlier one in numbers alone are tried with the heavy tests."""
    found: list[Any] = []
    seen: set[tuple[Any, ...]] = set()
    for name in (*PROTOCOLS, "slide-32x32", "within-64x48"):
        rules = msgspec.structs.asdict(find_protocol(name))
        kind = tuple(
            tuple(side is None for side in rule) if isinstance(rule, tuple) else rule
            for field, rule in rules.items()
            if field not in ("name", "summary")
        )
        found.append(pytest.param(name, marks=pytest.mark.heavy) if kind in seen else name)
        seen.add(kind)
    return found


TIED = 1e-4
"""Difference of two probabilities that rounding explains."""
DEFAULT = "as exported by default"
RESIZING = "as exported by default of a run that resizes images"


def shrunk(protocol: Protocol) -> Protocol:
    """The same protocol at a sixteenth of its size, for small images."""

    def sides(size: Any) -> Any:
        return size if not isinstance(size, tuple) else tuple(side and max(8, side // SCALE) for side in size)

    fields = ("input_size", "fit", "pad_to", "window", "window_stride", "score_size")
    return msgspec.structs.replace(protocol, **{field: sides(getattr(protocol, field)) for field in fields})


@pytest.fixture(scope="module", autouse=True)
def small_protocols() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, protocol in list(PROTOCOLS.items()):
            patch.setitem(PROTOCOLS, name, shrunk(protocol))
        yield


@pytest.fixture(scope="module")
def artefacts(
    small_run: Path, any_size: Exported, one_size: Exported, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Exported]:
    """One artefact of each kind; protocols change their descriptions alone."""
    folder = tmp_path_factory.mktemp("kinds")
    usual, resizing = export(small_run, folder / "1"), export(small_run, folder / "head", output_stride="head")
    return {DEFAULT: usual, RESIZING: resizing, "class ids of bytes": any_size, "one size": one_size}


def under(recipe: Recipe, name: str, **changes: Any) -> Recipe:
    """The recipe with another first protocol."""
    evaluation = msgspec.structs.replace(recipe.evaluation, protocols=(name,), **changes)
    return msgspec.structs.replace(recipe, evaluation=evaluation)


def of_recipe(exported: Exported, recipe: Recipe, folder: Path) -> Segmenter:
    """The artefact as it is exported from a run of another recipe with the same network."""
    sidecar, target = exported.sidecar, find_target(exported.sidecar.runtime)
    folder.mkdir()
    files = [Path(shutil.copy(exported.path.with_name(name), folder)) for name in sidecar.files]
    sidecar = msgspec.structs.replace(
        sidecar,
        inference=inference_of(recipe, sidecar.input.size, gives_scores=sidecar.output.name == "logits"),
        scoring=scoring_of(recipe),
        protocol=recipe.evaluation.protocols[0],
    )
    write_sidecar(sealed(sidecar, target, files), folder / "model.toml")
    return load(folder, trust=True)


@pytest.mark.heavy
@pytest.mark.parametrize("fields", [{"blend": "probabilities"}, {"resampling": "area"}, {"align_corners": True}])
@pytest.mark.parametrize("kind", [DEFAULT, RESIZING, "one size"])
def test_the_documented_program_knows_every_rule(
    kind: str, fields: dict[str, Any], small_recipe: Recipe, artefacts: dict[str, Exported], tmp_path: Path
) -> None:
    exported, corners = artefacts[kind], fields.get("align_corners", False)
    protocol = {key: value for key, value in fields.items() if key != "align_corners"}
    with pytest.MonkeyPatch.context() as patch:
        rules = Protocol(
            name="every-rule", summary="", input_size=(96, 100), window=(32, 40), window_stride=(20, 30), **protocol
        )
        patch.setitem(PROTOCOLS, "every-rule", rules)
        output = msgspec.structs.replace(exported.sidecar.output, align_corners=corners)
        changed = Exported(path=exported.path, sidecar=msgspec.structs.replace(exported.sidecar, output=output))
        artefact = of_recipe(changed, under(small_recipe, "every-rule"), tmp_path / "artefact")
    for number, scene in enumerate(SCENES):
        photo = tmp_path / f"{number}.png"
        Image.fromarray(scene).save(photo)
        found = masked(tmp_path / "artefact", photo, tmp_path / "mask.png")
        assert (found == artefact.predict(photo).labels).mean() >= 0.999


@pytest.mark.heavy
def test_the_documented_program_turns_and_blends_as_predict_does(
    small_recipe: Recipe, any_size: Exported, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    pixels = np.dstack([SCENES[0], np.arange(75 * 110).reshape(75, 110) % 256]).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(pixels, "RGBA").save(photo, exif=exif)
    for number, (turn, alpha) in enumerate((("apply", "drop"), ("ignore", "black"), ("apply", "black"))):
        data = msgspec.structs.replace(small_recipe.data, exif=turn, alpha=alpha)
        recipe = msgspec.structs.replace(small_recipe, data=data)
        artefact = of_recipe(any_size, recipe, tmp_path / str(number))
        expected = artefact.predict(photo).labels
        assert expected.shape == ((110, 75) if turn == "apply" else (75, 110))
        found = masked(tmp_path / str(number), photo, tmp_path / "mask.png")
        assert (found == expected).mean() >= 0.999


def run_of(recipe: Recipe, small_run: Path, folder: Path) -> Segmenter:
    shutil.copytree(small_run, folder)
    write_text(folder / RECIPE, to_toml(recipe))
    return load(folder)


@pytest.mark.heavy
@pytest.mark.parametrize("name", names())
def test_an_artefact_predicts_like_its_run_or_says_how_it_differs(
    name: str, small_recipe: Recipe, small_run: Path, artefacts: dict[str, Exported], tmp_path: Path
) -> None:
    recipe = under(small_recipe, name)
    run = run_of(recipe, small_run, tmp_path / "run")
    expected = [run.predict(scene, scores=True) for scene in SCENES]
    photo = tmp_path / "photo.png"
    default, other = (RESIZING, DEFAULT) if resizes_logits(recipe) else (DEFAULT, RESIZING)
    for kind, exported in artefacts.items():
        if kind == other:
            continue
        artefact = of_recipe(exported, recipe, tmp_path / kind)
        for scene, wanted in zip(SCENES, expected, strict=True):
            equal = agreement(artefact.predict(scene), wanted)
            said = artefact.remarks((scene.shape[0], scene.shape[1]))
            assert equal >= 0.999 or said, f"{kind}: {100 * equal:.2f} % at {scene.shape}"
            if kind == default:
                assert not said
                assert equal >= 0.999
        # The documented program does the same as `predict`, for every kind.
        Image.fromarray(SCENES[0]).save(photo)
        found = masked(tmp_path / kind, photo, tmp_path / "mask.png")
        same = found == artefact.predict(SCENES[0]).labels
        if not artefact.model.gives_scores:
            same |= midway(artefact.seen_size(found.shape), found.shape)
        assert same.mean() >= 0.999, kind


def midway(seen: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """Pixels (H, W) that lie exactly between two rows or columns of the seen size, where two class ids weigh the same:
    which of them is taken is a matter of rounding."""
    rows, columns = ((2 * np.arange(out) + 1) * length % (2 * out) == 0 for length, out in zip(seen, size, strict=True))
    return rows[:, None] | columns[None]


def agreement(found: Prediction, expected: Prediction) -> float:
    """Share of the pixels of the same class. Processors round differently, so one may be of either of two classes that
    are as likely."""
    assert expected.scores is not None
    margins = np.ptp(np.sort(expected.scores, axis=0)[-2:], axis=0)
    return float(((found.labels == expected.labels) | (margins < TIED)).mean())


@pytest.mark.heavy
def test_an_input_size_of_the_recipe_keeps_the_aspect_ratio_as_in_the_run(
    small_recipe: Recipe, small_run: Path, artefacts: dict[str, Exported], tmp_path: Path
) -> None:
    recipe = under(small_recipe, "native", input_size=(48, 64))
    run = run_of(recipe, small_run, tmp_path / "run")
    free = of_recipe(artefacts[RESIZING], recipe, tmp_path / "any")
    fixed = of_recipe(artefacts["one size"], recipe, tmp_path / "one")
    for scene in SCENES:
        size = (scene.shape[0], scene.shape[1])
        assert free.seen_size(size) == run.seen_size(size)
        expected = run.predict(scene, scores=True)
        assert agreement(free.predict(scene), expected) >= 0.999
        # The protocol brings every image to exactly the size that the artefact takes.
        assert fixed.seen_size(size) == (48, 64)
        assert [code for code, _ in fixed.remarks(size)] == ([] if size in ((48, 64), (96, 128)) else ["W474"])
        if not fixed.remarks(size):
            assert agreement(fixed.predict(scene), expected) >= 0.999


def undecided_run(recipe: Recipe, folder: Path) -> Segmenter:
    """A run with random weights whose masks have several classes: no class is likelier than the others on average."""
    torch.manual_seed(1)
    model = settled(build_model(recipe))
    inputs = normalize(
        torch.from_numpy(np.stack([draw_scene(1, place, (96, 128))[0] for place in range(4)])), model.preprocessing
    )
    with torch.no_grad():
        logits = model.head_logits(inputs)[0]
        spread = logits.std((0, 2, 3))
        model.classifier.weight /= spread[:, None, None, None]
        model.classifier.bias.copy_((model.classifier.bias - logits.mean((0, 2, 3))) / spread)
    tensors = {"model": model.state_dict()}
    save_checkpoint(folder / CHECKPOINTS, step=1, tensors=tensors, state={}, miou=0.5, metadata={})
    write_text(folder / RECIPE, to_toml(recipe))
    return load(folder)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "target", ["onnx", *(pytest.param(name, marks=pytest.mark.heavy) for name in ("torch-export", "openvino"))]
)
def test_an_artefact_of_a_run_that_resizes_images_gives_the_run_s_masks(
    target: str, small_recipe: Recipe, tmp_path: Path
) -> None:
    recipe = under(small_recipe, "within-128x96")
    run = undecided_run(recipe, tmp_path / "run")
    exported = export(tmp_path / "run", tmp_path / "artefact", target)
    assert exported.sidecar.output.stride == exported.sidecar.output.head_stride == 32
    artefact = load(exported.path, trust=True)
    large = draw_scene(0, 1, (300, 440))[0]
    assert len(np.unique(run.predict(large).labels)) > 2
    for scene in (*SCENES, large):
        assert artefact.remarks((scene.shape[0], scene.shape[1])) == []
        assert np.array_equal(artefact.predict(scene).labels, run.predict(scene).labels)
    if target == "torch-export":
        another_stride_is_kept_and_its_masks_differ(tmp_path, run, large)


def another_stride_is_kept_and_its_masks_differ(folder: Path, run: Segmenter, large: np.ndarray) -> None:
    enlarged = export(folder / "run", folder / "enlarged", "torch-export", output_stride=1)
    twice = load(enlarged.path, trust=True)
    assert enlarged.sidecar.output.stride == 1
    assert [code for code, _ in twice.remarks((300, 440))] == ["W475"]
    assert not np.array_equal(twice.predict(large).labels, run.predict(large).labels)
    assert twice.remarks((96, 128)) == []
    assert np.array_equal(twice.predict(SCENES[4]).labels, run.predict(SCENES[4]).labels)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "target",
    [
        "openvino",
        "torch-export",
        pytest.param(
            "executorch",
            marks=pytest.mark.skipif(importlib.util.find_spec("executorch") is None, reason="it is not installed"),
        ),
    ],
)
def test_every_runtime_predicts_like_the_run(target: str, small_run: Path, tmp_path: Path) -> None:
    exported = export(small_run, tmp_path / "artefact", target)
    run, artefact = load(small_run), load(exported.path, trust=True)
    same = [scene for scene in SCENES if not artefact.remarks((scene.shape[0], scene.shape[1]))]
    assert same
    for scene in same:
        assert (artefact.predict(scene).labels == run.predict(scene).labels).mean() >= 0.999


@pytest.mark.heavy
def test_bands_other_than_rgb_are_those_of_the_run(small_recipe: Recipe, tmp_path: Path) -> None:
    preprocessing = Preprocessing(mean=(0.4, 0.5, 0.6, 0.5), std=(0.2, 0.25, 0.3, 0.2))
    recipe = msgspec.structs.replace(
        small_recipe,
        model=LinearSpec(encoder="resnet10t", preprocessing=preprocessing),
        data=Data(dataset="folder", classes=("a", "b", "c"), channels=(3, 0, 1, 2), input_range=(0.0, 3000.0)),
    )
    torch.manual_seed(0)
    tensors = {"model": settled(build_model(recipe)).state_dict()}
    run = tmp_path / "run"
    save_checkpoint(run / CHECKPOINTS, step=1, tensors=tensors, state={}, miou=0.5, metadata={})
    write_text(run / RECIPE, to_toml(recipe))
    exported = export(run, tmp_path / "artefact", "torch-export", uint8_input=True)
    ours, theirs = load(run), load(exported.path, trust=True)
    assert theirs.reading == ours.reading
    bands = np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8)
    assert (theirs.predict(bands).labels == ours.predict(bands).labels).mean() >= 0.999


@pytest.mark.heavy
def test_orientation_alpha_and_size_limits_are_those_of_the_run(
    small_recipe: Recipe, small_run: Path, any_size: Exported, tmp_path: Path
) -> None:
    data = msgspec.structs.replace(small_recipe.data, exif="ignore", alpha="black", max_pixels=12345)
    recipe = msgspec.structs.replace(small_recipe, data=data)
    run = run_of(recipe, small_run, tmp_path / "run")
    assert of_recipe(any_size, recipe, tmp_path / "artefact").reading == msgspec.structs.replace(
        run.reading, mask_resize="refuse"
    )


@pytest.mark.heavy
def test_masks_are_the_same_files_on_the_command_line(small_run: Path, tmp_path: Path, run_cli: Any) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(SCENES[0]).save(photo)
    done = run_cli(["export", small_run, "--output", tmp_path / "exported"])
    assert done.code == 0, done.stderr
    masks = []
    for name, model in (
        ("run", small_run),
        ("folder", tmp_path / "exported"),
        ("file", tmp_path / "exported/model.onnx"),
    ):
        done = run_cli(["predict", model, photo, "--output", tmp_path / name, "--no-overlay"])
        assert (done.code, "warning" in done.stderr) == (0, False), done.stderr
        masks.append(np.asarray(Image.open(tmp_path / name / "masks" / "photo.png")))
    assert (masks[1] == masks[0]).mean() >= 0.999
    assert np.array_equal(masks[1], masks[2])
