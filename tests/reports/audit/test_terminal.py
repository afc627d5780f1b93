import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelwise.testing.miniatures import write_miniature


def test_sound_data_is_shown_and_the_next_command_named(run_cli: Callable, tiny_data: Path):
    code, stdout, _ = run_cli(["check", tiny_data])
    assert code == 0
    assert "8 train, 3 val, 3 test" in stdout
    assert "64x48 (WxH), all" in stdout
    assert "box" in stdout
    assert f"ready: pixelwise train {tiny_data}" in stdout


def test_json_holds_everything(run_cli: Callable, tiny_data: Path):
    code, stdout, _ = run_cli(["check", tiny_data, "--json"])
    found = json.loads(stdout)
    assert code == 0
    assert found["splits"] == {"train": 8, "val": 3, "test": 3}
    assert [finding["code"] for finding in found["findings"]] == ["W260"]  # 8 and 3 images
    # Rows 0 and 1 of every 48x64 image are void.
    assert found["statistics"]["train"]["void_pixels"] == 8 * 2 * 64


def copied(source: Path, folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    shutil.copytree(source, folder)
    for split in without:
        for kind in ("images", "masks"):
            shutil.rmtree(folder / kind / split)
    return folder


def with_a_leak(source: Path, folder: Path) -> Path:
    copied(source, folder)
    for kind in ("images", "masks"):
        shutil.copy(folder / kind / "train" / "00.png", folder / kind / "val" / "99.png")
    return folder


def test_an_error_is_counted_and_fails(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    code, stdout, _ = run_cli(["check", with_a_leak(tiny_data, tmp_path / "data")])
    assert code == 3
    assert "1 error (2 files), 1 warning: fix the errors before training" in stdout
    assert "ready" not in stdout


def test_an_allowed_error_does_not_fail_and_the_command_allows_it_too(
    run_cli: Callable, tiny_data: Path, tmp_path: Path
):
    data = with_a_leak(tiny_data, tmp_path / "my data")
    code, stdout, _ = run_cli(["check", data, 'data.allow=["D133"]'])
    assert code == 0
    verdict, _, command = stdout.splitlines()[-1].partition(": ")
    assert verdict == "1 error (2 files) allowed by data.allow, 1 warning; ready"
    assert shlex.split(command) == ["pixelwise", "train", str(data), 'data.allow=["D133"]']


def test_without_a_split_to_score_the_command_names_another(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "data", without=("test",))
    code, stdout, _ = run_cli(["check", data, "--recipe", "town-demo", "data.dataset=folder", "evaluation.split=test"])
    assert code == 0
    hint = next(line for line in stdout.splitlines() if line.startswith("hint  evaluation.split is 'test'"))
    assert hint.endswith("train (8), val (3)")
    ready = f"ready with other splits: pixelwise train town-demo --data {data} data.dataset=folder evaluation.split=val"
    assert stdout.splitlines()[-1] == f"1 warning; {ready}"


def test_with_a_training_split_alone_dividing_it_is_proposed(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "data", without=("val", "test"))
    code, stdout, _ = run_cli(["check", data])
    assert code == 0
    last = f"that scores the training images; to hold some out first: pixelwise data split {data}"
    assert stdout.splitlines()[-1] == last


def test_weights_are_not_chosen_on_the_test_split(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    code, stdout, _ = run_cli(["check", copied(tiny_data, tmp_path / "data", without=("val",))])
    assert code == 0
    assert stdout.rstrip().endswith("evaluation.split=test selection.weights=last selection.every_epochs=0")


def test_a_selection_split_that_is_never_looked_at_may_be_missing(run_cli: Callable, tiny_data: Path):
    unused = ["selection.split=dev", "selection.weights=last", "selection.every_epochs=0"]
    code, stdout, _ = run_cli(["check", tiny_data, *unused])
    assert code == 0
    assert "ready: pixelwise" in stdout


def test_nothing_to_train_on_fails(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "data", without=("train",))
    code, stdout, _ = run_cli(["check", data])
    assert code == 3
    assert run_cli(["check", data, "--json"]).code == 3
    assert "error D221  data.train_split is 'train'" in stdout
    assert stdout.splitlines()[-1].startswith("1 error")
    assert "ready" not in stdout


def test_without_any_usable_pair_no_other_split_is_proposed(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "data", without=())
    for mask in (data / "masks").rglob("*.png"):
        mask.write_bytes(b"broken")
    code, stdout, _ = run_cli(["check", data, 'data.classes=["a", "b", "c"]', 'data.allow=["D102"]'])
    assert code == 3
    error = next(line for line in stdout.splitlines() if line.startswith("error D221  data.train_split is 'train'"))
    assert error.endswith(": none")
    assert "hint" not in stdout


def test_lists_of_files_elsewhere_are_said_to_be_such(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    for split in ("train", "val"):
        images = sorted((tiny_data / "images" / split).iterdir())
        lines = [f"{image} {tiny_data / 'masks' / split / image.stem}.png" for image in images]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n")
    code, stdout, _ = run_cli(["check", tmp_path, "-v"])
    assert code == 0
    layout = next(line for line in stdout.splitlines() if line.startswith("layout  "))
    assert "%" not in layout  # no share of the folder's own images


def test_json_holds_what_was_measured_besides(run_cli: Callable, tiny_data: Path):
    found = json.loads(run_cli(["check", tiny_data, "--json"]).stdout)
    assert found["layout_scores"][0]["share"] == 1.0
    assert len(found["suggestions"]["class_weights"]["enet"]) == 3
    assert [one["stride"] for one in found["ceiling"]] == [4, 8, 16, 32]
    assert 0.5 < found["ceiling"][0]["bilinear"] <= 1


def test_the_terminal_says_what_was_measured_if_asked(run_cli: Callable, tiny_data: Path):
    plain, verbose = (run_cli(["check", tiny_data, *more]).stdout for more in ([], ["--verbose"]))
    for word in (
        "layout    uses 100",
        "colours   train: mean 0.",
        "weights   loss.class_weights: enet",
        "at stride 32",
    ):
        assert word in verbose
        assert word not in plain
    # Nothing else differs, and settings that are planned when training begins are not found fault with.
    assert set(plain.splitlines()) <= set(verbose.splitlines())
    assert "W51" not in plain


def test_photos_that_were_turned_upright_are_counted(run_cli: Callable, tmp_path: Path):
    for kind in ("images", "masks"):
        (tmp_path / kind / "train").mkdir(parents=True)
    sideways = Image.Exif()
    sideways[0x0112] = 6  # turned by 90 degrees
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 6, 3), np.uint8)
        turned = number < 2
        photo = Image.fromarray(np.rot90(pixels) if turned else pixels)
        photo.save(tmp_path / "images" / "train" / f"{number}.png", exif=sideways if turned else None)
        Image.fromarray(pixels[..., 0] // 128).save(tmp_path / "masks" / "train" / f"{number}.png")
    stdout = run_cli(["check", tmp_path]).stdout
    assert "images    6x8 (WxH), all; 2 turned upright, as EXIF states" in stdout
    assert "EXIF" not in run_cli(["check", tmp_path, "data.exif=ignore", 'data.allow=["D110"]']).stdout.split("id")[0]


def test_a_recipe_file_can_be_written_and_reads_back(run_cli: Callable, tiny_data: Path, tmp_path: Path):
    data = copied(tiny_data, tmp_path / "data", without=("val",))
    code, _, stderr = run_cli(["check", data, "--write", tmp_path / "mine.toml"])
    assert code == 0
    assert "pixelwise train" in stderr
    again = json.loads(run_cli(["show", tmp_path / "mine.toml", "--json"]).stdout)
    assert again["data"]["classes"] == ["ground", "box", "ball"]
    assert again["data"]["dataset"] == "folder"
    assert again["evaluation"]["split"] == "test"
    assert again["selection"]["every_epochs"] == 0
    assert again["model"]["preprocessing"]["mean"][0] == pytest.approx(0.4, abs=0.2)
    assert run_cli(["check", data, "--recipe", tmp_path / "mine.toml"]).code == 0


def test_a_split_whose_pairs_are_all_wrong_is_one_kind_of_errors(run_cli: Callable, tmp_path: Path):
    for split in ("train", "val"):
        for kind, size in (("images", 8), ("masks", 4)):
            (tmp_path / kind / split).mkdir(parents=True)
            pixels = np.eye(size, dtype=np.uint8)[:: 1 if split == "train" else -1]
            Image.fromarray(pixels).save(tmp_path / kind / split / "a.png")
    code, stdout, _ = run_cli(["check", tmp_path])
    assert code == 3
    assert "error D201" in stdout
    assert "D221" not in stdout
    assert "1 error (2 files)" in stdout
    assert "fix the errors before training" in stdout
    assert "`pixelwise explain D201` says more about an error" in stdout
    # Allowed, the pairs are left out, and nothing is left.
    code, stdout, _ = run_cli(["check", tmp_path, 'data.allow=["D201"]'])
    assert code == 3
    assert "error D221  data.train_split is 'train'" in stdout


@pytest.mark.heavy
def test_other_splits_to_train_on_are_named(run_cli: Callable, tmp_path: Path):
    root = write_miniature("voc-aug", tmp_path / "voc", (4, 2))
    code, stdout, _ = run_cli(["check", root, "--html", tmp_path / "page.html"])
    assert code == 0
    assert "also 4 train_aug (data.train_split=train_aug)" in stdout
    assert "also 4 train_aug" in (tmp_path / "page.html").read_text("utf-8")


def test_converted_bands_say_how_they_are_read(run_cli: Callable, tmp_path: Path):
    for kind, array in (("images", np.zeros((6, 6, 5), np.uint8)), ("masks", np.eye(6, dtype=np.uint8))):
        (tmp_path / kind / "train").mkdir(parents=True)
        np.save(tmp_path / kind / "train" / "a.npy", array)
    _, stdout, _ = run_cli(["check", tmp_path])
    assert "error D105" in stdout
    assert "the NumPy array has 5 bands of uint8" in stdout
    assert "data.channels=[0,1,2,3,4]" in stdout
    _, stdout, _ = run_cli(["check", tmp_path, "data.channels=[0,1,2,3,4]"])
    assert "D105" not in stdout
