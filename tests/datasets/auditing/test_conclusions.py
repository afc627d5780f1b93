import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contracts.mistakes import pairs, scene
from PIL import Image

from pixelwise.datasets.auditing.audit import audit
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.opening import open_dataset
from pixelwise.recipes.schema.recipe import Data

MakeFolder = Callable[..., Path]
MASK = np.array([[0, 1], [1, 0]], np.uint8)
DATA = Data(classes=("a", "b"))


def findings(root: Path, data: Data = DATA) -> dict[str, Finding]:
    return {found.code: found for found in audit(open_dataset(data, root)).findings}


def test_unknown_ids_of_several_masks_are_added_up(make_folder: MakeFolder):
    found = findings(make_folder({f"train/{i}": np.array([[0, 1, 7, 7]], np.uint8) for i in range(7)}))["D202"]
    assert "7 (14 px)" in found.message
    assert "0, 1 or 255" in found.message
    assert found.total == 7
    assert found.files == tuple(f"masks/train/{i}.png" for i in range(5))


def test_colours_of_several_masks_are_added_up_for_one_proposal(make_folder: MakeFolder):
    red, green = (np.full((2, 2, 3), color, np.uint8) for color in ((255, 0, 0), (0, 255, 0)))
    found = findings(make_folder({"train/a": red, "train/b": green, "val/c": red}))["D205"]
    assert {int(number) for number in re.findall(r"\b\d+\b", found.message)} >= {3, 2}  # masks and colours
    assert '"#ff0000" = 0, "#00ff00" = 1' in found.fix


def test_photos_in_place_of_masks_are_counted_at_least(make_folder: MakeFolder):
    rng = np.random.default_rng(0)
    photos = {f"train/{i}": rng.integers(0, 256, (40, 40, 3), np.uint8) for i in range(2)}
    found = findings(make_folder(photos))["D205"]
    assert "at least 2000 colours" in found.message
    assert found.total == 2


def test_other_errors_name_the_first_file_relative_to_the_folder(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK})
    for name in "ab":
        (root / "images" / "train" / f"{name}.png").write_bytes(b"")
    found = findings(root)["D102"]
    assert "images/train/a.png: " in found.message
    assert "0 bytes" in found.message
    assert found.files == ("images/train/a.png", "images/train/b.png")


def test_the_same_image_in_two_splits_is_d133(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "val/b": MASK, "val/c": MASK})
    (root / "images" / "val" / "b.png").write_bytes((root / "images" / "train" / "a.png").read_bytes())
    found = findings(root)["D133"]
    assert found.message.startswith("1 image ")
    assert found.files == ("images/train/a.png", "images/val/b.png")


def test_the_same_image_twice_in_one_split_is_no_leak(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK})
    (root / "images" / "train" / "b.png").write_bytes((root / "images" / "train" / "a.png").read_bytes())
    assert "D133" not in findings(root)


def test_black_and_white_masks_are_d206_even_if_classes_are_named(make_folder: MakeFolder):
    root = make_folder({"train/a": np.array([[0, 255, 255]], np.uint8)})
    found = findings(root)["D206"]
    assert "255 (2 px), 0 (1 px)" in found.message
    assert "'data.label_map={0 = 0, 255 = 1}'" in found.fix
    accepted = Data(classes=("a", "b"), label_map={"0": 0, "255": 1})
    assert findings(root, accepted) == {}


def test_a_class_without_pixels_in_a_split_is_w210(make_folder: MakeFolder):
    found = findings(make_folder({"train/a": MASK, "val/b": np.zeros((2, 2), np.uint8)}))["W210"]
    assert found.message.startswith("val: b ")
    assert "1 of 2 classes" in found.message


def test_a_single_class_everywhere_is_d263(make_folder: MakeFolder):
    found = findings(make_folder({"train/a": np.zeros((2, 2), np.uint8)}))
    assert "'a'" in found["D263"].message


def test_masks_that_are_ignored_everywhere_are_w212(make_folder: MakeFolder):
    found = findings(make_folder({"train/a": MASK, "train/b": np.full((2, 2), 255, np.uint8)}))["W212"]
    assert found.files == ("masks/train/b.png",)


def test_palettes_that_disagree_about_an_id_are_w213(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK})
    for name, palette in (("a", [0, 0, 0, 9, 9, 9]), ("b", [0, 0, 0, 8, 8, 8])):
        mask = Image.fromarray(MASK)
        mask.putpalette(palette)
        mask.save(root / "masks" / "train" / f"{name}.png")
    assert findings(root)["W213"].files == ("masks/train/b.png",)


def test_transparent_misnamed_and_animated_images_are_warnings(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK, "train/c": MASK})
    folder = root / "images" / "train"
    Image.fromarray(np.zeros((2, 2, 4), np.uint8)).save(folder / "a.png")
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(folder / "b.png", "BMP")
    Image.new("RGB", (2, 2)).save(folder / "c.png", save_all=True, append_images=[Image.new("RGB", (2, 2), "red")])
    found = findings(root)
    assert {code: found[code].files for code in ("W102", "W106", "W107")} == {
        "W102": ("images/train/b.png",),
        "W106": ("images/train/a.png",),
        "W107": ("images/train/c.png",),
    }
    assert all(finding.severity == "warning" for finding in found.values())


def test_transparent_masks_that_lose_nothing_are_a_warning_whose_fix_reads_them(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK, "val/c": MASK})
    shape = np.array([[0, 255], [255, 255]], np.uint8)
    colors = np.where(shape[..., None] > 0, (255, 0, 0), (0, 0, 0)).astype(np.uint8)
    for key in ("train/a", "train/b", "val/c"):
        Image.fromarray(np.dstack([colors, shape])).save(root / "masks" / f"{key}.png")
    found = findings(root, Data(classes=("a", "b"), colors={"#000000": 0, "#ff0000": 1}))
    assert (found["W140"].severity, found["W140"].total) == ("warning", 3)
    assert "data.mask_channel=alpha data.mask_threshold=128" in found["W140"].fix
    read = audit(open_dataset(Data(mask_channel="alpha", mask_threshold=128), root))
    assert (read.errors, read.statistics["train"].pixels) == ((), (2, 6))


def test_a_shape_in_the_alpha_channel_is_an_error_whose_fix_reads_it(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK, "val/c": MASK})
    for key, alpha in (("train/a", 255 * MASK), ("train/b", 255 * MASK), ("val/c", 255 - 255 * MASK)):
        pixels = np.dstack([np.zeros((2, 2, 3), np.uint8), alpha])
        Image.fromarray(pixels).save(root / "masks" / f"{key}.png")
    found = findings(root, Data())["D140"]
    assert (found.severity, found.total) == ("error", 3)
    assert "data.mask_channel=alpha data.mask_threshold=128" in found.fix
    for data in (Data(mask_channel="alpha", mask_threshold=128), Data(mask_channel="alpha")):
        dataset = open_dataset(data, root)
        assert dataset.classes == ("background", "object")
        read = audit(dataset)
        assert (read.errors, read.statistics["train"].pixels) == ((), (4, 4))


def test_images_of_8_bits_beside_a_range_are_named(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK, "val/c": MASK})
    Image.fromarray(np.array([[0, 900], [70, 3000]], np.uint16)).save(root / "images" / "train" / "a.png")
    found = findings(root, Data(classes=("a", "b"), input_range=(0, 3000)))["W141"]
    assert (found.severity, found.files) == ("warning", ("images/train/b.png", "images/val/c.png"))
    assert "W141" not in findings(root)


def test_errors_come_before_warnings_and_problems_of_opening_are_repeated(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK, "val/c": np.zeros((2, 2), np.uint8)})
    (root / "masks" / "train" / "b.png").unlink()
    found = audit(open_dataset(DATA, root)).findings
    assert [finding.code for finding in found] == ["D220", "W210"]
    assert found[0].files == ("images/train/b.png",)


def test_of_many_absent_classes_eight_are_named(make_folder: MakeFolder):
    data = Data(classes=tuple(f"class {i}" for i in range(40)))
    found = findings(make_folder({"train/a": MASK, "train/b": MASK}), data)["W210"]
    assert "class 2, class 3" in found.message
    assert "class 9 and 30 more have no pixels and cannot be learnt" in found.message


def test_of_a_class_without_pixels_the_masks_of_other_splits_are_named(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK, "train/b": MASK, "val/c": MASK + 1, "val/d": MASK + 1})
    train, val = (one for one in audit(open_dataset(Data(), root)).findings if one.code == "W210")
    assert train.message == (
        "train: class_2 has no pixels and cannot be learnt; val has pixels of it in 2 masks, e.g. masks/val/c.png"
    )
    assert train.files == ("masks/val/c.png", "masks/val/d.png")
    assert "val: class_0 has no pixels and cannot be measured there: means cover 2 of 3 classes" in val.message
    assert "train has pixels of it in 2 masks, e.g. masks/train/a.png" in val.message


def test_of_several_labels_per_pixel_the_images_are_named(tmp_path: Path):
    for split, rust in (("train", 0), ("val", 255)):
        for kind, pixels in (
            ("images", np.full((4, 6, 3), 90 + rust // 9, np.uint8)),
            ("masks/crack", np.eye(4, 6, dtype=np.uint8) * 255),
            ("masks/rust", np.eye(4, 6, dtype=np.uint8) * np.uint8(rust)),
        ):
            folder, _, name = kind.partition("/")
            path = tmp_path / folder / split / name / "a.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (found,) = (one for one in audit(open_dataset(Data(), tmp_path)).findings if one.code == "W210")
    assert found.message.endswith("val has pixels of it in 1 image, e.g. images/val/a.png")


def test_masks_read_with_a_threshold_have_no_ignored_255(make_folder: MakeFolder):
    root = make_folder({"train/a": MASK * 255, "train/b": np.array([[3, 200]], np.uint8)})
    result = audit(open_dataset(Data(mask_threshold=128), root))
    assert result.findings == ()
    assert (result.classes, result.statistics["train"].pixels) == (("background", "object"), (3, 3))


def test_masks_of_other_photos_are_w261_with_the_exchanged_pair_or_the_shift(tmp_path: Path):
    changes: dict[str, Callable[[int], int]] = {
        "right": lambda index: index,
        "exchanged": lambda index: {2: 9, 9: 2}.get(index, index),
        "shifted": lambda index: (index + 1) % 14,
    }
    found = {}
    for name, other in changes.items():
        pairs(tmp_path / name, lambda labels, index, other=other: scene(other(index))[1], number=14)
        found[name] = findings(tmp_path / name, Data()).get("W261")
    assert found["right"] is None
    exchanged, shifted = found["exchanged"], found["shifted"]
    assert exchanged is not None
    assert {"masks/p02.png", "masks/p09.png"} <= set(exchanged.files)
    assert re.search(r"p0[29]\.png, which seems to be exchanged with that of p0[29]", exchanged.message)
    assert "shifted" not in exchanged.message
    assert shifted is not None
    assert "the names may be shifted by one" in shifted.message


def sixteen_bits(root: Path, high: int) -> Path:
    """Four images of 16 bits whose values are uniform from 0 to `high`, with masks of two classes."""
    for kind in ("images", "masks"):
        (root / kind / "train").mkdir(parents=True)
    for index in range(4):
        values = np.random.default_rng(index).integers(0, high + 1, (40, 40)).astype(np.uint16)
        Image.fromarray(values).save(root / "images" / "train" / f"{index}.png")
        Image.fromarray(np.uint8(values > high // 2)).save(root / "masks" / "train" / f"{index}.png")
    return root


def test_a_range_of_which_little_is_used_is_w142_with_the_one_that_is(tmp_path: Path):
    # Uniform from 0 to 3000: mean 1500, standard deviation 3000 / sqrt(12) = 866, 3.4 of 255 steps of 65535.
    root = sixteen_bits(tmp_path, 3000)
    found = findings(root, Data(classes=("a", "b"), input_range=(0, 65535)))["W142"]
    assert "of the 255 steps of data.input_range=[0, 65535]" in found.message
    (low, high) = map(float, re.findall(r"input_range=\[([\d.]+), ([\d.]+)\]", found.fix)[0])
    assert low == 0
    assert 1500 + 4 * 866 * 0.97 < high < 1500 + 4 * 866 * 1.05
    assert "W142" not in findings(root, Data(classes=("a", "b"), input_range=(low, high)))


def test_a_range_below_zero_is_found_again(tmp_path: Path):
    root = sixteen_bits(tmp_path, 10)
    found = findings(root, Data(classes=("a", "b"), input_range=(-1000, 1000)))["W142"]
    (low, high) = map(float, re.findall(r"input_range=\[(-?[\d.]+), ([\d.]+)\]", found.fix)[0])
    assert -10 < low < 0 < 10 < high < 25
    assert "W142" not in findings(root, Data(classes=("a", "b"), input_range=(low, high)))


def test_half_of_a_range_is_enough(tmp_path: Path):
    assert "W142" not in findings(sixteen_bits(tmp_path, 30_000), Data(classes=("a", "b"), input_range=(0, 65535)))
