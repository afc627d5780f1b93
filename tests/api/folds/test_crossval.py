from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixelwise
from pixelwise.api.folds.crossval import hand_over, refuse_other_queue
from pixelwise.errors import CheckpointError, RecipeError, StoppedError
from pixelwise.observer import TrainingStatus
from pixelwise.recipes.files import find
from pixelwise.recipes.overrides import to_toml
from pixelwise.records.folds.cross_validation import CrossValidation, write_cross_validation
from pixelwise.records.folds.summary import Summary, read_summary
from tests.observers import Told

LAST = ("selection.weights=last", "selection.every_epochs=0", "schedule.iterations=6")


def test_a_queue_is_never_replaced(tiny_data: Path, tmp_path: Path):
    refuse_other_queue(tiny_data, tmp_path)
    (tmp_path / "queue.json").write_text("{}", "utf-8")
    for data in (tmp_path, None):
        with pytest.raises(RecipeError) as caught:
            refuse_other_queue(data, tmp_path / "out")
        assert caught.value.code == "R312"


def test_the_queue_takes_no_others_place(tmp_path: Path):
    queue, data = tmp_path / "queue.json", tmp_path / "data"
    data.mkdir()
    queue.write_text("new", "utf-8")
    assert hand_over(queue, data, None) == []
    assert (data / "queue.json").read_text("utf-8") == "new"
    (data / "queue.json").write_text("old", "utf-8")  # of the same cross-validation, when it last ended
    assert hand_over(queue, data, b"old") == []
    assert (data / "queue.json").read_text("utf-8") == "new"
    (data / "queue.json").write_text("of prelabel", "utf-8")
    (said,) = hand_over(queue, data, b"new")
    assert said.endswith(f"queue.json was not written (there is another one); the same queue is {queue}.")
    assert (data / "queue.json").read_text("utf-8") == "of prelabel"
    (said,) = hand_over(queue, queue, None)  # the data is a file, such as a list of annotations
    assert "was not written" in said


def test_a_cross_validation_of_other_data_is_not_resumed(tiny_data: Path, tiny_recipe: Path, tmp_path: Path):
    asked = CrossValidation(
        name="tiny",
        recipe=to_toml(find(tiny_recipe)),
        options={"folds": 2},
        data=str(tiny_data),
        folds=2,
        fingerprint="x",
    )
    write_cross_validation(tmp_path, asked)
    with pytest.raises(CheckpointError, match="is not the data that") as caught:
        pixelwise.resume(tmp_path)
    assert caught.value.code == "K431"


def test_nothing_is_left_of_a_cross_validation_whose_first_fold_cannot_begin(
    tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    (tmp_path / "fold-1").mkdir()
    (tmp_path / "fold-1" / "own.txt").touch()
    with pytest.raises(RecipeError) as caught:
        pixelwise.crossval(tiny_recipe, tiny_data, tmp_path, folds=3, track=("nowhere",), observer=pixelwise.Observer())
    assert caught.value.code == "R270"
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["fold-1", "fold-1/own.txt"]


@pytest.fixture(scope="module")
def done(tiny_data: Path, tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """A cross-validation that was stopped in its second fold and resumed."""
    out = tmp_path_factory.mktemp("crossval") / "two folds"
    data = out.parent / "data"
    shutil.copytree(tiny_data, data)
    begun: list[int] = []

    def stop_in_the_second_fold(status: TrainingStatus) -> None:
        begun.append(status.step)
        if begun.count(2) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    notes: list[str] = []
    observer = Told(step=stop_in_the_second_fold, note=notes.append)
    with pytest.raises(StoppedError) as caught:
        pixelwise.crossval(
            tiny_recipe, data, out, folds=2, overrides=LAST, threads=1, device="cpu", queue=True, observer=observer
        )
    assert caught.value.help == f"continue with: pixelwise resume '{out}'"
    assert notes == ["fold-0 (1 of 2)", "fold-1 (2 of 2)"]
    first = {path: path.stat().st_mtime_ns for path in (out / "fold-0").rglob("*") if path.is_file()}
    summary = pixelwise.resume(out)
    assert isinstance(summary, Summary)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    return out, summary


@pytest.mark.heavy
def test_every_image_is_scored_once_by_the_network_that_has_not_seen_it(done: tuple[Path, Summary], tiny_data: Path):
    out, summary = done
    (score,) = summary.scores
    assert (summary.images, score.images, sum(fold.images for fold in score.folds)) == (14, 14, 14)
    counts = np.zeros((3, 3), np.int64)
    masks = out / "out-of-fold" / "masks"
    for path in sorted((tiny_data / "masks").rglob("*.png")):
        # Ids that occur in one split alone are those of the split.
        own = masks / path.relative_to(tiny_data / "masks")
        labels, predicted = (np.array(Image.open(one)) for one in (path, own if own.is_file() else masks / path.name))
        np.add.at(counts, (labels[labels != 255], predicted[labels != 255]), 1)
    assert np.array_equal(score.confusion_matrix, counts)
    assert score.pixel_accuracy == pytest.approx(np.trace(counts) / counts.sum())
    assert score.mean == pytest.approx(sum(fold.miou or 0.0 for fold in score.folds) / 2)
    assert read_summary(out).scores == summary.scores


@pytest.mark.heavy
def test_the_stopped_fold_ends_as_an_undisturbed_one(
    done: tuple[Path, Summary], tiny_data: Path, tiny_recipe: Path, tmp_path: Path
):
    out, summary = done
    undisturbed = pixelwise.crossval(
        tiny_recipe, tiny_data, tmp_path / "out", folds=2, overrides=LAST, threads=1, device="cpu"
    )
    assert undisturbed.scores == summary.scores
    names = ["model.safetensors", "ema.safetensors"]
    for fold in ("fold-0", "fold-1"):
        newest = sorted((out / fold / "checkpoints").iterdir())[-1].name
        for name in names:
            again = tmp_path / "out" / fold / "checkpoints" / newest / name
            assert again.read_bytes() == (out / fold / "checkpoints" / newest / name).read_bytes()


@pytest.mark.heavy
def test_the_networks_predict_together(done: tuple[Path, Summary], tiny_data: Path, tmp_path: Path):
    out, _ = done
    photo = tiny_data / "images" / "val" / "00.png"
    shares = []
    for folder in (out / "fold-0", out / "fold-1", out):
        scores = pixelwise.load(folder, device="cpu").predict(photo, scores=True).scores
        assert scores is not None
        logits = np.asarray(scores, np.float64)
        shares.append(np.exp(logits) / np.exp(logits).sum(0))
    # Logits are enlarged before their softmax, so that averages agree exactly only where nothing is enlarged.
    assert np.abs(shares[2] - (shares[0] + shares[1]) / 2).mean() < 0.02
    summary = pixelwise.predict(out, photo, tmp_path / "masks")
    assert (summary.ok, summary.failed) == (1, 0)


@pytest.mark.heavy
def test_the_networks_are_scored_together_on_other_data_alone(
    done: tuple[Path, Summary], tiny_data: Path, tmp_path: Path
):
    out, summary = done
    # The tiny data is what was copied, divided and learned: the same images in another folder.
    for data, split in ((None, None), (tiny_data, None), (tiny_data, "test")):
        with pytest.raises(RecipeError, match="their joint score would be too high") as caught:
            pixelwise.evaluate(out, data, split)
        assert caught.value.code == "R313"
    fold = pixelwise.evaluate(out / "fold-0", tiny_data)
    assert (fold.split, fold.images, fold.miou) == ("held-out", 7, summary.scores[0].folds[0].miou)
    other = tmp_path / "other"
    shutil.copytree(tiny_data, other)
    # With one mask less, the images are still those that the networks know.
    (other / "images" / "train" / "07.png").unlink()
    (other / "masks" / "train" / "07.png").unlink()
    with pytest.raises(RecipeError, match=r"were trained on 3 of 3 images \(such as") as caught:
        pixelwise.evaluate(out, other, "test")
    assert caught.value.code == "R313"
    for path in (other / "images").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    result = pixelwise.evaluate(out, other, "test")
    assert result.images == 3
    assert (out / "evaluations").is_dir()


@pytest.mark.heavy
def test_a_folder_of_a_finished_cross_validation_is_refused_and_resumed_at_once(
    done: tuple[Path, Summary], tiny_recipe: Path, tiny_data: Path, run_cli: Callable
):
    out, summary = done
    code, _, stderr = run_cli(["crossval", tiny_recipe, "--data", tiny_data, "-o", out])
    assert (code, "R213" in stderr) == (2, True)
    found = run_cli(["resume", out, "--json"])
    assert found.code == 0
    assert json.loads(found.stdout)["scores"][0]["miou"] == summary.scores[0].miou
    page = (out / "report.html").read_text("utf-8")
    assert "fold-1" in page
    (out / "report.html").unlink()
    assert pixelwise.write_report(out).read_text("utf-8") == page
    assert page.rstrip().endswith("</html>")
