"""`benchmarks/suite.py` without its trainings: what it scores, compares and keeps; no test image is learned."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

CLASSES = ("a", "b")


@pytest.fixture
def suite(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("suite")


@pytest.fixture
def suite_commands(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("suite_commands")


@pytest.fixture
def suite_scores(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("suite_scores")


def write(path: Path, rows: list[list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, np.uint8)).save(path)


def cell(suite_scores: ModuleType, system: str, right: list[list[int]], **changes: Any) -> Any:
    fields = {
        "data": "town", "system": system, "minutes": 5.0, "seed": 0, "cores": 2, "spent": 5.0, "miou": 0.5,
        "interval": None, "pixel_accuracy": 0.5, "per_class_iou": {}, "images": [f"{n}" for n in range(len(right))],
        "right": right, "unions": [[10, 10]] * len(right),
    }  # fmt: skip
    return suite_scores.Cell(**(fields | changes))


def options(tmp_path: Path, **changes: Any) -> argparse.Namespace:
    fields = {"work": tmp_path / "work", "threads": 1, "at_once": 1, "smp": "smp-python", "ultralytics": "yolo-python"}
    return argparse.Namespace(**(fields | {"images": None, "nuclei": None, "camvid": None} | changes))


def test_masks_are_scored_over_all_pixels_of_all_images(suite_scores: ModuleType, tmp_path: Path):
    write(tmp_path / "truth/x.png", [[0, 0, 1, 255]])
    write(tmp_path / "truth/y.png", [[1, 1]])
    write(tmp_path / "masks/x.png", [[0, 1, 1, 0]])
    write(tmp_path / "masks/y.png", [[1, 0]])
    found = suite_scores.scored(tmp_path / "masks", tmp_path / "truth", CLASSES)
    # Of a: 1 right, 1 missed, 1 too many; of b: 2 right, 1 missed, 1 too many. The ignored pixel does not count.
    assert found["per_class_iou"] == {"a": 1 / 3, "b": 2 / 4}
    assert found["miou"] == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert (found["images"], found["right"], found["unions"]) == (["x", "y"], [[1, 1], [0, 1]], [[2, 2], [1, 2]])


@pytest.mark.parametrize(("name", "rows", "said"), [("z.png", [[0]], "x.png is missing"), ("x.png", [[0]], "expected")])
def test_a_mask_that_is_missing_or_of_another_size_is_refused(
    suite_scores: ModuleType, tmp_path: Path, name: str, rows: list[list[int]], said: str
):
    write(tmp_path / "truth/x.png", [[0, 1]])
    write(tmp_path / "masks" / name, rows)
    with pytest.raises(SystemExit, match=said):
        suite_scores.scored(tmp_path / "masks", tmp_path / "truth", CLASSES)


def test_the_same_images_are_drawn_for_both(suite_scores: ModuleType):
    # Images differ much, but one system is better by a tenth in each of them: nothing is left to chance.
    low = cell(suite_scores, "peer", [[1, 1], [8, 8], [4, 4]] * 2, miou=13 / 30)
    high = cell(suite_scores, "ours", [[2, 2], [9, 9], [5, 5]] * 2, miou=16 / 30)
    found = suite_scores.difference(high, low)
    assert found.value == pytest.approx(0.1)
    assert found.interval == pytest.approx((0.1, 0.1))
    with pytest.raises(ValueError, match="different images"):
        suite_scores.difference(high, cell(suite_scores, "peer", [[1, 1]]))


def test_holm_multiplies_the_smallest_probability_by_the_number_of_differences(suite_scores: ModuleType):
    told = suite_scores.adjusted([suite_scores.Estimate(value=0.1, p=p) for p in (0.04, 0.01, 0.03)])
    assert [one.adjusted for one in told] == pytest.approx([0.06, 0.03, 0.06])
    assert [one.separated for one in told] == [False, True, False]


def test_the_page_marks_what_chance_does_not_explain(suite_scores: ModuleType, tmp_path: Path):
    many = 8
    cells = [
        cell(suite_scores, "Ours: A", [[9, 9], [9, 9]] * many, miou=0.9, interval=(0.85, 0.95)),
        cell(suite_scores, "Ours: B", [[9, 9], [1, 1]] * many, miou=0.5),
        cell(suite_scores, "Ours: C", [[9, 9], [9, 9]] * many, miou=0.9 - 1e-9),
        cell(suite_scores, "peer", [[5, 5], [5, 5]] * many, miou=0.5, spent=6.0),
    ]
    text = suite_scores.page(cells, "python suite.py", "Ours: ")
    assert "| Ours: A | **90.0** (85.0 to 95.0) |" in text
    assert "| Ours: B | 50.0 |" in text
    assert "| Ours: C | 90.0 ≈ |" in text
    assert "| peer | 50.0 |" in text
    row = next(line for line in text.splitlines() if line.startswith("| peer, town, 5 min"))
    first, second, third = (one.strip() for one in row.split("|")[2:5])
    assert (first, third) == ("**+40.0 (+40.0 to +40.0)**",) * 2
    # Sixteen images of which half are 40 points better and half 40 worse: the standard error is 40 / sqrt(15) = 10.33,
    # and t(0.975, 15) = 2.131, so 22.0; the bootstrap comes near to it.
    low, high = (float(end) for end in second.removeprefix("+0.0 (").removesuffix(")").split(" to "))
    assert low == pytest.approx(-22.0, abs=1.5)
    assert high == pytest.approx(22.0, abs=1.5)
    assert "masks, took: peer on town (6.0 of 5)." in text
    suite_scores.plot(cells, tmp_path / "plot.svg", "Ours: ")
    assert "mIoU" in (tmp_path / "plot.svg").read_text("utf-8")


def test_nothing_that_is_tested_is_learned(suite: ModuleType, tmp_path: Path):
    for number in range(20):
        one = tmp_path / "nuclei" / f"image{number:03d}"
        write(one / "images" / f"image{number:03d}.png", [[number, 0], [0, 0]])
        write(one / "masks" / "1.png", [[255, 0], [0, 0]])
    asked = options(tmp_path, nuclei=tmp_path / "nuclei")
    suite.divide("nuclei", asked)
    data = asked.work / "data"
    names = {split: {p.stem for p in (data / "nuclei" / "images" / split).iterdir()} for split in ("train", "val")}
    tested = {path.stem for path in (data / "nuclei-test" / "images" / "test").iterdir()}
    assert (len(names["train"]), len(names["val"]), len(tested)) == (12, 3, 5)
    assert len(names["train"] | names["val"] | tested) == 20
    assert not (data / "nuclei" / "images" / "test").exists()
    stamp = (data / "nuclei-test").stat().st_mtime_ns
    suite.divide("nuclei", asked)  # only once
    assert (data / "nuclei-test").stat().st_mtime_ns == stamp


def test_a_training_begins_with_random_weights_and_a_stopped_one_is_resumed(suite: ModuleType, tmp_path: Path):
    key = suite.Key("town", "Pixelwise: SwiftNet-R18", 30.0, 3)
    folder = tmp_path / key.folder
    begun = suite.training(key, folder, options(tmp_path))
    assert begun[3:6] == ["train", "unet", str(tmp_path / "work" / "data" / "town")]
    for words in (["--minutes", "30"], ["--seed", "3"], ["--weights", "none"], ["--threads", "1"]):
        assert words == begun[begun.index(words[0]) : begun.index(words[0]) + 2]
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "recipe.toml").write_text("")
    assert suite.training(key, folder, options(tmp_path))[3:5] == ["resume", str(folder / "run")]


@pytest.mark.parametrize("name", ["U-Net-R18", "SwiftNet-R18", "FPNLite-MNv2", "PIDNet-S", "SegFormer-B0"])
def test_every_network_is_a_recipe(suite: ModuleType, name: str):
    from pixelwise.recipes.catalog import recipe
    from pixelwise.recipes.overrides import apply_overrides

    base, *changes = suite.RECIPE_FOR_ALL
    family = type(
        apply_overrides(recipe(base), [f"model={suite.NETWORKS[name]}", *changes]).model
    ).__name__.removesuffix("Spec")
    assert name.replace("U-Net", "UNet").partition("-")[0] == family


def test_a_cell_that_is_done_is_kept_and_seconds_of_all_attempts_count(
    suite: ModuleType, suite_commands: ModuleType, suite_scores: ModuleType, tmp_path: Path
):
    asked, commands = options(tmp_path), suite_commands.Commands(1, 1)
    key = suite.Key("town", "smp: Unet-R18", 5.0, 0)
    folder = asked.work / key.folder
    folder.mkdir(parents=True)
    attempts = folder / suite_commands.ATTEMPTS

    def attempt(code: str) -> None:
        commands.timed([sys.executable, "-c", code], folder)

    commands.map(attempt, ["print('once')", "print('twice')"])
    assert len(msgspec.json.decode(attempts.read_bytes())) == 2
    assert (folder / "log.txt").read_text() == "once\ntwice\n"
    with pytest.raises(subprocess.CalledProcessError):
        commands.map(attempt, ["raise SystemExit(3)"])
    assert len(msgspec.json.decode(attempts.read_bytes())) == 3
    done = cell(suite_scores, key.system, [[1, 1]])
    (folder / "cell.json").write_bytes(msgspec.json.encode(done))
    assert suite.cell(key, asked, commands) == suite_scores.with_interval(done)
    # A column is shown as it is only if no system is missing in it.
    other, longer = key._replace(system="smp: FPN-MNv2"), key._replace(minutes=30.0)
    assert suite.complete([key, other, longer], asked.work) == []
    assert suite.complete([key, longer], asked.work) == [key]


def test_cells_at_a_time_have_cores_of_their_own(suite_commands: ModuleType, tmp_path: Path):
    cores = suite_commands.usable_cores()
    with pytest.raises(ValueError, match=f"this process may use {len(cores)}"):
        suite_commands.Commands(len(cores) + 1, 1)
    if not hasattr(os, "sched_getaffinity") or len(cores) < 2:
        pytest.skip("needs two cores, on Linux")
    commands = suite_commands.Commands(2, 1)
    # Each waits for the other, so that both run at the same time.
    code = """
import os, pathlib, sys, time
own, other = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
own.write_text(str(os.sched_getaffinity(0)))
until = time.monotonic() + 60
while not other.exists():
    assert time.monotonic() < until, "they did not run at the same time"
    time.sleep(0.01)
"""

    def wait(names: tuple[str, str]) -> None:
        folder = tmp_path / f"cell-{names[0]}"
        folder.mkdir()
        commands.timed([sys.executable, "-c", code, *(str(tmp_path / name) for name in names)], folder)

    commands.map(wait, [("a", "b"), ("b", "a")])
    assert {(tmp_path / name).read_text() for name in "ab"} == {str({core}) for core in cores[:2]}


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be asked to save on Windows")
def test_a_stopped_suite_lets_every_command_save_and_begins_no_other(suite_commands: ModuleType, tmp_path: Path):
    at_once = min(2, len(suite_commands.usable_cores()))
    commands, begun = suite_commands.Commands(at_once, 1), []
    code = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def save(*_):
    (folder / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
(folder / "ready").touch()
time.sleep(60)
"""

    def train(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        begun.append(number)
        if number == at_once - 1:
            threading.Thread(target=interrupt, daemon=True).start()
        commands.timed([sys.executable, "-c", code, str(folder)], folder)

    def interrupt() -> None:
        while not all((tmp_path / str(number) / "ready").exists() for number in range(at_once)):
            time.sleep(0.01)
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGTERM)

    # As the suite does. Whoever started the tests may ignore SIGINT, as a shell does for what runs in its background.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with pytest.raises(SystemExit):
            commands.map(train, range(6))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sorted(begun) == list(range(at_once))
    assert all((tmp_path / str(number) / "saved").exists() for number in begun)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"smp": "/home/me/smp/bin/python", "minutes": [30.0, 0.5], "seeds": [0, 1], "at_once": 2},
            "--camvid CamVid --smp PYTHON --minutes 0.5 30 --seeds 0 1 --threads 1 --at-once 2",
        ),
        (
            {"systems": ["smp: Unet-R18"], "ultralytics": "/yolo"},
            "--camvid CamVid --ultralytics PYTHON --minutes 30 --seeds 0 --threads 1 --at-once 1 "
            "--systems 'smp: Unet-R18'",
        ),
    ],
)
def test_a_result_names_the_command_that_repeats_it_without_the_paths_of_a_machine(
    suite: ModuleType, tmp_path: Path, changes: dict[str, Any], expected: str
):
    given = {"camvid": tmp_path, "smp": None, "ultralytics": None, "minutes": [30.0], "seeds": [0]}
    asked = options(tmp_path, **({"systems": list(suite.SYSTEMS)} | given | changes))
    assert suite.command_of(asked) == f"python benchmarks/suite.py {expected}"


def test_a_folder_belongs_to_one_cell(suite: ModuleType):
    keys = [suite.Key(d, s, m, n) for d in suite.DATA for s in suite.SYSTEMS for m in (0.5, 30.0) for n in (0, 1)]
    assert len({key.folder for key in keys}) == len(keys)
