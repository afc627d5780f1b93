"""The scripts that measure the CamVid records, run on a miniature of CamVid."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import torch
from torch import nn

from pixelwise.api.evaluate import evaluate
from pixelwise.models import SegmentationModel
from pixelwise.profiling.complexity import complexity
from pixelwise.recipes.catalog import recipe as find_recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.own.camvid_scratch import RECIPES
from pixelwise.records.result import load_result
from pixelwise.testing.miniatures import write_miniature
from pixelwise.training.autotuning import format_choice
from pixelwise.training.runs import train

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
Script = Callable[[str], ModuleType]
SMALL = (
    "augment.crop=[64,96]", "sampling.batch_size=2", "schedule.iterations=2", "schedule.warmup_iterations=1",
    "precision.dtype=float32", "data.workers=0",
)  # fmt: skip


DAILY = ("camvid-scratch-enet-trainval", "camvid-scratch-segformer-b0", "camvid-scratch-swiftnet-r18")
"""Recipes that the heavy tests train; the longest ones train the others."""


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature("camvid", tmp_path_factory.mktemp("miniature") / "camvid", (6, 2))


def test_there_is_a_recipe_on_train_and_one_on_train_and_val_for_each_network() -> None:
    on_train = {entry.name: entry for entry in RECIPES if entry.data.train_split == "train"}
    assert len(on_train) == 6
    for entry in RECIPES:
        if entry.name not in on_train:
            twin = on_train[entry.name.removesuffix("-trainval")]
            assert entry.data.train_split == "train+val"
            assert "train+val" in entry.summary
            same = msgspec.structs.replace(
                entry, name=twin.name, summary=twin.summary, data=twin.data, notes=twin.notes
            )
            assert same == twin


def test_nothing_of_the_recipes_is_chosen_on_test() -> None:
    for entry in RECIPES:
        assert (entry.selection.weights, entry.selection.every_epochs) == ("last", 0)


def test_the_ablation_ends_with_the_recipe_and_never_sees_test(script: Script) -> None:
    ablation = script("camvid_ablation")
    recipe = next(entry for entry in RECIPES if entry.name == "camvid-scratch-swiftnet-r18")
    changed = [apply_overrides(recipe, variant.overrides) for variant in ablation.variants()]
    assert changed[-1] == recipe
    assert len({entry.hash() for entry in changed}) == len(changed) == 5
    first = changed[0]
    assert (first.augment.flip, first.augment.scale, first.augment.mix) == (0.5, (1.0, 1.0), "none")
    assert (first.loss.class_weights, first.loss.lovasz, first.ema) == ("none", 0.0, None)
    options = ablation.argparse.Namespace(
        recipe=recipe.name, division="drive", iterations=6000, set=[], device="cpu", jobs=1
    )
    for variant in ablation.variants():
        job = ablation.make_job(variant, 0, options)
        entry = job.resolved()
        assert {entry.data.train_split, entry.evaluation.split} == {"drive-train", "drive-dev"}
        assert {split for split, _ in job.scores} == {"drive-dev", "val"}


def test_changed_recipes_are_no_records(script: Script, tmp_path: Path) -> None:
    scratch = script("camvid_scratch")
    with pytest.raises(SystemExit):
        scratch.main(["--data", str(tmp_path), "--work", str(tmp_path / "runs"), "--set", "optimizer.lr=1"])
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, id=entry.name, marks=pytest.mark.heavy if entry.name in DAILY else pytest.mark.fuzz)
        for entry in RECIPES
    ],
)
def test_a_recipe_trains_and_is_scored_by_both_protocols(entry, camvid: Path, tmp_path: Path) -> None:
    run = train(entry, data=camvid, output=tmp_path / "run", overrides=SMALL, device="cpu", threads=1)
    for result in evaluate(run, protocol=list(entry.evaluation.protocols), group="^[^_]+"):
        assert not math.isnan(result.miou)
        assert (result.images, result.step) == (2, 2)
        assert [group.name for group in result.groups] == ["0001TP", "Seq05VD"]


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_finished_runs_become_records_and_are_not_done_again(
    camvid: Path, tmp_path: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = script("camvid_scratch")
    name = "camvid-scratch-enet"
    words = [
        "--data", str(camvid), "--recipes", name, "--work", str(tmp_path / "runs"), "--output", str(tmp_path / "out"),
        "--device", "cpu", "--jobs", "2", "--keep-weights", "--set", *SMALL,
    ]  # fmt: skip
    assert scratch.main([*words, "--limit-seconds", "0"]) == 1
    assert not (tmp_path / "out").exists()

    assert scratch.main(words) == 0
    records = scratch.stored(tmp_path / "out")
    assert [(record.recipe, record.seed, record.runs_at_once) for record in records] == [(name, 0, 2), (name, 1, 2)]
    assert len({record.recipe_hash for record in records}) == 2
    single = load_result(tmp_path / "out" / "results" / records[0].results["camvid-480x360"])
    assert (single.split, single.images, [group.images for group in single.groups]) == ("test", 2, [1, 1])
    page = (tmp_path / "out" / "camvid_scratch.md").read_text()
    assert f"| {name} | 0.36 | 0, 1 |" in page
    assert "| 0001TP (1) | Seq05VD (1) |" in page
    assert "Trained on train and val" not in page

    kept = tmp_path / "out" / "weights" / name
    assert sum(path.stat().st_size for path in kept.rglob("*")) < 3_000_000
    assert evaluate(kept, camvid, protocol="camvid-480x360").miou == single.miou

    capsys.readouterr()
    assert scratch.main(words) == 0
    assert "started" not in capsys.readouterr().out


@pytest.mark.fuzz
@pytest.mark.timeout(1200)
def test_the_ablation_writes_its_table_when_all_variants_are_finished(
    camvid: Path, tmp_path: Path, script: Script
) -> None:
    ablation = script("camvid_ablation")
    small = [change for change in SMALL if not change.startswith("schedule.")]
    words = [
        "--data", str(camvid), "--recipe", "camvid-scratch-enet", "--iterations", "2", "--seeds", "0", "--work",
        str(tmp_path / "runs"), "--output", str(tmp_path), "--device", "cpu", "--set", *small,
    ]  # fmt: skip
    assert ablation.main(words) == 0
    table = (tmp_path / "camvid_ablation.md").read_text().splitlines()
    assert [line[:5] for line in table if line.startswith("| ")][1:] == [f"| {letter} |" for letter in "ABCDE"]
    assert not list((tmp_path / "runs").glob("*/evaluations/test-*"))


class Halving(SegmentationModel):
    """4 channels at half the size, their positive part, 2 classes."""

    def __init__(self) -> None:
        super().__init__(ENetSpec(), ("a", "b"))
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))

    def head_logits(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.layers(images),)


def test_activations_are_what_the_layers_put_out(script: Script) -> None:
    with torch.device("meta"):
        assert script("steps").count_activations(Halving(), (6, 8)) == (4 + 4 + 2) * 3 * 4


@pytest.mark.heavy
def test_the_floor_of_a_step_is_the_longer_of_two_times(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = script("steps")
    monkeypatch.setattr(steps, "build_model", lambda recipe: Halving())
    recipe = apply_overrides(find_recipe("town-demo"), ["sampling.batch_size=5", "precision.dtype=bfloat16"])
    macs = complexity(recipe, 6, 8).macs
    floor = steps.count_floor(recipe, (6, 8), steps.Ceilings(copied=100.0, multiplied={"bfloat16": 1e6, "float32": 1}))
    assert floor.arithmetic == pytest.approx(3 * 5 * macs / 1e6)
    assert floor.memory == pytest.approx(6 * 5 * 2 * 120 / 100)
    assert floor.seconds == max(floor.arithmetic, floor.memory)


@pytest.mark.heavy
def test_steps_are_measured_beside_a_plain_loop(
    script: Script, monkeypatch: pytest.MonkeyPatch, camvid: Path, tmp_path: Path
) -> None:
    steps = script("steps")
    written = {}
    monkeypatch.setattr(steps, "write_result", lambda name, content: written.update(content))
    monkeypatch.setattr(steps, "__file__", str(tmp_path / "steps.py"))
    monkeypatch.setattr(steps, "measure_ceilings", lambda device: steps.Ceilings(1e9, {"float32": 1e10}))
    monkeypatch.setattr(format_choice, "ROUNDS", 1)
    small = ["--set", "sampling.batch_size=2", "--set", "precision.dtype=float32"]
    command = ["--data", str(camvid), "--device", "cpu", "--rounds", "2", "--steps", "1", "--threads", "1", *small]
    assert steps.main([*command, "--recipes", "enet-camvid"]) == 0
    (row,) = written["recipes"]
    assert row["images"] == 2
    assert row["share_of_floor"] == pytest.approx(max(row["floor_ms"].values()) / row["step_ms"])
    assert set(row["times_plain"]) == {"pixelwise", "pixelwise, precision.dtype=auto", steps.OWN_MODULES}
    assert all(times["low"] > 0 for times in row["times_plain"].values())
    assert "enet-camvid" in (tmp_path / "steps.md").read_text()
