"""Faults of masks and labels (rows B of the fault list): what `pixelwise check` and the reader say.

Every test is named after its row. What training does with ignored masks is tested there.
"""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.explanations import voc_color
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.reading.pairs import read_labels
from pixelwise.recipes.class_sets.tables import CAMVID, CITYSCAPES, Color
from pixelwise.recipes.schema.recipe import Data

MASK = np.array([[0, 1, 2, 2], [1, 1, 0, 2], [0, 0, 1, 255], [2, 2, 1, 1]], np.uint8).repeat(4, 0).repeat(4, 1)
CLASSES = 'data.classes=["a", "b", "c"]'
Check = Callable[..., tuple[int, dict[str, dict[str, Any]], str]]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write pairs; masks are arrays or pictures by key such as `train/a`, images are noise of that size."""

    def run(masks: dict[str, np.ndarray | Image.Image], kind: str = "png", **options: Any) -> Path:
        root = tmp_path / "data"
        for number, (key, mask) in enumerate(masks.items()):
            picture = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
            rng = np.random.default_rng(number)
            noise = Image.fromarray(rng.integers(0, 256, (picture.height, picture.width, 3), np.uint8))
            for folder, file, ending in (("images", noise, "png"), ("masks", picture, kind)):
                path = root / folder / f"{key}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                file.save(path, **(options if folder == "masks" else {}))
        return root

    return run


@pytest.fixture
def check(run_cli: Callable[..., Any]) -> Check:
    """`pixelwise check` -> exit status, findings by code, and everything it printed."""

    def run(root: Path, *arguments: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        done = run_cli(["check", root, "--json", *arguments])
        findings = json.loads(done.stdout)["findings"] if done.stdout.startswith("{") else []
        # Every one of these folders has few images (W260).
        named = {finding["code"]: finding for finding in findings if finding["code"] != "W260"}
        return done.code, named, done.stdout + done.stderr

    return run


def override(finding: dict[str, Any], field: str) -> str:
    """The override that a fix proposes, without its quotes."""
    return finding["fix"].split(f"'{field}=")[1].split("}'")[0].join([f"{field}=", "}"])


def test_the_clean_folder_passes(write: Write, check: Check):
    code, findings, _ = check(write({"train/a": MASK, "train/b": MASK, "val/c": MASK}), CLASSES)
    assert (code, findings) == (0, {})


def test_B1_a_smaller_mask_is_d201_with_both_sizes_and_nearest_on_request(write: Write, check: Check):
    root = write({"train/a": MASK, "val/b": MASK})
    Image.fromarray(MASK[::2, ::2]).save(root / "masks/train/a.png")
    code, findings, _ = check(root, CLASSES)
    assert code == 3
    assert findings["D201"]["files"] == ["masks/train/a.png"]
    assert "8x8" in findings["D201"]["message"]
    assert "16x16" in findings["D201"]["message"]
    assert "data.mask_resize=nearest" in findings["D201"]["fix"]
    assert check(root, CLASSES, "data.mask_resize=nearest")[0] == 0


def test_B2_ids_out_of_range_are_d202_with_ids_counts_files_and_a_fix_that_works(write: Write, check: Check):
    wrong = MASK.copy()
    wrong[:1, :5] = 7
    root = write({"train/a": wrong, "train/b": wrong, "val/c": MASK})
    code, findings, _ = check(root, CLASSES)
    assert code == 3
    assert findings["D202"]["files"] == ["masks/train/a.png", "masks/train/b.png"]
    assert re.search(r"\b7 \(10 px\).*\b0\.\.2\b.*\b255\b", findings["D202"]["message"])
    assert check(root, CLASSES, override(findings["D202"], "data.label_map"))[0] == 0


def test_B2_ids_that_count_from_1_are_recognised(write: Write, check: Check):
    root = write({"train/a": np.minimum(MASK, 2) + np.uint8(1)})
    code, findings, _ = check(root, CLASSES)
    assert code == 3
    proposal = override(findings["D202"], "data.label_map")
    assert tomllib.loads(proposal.replace("data.", ""))["label_map"] == {"1": 0, "2": 1, "3": 2}
    assert check(root, CLASSES, proposal)[0] == 0


def test_B2_full_cityscapes_ids_are_recognised(write: Write, check: Check):
    names = json.dumps(list(CITYSCAPES.names))
    root = write({"train/a": np.array([[7, 8, 11, 21, 23, 26, 4, 0]], np.uint8)})
    code, findings, _ = check(root, f"data.classes={names}")
    assert code == 3
    assert "Cityscapes" in findings["D202"]["fix"]


def test_B2_black_and_white_masks_are_d206_with_a_fix_that_works(write: Write, check: Check):
    root = write({"train/a": np.where(MASK == 1, 255, 0).astype(np.uint8)})
    classes = 'data.classes=["background", "object"]'
    code, findings, _ = check(root, classes)
    assert code == 3
    assert findings["D206"]["files"] == ["masks/train/a.png"]
    assert check(root, classes, override(findings["D206"], "data.label_map"))[0] == 0


def test_B2_black_and_white_masks_without_named_classes_are_read_with_w217(write: Write, check: Check):
    root = write({"train/a": np.where(MASK == 1, 255, 0).astype(np.uint8)})
    code, findings, _ = check(root)
    assert code == 0
    assert "W217" in findings


PALETTES = {
    "CamVid": CAMVID.palette,
    "Cityscapes": CITYSCAPES.palette,
    "Pascal VOC": tuple(voc_color(i) for i in range(21)),
}


@pytest.mark.parametrize("name", PALETTES)
def test_B3_colour_masks_are_d205_with_the_palette_recognised_and_a_fix_that_works(
    write: Write, check: Check, name: str
):
    palette: tuple[Color, ...] = PALETTES[name]
    ids = np.arange(len(palette), dtype=np.uint8).repeat(8).reshape(1, -1)
    root = write({"train/a": np.array(palette, np.uint8)[ids]})
    classes = f"data.classes={json.dumps([f'c{i}' for i in range(len(palette))])}"
    code, findings, _ = check(root, classes)
    assert code == 3
    assert findings["D205"]["files"] == ["masks/train/a.png"]
    assert f"{len(palette)} colours" in findings["D205"]["message"]
    assert re.search(rf"\b100\.0 % .*\b{name}\b", findings["D205"]["message"])
    proposal = override(findings["D205"], "data.colors")
    assert check(root, classes, proposal)[0] == 0
    colors = tomllib.loads(proposal.replace("data.colors", "colors"))["colors"]
    dataset = open_dataset(Data(classes=tuple(f"c{i}" for i in range(len(palette))), colors=colors), root)
    assert np.array_equal(read_labels(dataset.samples("train")[0], dataset), ids)


def test_B4_a_jpeg_mask_is_d203(write: Write, check: Check):
    code, findings, _ = check(write({"train/a": np.minimum(MASK, 2)}, "jpg", quality=90), CLASSES)
    assert code == 3
    assert findings["D203"]["files"] == ["masks/train/a.jpg"]
    assert "compression" in findings["D203"]["message"]


def test_B4_smoothed_colours_are_d260_with_their_share(write: Write, check: Check):
    colors = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)[np.minimum(MASK, 2)]
    smooth = Image.fromarray(colors).resize((40, 40), Image.Resampling.BICUBIC)
    root = write({"train/a": smooth})
    table = 'data.colors={"#c80000" = 0, "#00c800" = 1, "#0000c8" = 2}'
    code, findings, _ = check(root, CLASSES, table)
    assert code == 3
    assert set(findings) == {"D260"}
    assert findings["D260"]["files"] == ["masks/train/a.png"]
    assert re.search(r"\d %", findings["D260"]["message"])
    assert "interpolat" in findings["D260"]["message"]


def test_B5_palette_masks_give_indices_and_their_colours_become_the_palette(write: Write, check: Check):
    mask = Image.fromarray(np.minimum(MASK, 2))
    mask.putpalette([0, 0, 0, 200, 30, 30, 30, 200, 30])
    root = write({"train/a": mask, "val/b": mask})
    assert check(root)[0] == 0
    dataset = open_dataset(Data(), root)
    assert dataset.palette == ((0, 0, 0), (200, 30, 30), (30, 200, 30))
    assert np.array_equal(read_labels(dataset.samples("train")[0], dataset), np.minimum(MASK, 2))


def test_B6_masks_without_any_label_are_counted_as_w212(write: Write, check: Check):
    root = write({"train/a": MASK, "train/b": np.full_like(MASK, 255), "val/c": MASK})
    code, findings, _ = check(root, CLASSES)
    assert code == 0
    assert findings["W212"]["files"] == ["masks/train/b.png"]


@pytest.mark.parametrize(("ids", "dtype"), [((0, 7, 33), np.uint8), ((7000, 24001, 26002), np.uint16)])
def test_B7_ids_with_gaps_are_d204_with_a_map_that_works(write: Write, check: Check, ids: tuple[int, ...], dtype: type):
    root = write({"train/a": np.array(ids, dtype)[np.minimum(MASK, 2)]})
    code, findings, _ = check(root)
    assert code == 3
    assert findings["D204"]["files"] == ["masks/train/a.png"]
    assert ", ".join(map(str, ids)) in findings["D204"]["message"]
    assert check(root, override(findings["D204"], "data.label_map"))[0] == 0


def test_B8_a_class_missing_in_a_split_is_w210_by_name(write: Write, check: Check):
    root = write({"train/a": MASK, "val/b": np.minimum(MASK, 1)})
    code, findings, _ = check(root, CLASSES)
    assert code == 0
    assert re.search(r"\bval\b.*\bc\b.*\b2 of 3 classes", findings["W210"]["message"])


def test_B9_a_single_class_is_d263(write: Write, check: Check):
    root = write({"train/a": np.zeros_like(MASK)})
    code, findings, _ = check(root, 'data.classes=["a", "b"]')
    assert code == 3
    assert "'a'" in findings["D263"]["message"]
    assert "100 %" in findings["D263"]["message"]
    assert check(root, 'data.classes=["a", "b"]', 'data.allow=["D263"]')[0] == 0


def test_B10_an_image_without_a_mask_is_d220_with_the_nearest_name(write: Write, check: Check):
    root = write({"train/street_1": MASK, "train/street_2": MASK, "val/c": MASK})
    (root / "masks/train/street_2.png").rename(root / "masks/train/street-two.png")
    code, findings, printed = check(root, CLASSES)
    assert code == 3
    assert re.search(r"\b1 of 2 images .*street_2\.png.*street-two\.png", printed)
    assert re.search(r"\b1 of 2 masks .*street-two\.png.*street_2\.png", printed)
    assert findings["D220"]["total"] == 1
    assert check(root, CLASSES, 'data.allow=["D220"]')[0] == 0


def test_B10_masks_with_a_common_ending_are_paired_without_a_question(write: Write, check: Check):
    root = write({"train/a": MASK, "train/b": MASK, "val/c": MASK})
    for path in list(root.glob("masks/*/*.png")):
        path.rename(path.with_name(f"{path.stem}_L.png"))
    code, findings, _ = check(root, CLASSES)
    assert (code, findings) == (0, {})


def test_B10_an_empty_split_is_d221(write: Write, check: Check):
    root = write({"train/a": MASK})
    for kind in ("images", "masks"):
        (root / kind / "val").mkdir()
    code, findings, _ = check(root, CLASSES)
    assert code == 3
    assert "'val'" in findings["D221"]["message"]


def test_B10_a_folder_without_any_layout_is_d222(tmp_path: Path, check: Check):
    code, _, printed = check(tmp_path)
    assert code == 3
    assert "error[D222]" in printed
    assert re.search(r"help: .*\bimages/ .*\bmasks/", printed)
