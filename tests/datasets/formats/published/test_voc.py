from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.datasets.auditing.audit import audit, raise_for_errors
from pixelwise.datasets.formats.published.voc import voc_layout
from pixelwise.datasets.opening import open_dataset, settled
from pixelwise.datasets.reading.pairs import read_pair
from pixelwise.errors import DataError
from pixelwise.recipes.class_sets.tables import VOC
from pixelwise.recipes.schema.recipe import Data

# VOC has masks for these; of the others only SBD has.
TRAIN, VAL = ("2007_000032", "2007_000039"), ("2007_000033",)
SBD_ONLY = ("2008_000002", "2008_000003")
AUG = Data(dataset="voc-aug", train_split="train_aug")


def write_mask(path: Path, *values: int, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(np.array([values], np.uint8))
    if palette:
        mask.putpalette([channel for color in VOC.palette for channel in color])
    mask.save(path)


def write_list(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """`VOCdevkit/VOC2012` with SBD's merged masks, in miniature: VOC says 1 and 255, SBD 2."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for number, name in enumerate((*TRAIN, *VAL, *SBD_ONLY)):
        (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((1, 3, 3), 10 * number, np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
    for name in (*TRAIN, *VAL):
        write_mask(root / "SegmentationClass" / f"{name}.png", 0, 1, 255, palette=True)
        write_mask(root / "SegmentationObject" / f"{name}.png", 0, 9, 255, palette=True)
    for name in (*TRAIN, *SBD_ONLY):
        write_mask(root / "SegmentationClassAug" / f"{name}.png", 0, 2, 20)
    lists = root / "ImageSets" / "Segmentation"
    write_list(lists / "train.txt", *TRAIN)
    write_list(lists / "val.txt", *VAL)
    write_list(lists / "trainval.txt", *TRAIN, *VAL)
    write_list(lists / "trainaug.txt", *SBD_ONLY, *TRAIN)
    return root


def ids(root: Path, data: Data = AUG) -> dict[str, list[str]]:
    return {name: [s.id for s in samples] for name, samples in open_dataset(data, root).splits.items()}


@pytest.mark.parametrize("up", [0, 1, 2])
def test_the_folder_itself_or_one_above_it_is_recognised(voc: Path, up: int):
    dataset = open_dataset(Data(), (voc, *voc.parents)[up])
    assert (dataset.name, dataset.root, dataset.classes) == ("voc-aug", voc, VOC.names)
    assert dataset.problems == ()


def test_splits_are_the_lists_and_only_one_of_the_overlapping_ones_is_opened(voc: Path):
    assert ids(voc) == {"val": [*VAL], "train_aug": [*TRAIN, *SBD_ONLY]}
    assert ids(voc, Data(dataset="voc-aug")) == {"train": [*TRAIN], "val": [*VAL]}


def test_vocs_own_masks_score_and_the_merged_ones_train(voc: Path):
    merged, own = open_dataset(AUG, voc), open_dataset(Data(), voc)
    assert read_pair(merged.samples("train_aug")[0], merged)[1].tolist() == [[0, 2, 20]]
    assert read_pair(merged.samples("val")[0], merged)[1].tolist() == [[0, 1, 255]]
    assert read_pair(own.samples("train")[0], own)[1].tolist() == [[0, 1, 255]]


def test_an_image_without_a_merged_mask_takes_vocs_own(voc: Path):
    (voc / "SegmentationClassAug" / f"{TRAIN[0]}.png").unlink()
    dataset = open_dataset(AUG, voc)
    assert dataset.problems == ()
    assert read_pair(dataset.samples("train_aug")[0], dataset)[1].tolist() == [[0, 1, 255]]


def test_the_audit_finds_no_leak_and_no_error(voc: Path):
    found = audit(open_dataset(AUG, voc))
    assert found.errors == ()
    assert found.splits == {"val": 1, "train_aug": 4}


def test_a_list_of_paths_instead_of_names_is_read(voc: Path):
    lines = [f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png" for name in SBD_ONLY]
    write_list(voc / "ImageSets" / "Segmentation" / "trainaug.txt", *lines, lines[0])
    assert ids(voc)["train_aug"] == [*SBD_ONLY]


@pytest.mark.parametrize("separator", [" ", "\t", "  1 ", " -1\t"])
def test_all_names_of_a_line_count(voc: Path, separator: str):
    write_list(voc / "ImageSets" / "Segmentation" / "trainaug.txt", separator.join((*SBD_ONLY, *TRAIN)))
    assert ids(voc)["train_aug"] == [*TRAIN, *SBD_ONLY]


def test_a_list_that_gives_an_image_the_mask_of_another_one_is_followed_or_refused(voc: Path):
    lists = voc / "ImageSets" / "Segmentation"
    pairs = [f"JPEGImages/{a}.jpg SegmentationClass/{b}.png" for a, b in zip(TRAIN, TRAIN[::-1], strict=True)]
    write_list(lists / "train.txt", *pairs)
    write_list(lists / "val.txt", *(f"JPEGImages/{name}.jpg SegmentationClass/{name}.png" for name in VAL))
    (lists / "trainaug.txt").unlink()
    dataset = open_dataset(Data(), voc)
    assert dataset.name == "lists"
    assert {(s.image_path.stem, s.mask_path.stem) for s in dataset.samples("train") if s.mask_path} == {
        TRAIN,
        TRAIN[::-1],
    }
    named = open_dataset(Data(dataset="voc-aug", train_split="train"), voc)
    with pytest.raises(DataError, match=TRAIN[0]) as caught:
        raise_for_errors(audit(named))
    assert caught.value.code == "D220"


@pytest.mark.parametrize("up", [0, 1, 2])
def test_without_trainaug_txt_the_lists_of_sbd_give_the_same_names(voc: Path, up: int):
    (voc / "ImageSets" / "Segmentation" / "trainaug.txt").unlink()
    sbd = (voc, *voc.parents)[up] / "benchmark_RELEASE" / "dataset"
    # SBD has images of VOC's val; they are not trained on.
    write_list(sbd / "train.txt", SBD_ONLY[0], VAL[0])
    write_list(sbd / "val.txt", SBD_ONLY[1])
    assert ids(voc)["train_aug"] == [*TRAIN, *SBD_ONLY]


def test_without_any_list_of_train_aug_val_still_opens_and_training_is_told_what_to_add(voc: Path):
    (voc / "ImageSets" / "Segmentation" / "trainaug.txt").unlink()
    dataset = open_dataset(AUG, voc)
    assert len(dataset.samples("val")) == 1
    with pytest.raises(DataError, match=r"\btrainaug\.txt\b.*'train_aug'") as caught:
        raise_for_errors(audit(dataset))
    assert caught.value.code == "D226"
    assert "trainaug.txt" in caught.value.help
    assert "10582" in caught.value.help
    assert "benchmark_RELEASE/dataset/train.txt" in caught.value.help


def test_without_merged_masks_training_on_them_is_refused_and_on_vocs_own_is_not(voc: Path):
    for mask in (voc / "SegmentationClassAug").iterdir():
        mask.unlink()
    (problem,) = open_dataset(AUG, voc).problems
    assert (problem.code, problem.severity) == ("D226", "error")
    assert problem.message.startswith(f"{voc / 'SegmentationClassAug'}: ")
    assert "'train_aug'" in problem.message
    assert "0..20, 255" in problem.fix
    assert "MATLAB" not in problem.fix
    assert open_dataset(Data(), voc).problems == ()


def test_masks_of_sbd_as_it_ships_them_are_named(voc: Path):
    for mask in (voc / "SegmentationClassAug").iterdir():
        mask.unlink()
    sbd = voc.parents[1] / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    (problem,) = open_dataset(AUG, voc).problems
    assert f"{sbd}/cls" in problem.fix
    assert "MATLAB" in problem.fix


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_list_is_d226_with_the_archive_it_is_part_of(voc: Path, split: str):
    (voc / "ImageSets" / "Segmentation" / f"{split}.txt").unlink()
    dataset = open_dataset(Data(dataset="voc-aug"), voc)
    assert split not in dataset.splits
    (problem,) = dataset.problems
    assert (problem.code, problem.split) == ("D226", split)
    with pytest.raises(DataError) as caught:
        dataset.samples(split)
    assert (caught.value.code, caught.value.message) == ("D226", problem.message)
    with pytest.raises(DataError) as caught:
        dataset.samples("test")
    assert caught.value.code == "D221"
    assert f"{split}.txt: " in problem.message
    assert f"'{split}'" in problem.message
    assert "VOCtrainval_11-May-2012.tar" in problem.fix


def test_a_missing_part_of_joined_training_splits_is_named(voc: Path):
    (voc / "ImageSets" / "Segmentation" / "val.txt").unlink()
    dataset = open_dataset(Data(dataset="voc-aug", train_split="train+val"), voc)
    with pytest.raises(DataError, match=r"val\.txt: ") as caught:
        dataset.samples("train+val")
    assert caught.value.code == "D226"


def test_a_list_that_names_a_missing_image_is_d220_and_the_others_are_used(voc: Path):
    (voc / "JPEGImages" / f"{TRAIN[1]}.jpg").unlink()
    dataset = open_dataset(Data(), voc)
    assert [sample.id for sample in dataset.samples("train")] == [TRAIN[0]]
    (problem,) = dataset.problems
    assert (problem.code, problem.split, problem.total) == ("D220", "train", 1)
    assert "1 of 2" in problem.message
    assert "JPEGImages" in problem.message
    assert problem.message.endswith(TRAIN[1])


def test_a_list_that_names_an_image_without_mask_is_d220(voc: Path):
    (voc / "SegmentationClass" / f"{VAL[0]}.png").unlink()
    dataset = open_dataset(Data(), voc)
    assert dataset.splits["val"] == ()
    assert [(p.code, p.total, "SegmentationClass" in p.message) for p in dataset.problems] == [("D220", 1, True)]


def test_an_empty_list_is_an_empty_split(voc: Path):
    (voc / "ImageSets" / "Segmentation" / "val.txt").write_text("\n")
    assert [problem.code for problem in open_dataset(Data(dataset="voc-aug"), voc).problems] == ["D221"]


def test_own_data_laid_out_like_voc_is_not_taken_for_it(voc: Path):
    lists = voc / "ImageSets" / "Segmentation"
    for folder in ("JPEGImages", "SegmentationClass"):
        for file in (voc / folder).iterdir():
            file.rename(file.with_name(f"mine-{file.name}"))
    for split, names in (("train", TRAIN), ("val", VAL)):
        write_list(lists / f"{split}.txt", *(f"mine-{name}" for name in names))
    (lists / "trainaug.txt").unlink()
    assert open_dataset(Data(), voc).name == "lists"
    assert open_dataset(Data(dataset="voc-aug"), voc).name == "voc-aug"


@pytest.mark.parametrize("missing", ["JPEGImages", "ImageSets"])
def test_a_folder_that_lacks_a_part_is_no_voc(voc: Path, missing: str, tmp_path: Path):
    (voc / missing).rename(tmp_path / "elsewhere")
    assert voc_layout(voc) is None
    with pytest.raises(DataError) as caught:
        open_dataset(AUG, voc)
    assert caught.value.code == "D222"
    assert all(part in caught.value.help for part in ("VOCdevkit/VOC2012/", "JPEGImages/", "ImageSets/Segmentation/"))


def test_a_settled_recipe_opens_it_the_same_way(voc: Path):
    first = open_dataset(AUG, voc)
    again = open_dataset(settled(AUG, first), voc)
    assert (again.label_table, again.palette, again.splits) == (first.label_table, first.palette, first.splits)


def test_reading_follows_the_palette_indices_not_the_colours(voc: Path):
    write_mask(voc / "SegmentationClass" / f"{VAL[0]}.png", 20, 15, 0, palette=True)
    dataset = open_dataset(Data(), voc)
    assert read_pair(dataset.samples("val")[0], dataset)[1].tolist() == [[20, 15, 0]]
