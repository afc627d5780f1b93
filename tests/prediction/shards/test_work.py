from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from observers import Told
from PIL import Image
from prediction.shards.photos import grey_segmenter, job_and_commits, labels_of, make_photos, masks_in

from pixelwise.errors import DataError
from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.shards.commits import Commits
from pixelwise.prediction.shards.units import find_units
from pixelwise.prediction.shards.work import predict_shard


def test_a_unit_becomes_a_tar_and_a_receipt_with_counts_by_hand(tmp_path: Path):
    photos, output = make_photos(tmp_path / "photos", 3, bad=(1,)), tmp_path / "out"
    segmenter = grey_segmenter()
    job, commits = job_and_commits(segmenter, output, overlay=False)
    (unit,) = find_units([photos]).units
    told: list[tuple[str, int, int | None]] = []

    receipt = predict_shard(
        unit, Engine(segmenter), commits, job, Told(progress=lambda *progress: told.append(progress))
    )

    assert [image.name for image in receipt.images] == ["000", "001", "002"]
    assert told[-1][1:] == (3, 3)
    masks = masks_in(output)
    assert sorted(masks) == ["000.mask.png", "002.mask.png"]
    for number in (0, 2):
        labels = labels_of(number)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(masks[f"{number:03}.mask.png"]))), labels)
        assert receipt.images[number].pixels == (*(int((labels == value).sum()) for value in range(4)), 0)
    problem = receipt.images[1].problem
    assert problem is not None
    assert problem.code == "D102"
    assert commits.receipt(unit.name) == receipt
    content = (output / receipt.tar).read_bytes()
    place = receipt.images[2].files["mask.png"]
    assert content[place.offset : place.offset + place.size] == masks["002.mask.png"]


def test_a_unit_that_is_done_is_not_predicted_again(tmp_path: Path):
    photos, segmenter = make_photos(tmp_path / "photos", 2), grey_segmenter()
    job, commits = job_and_commits(segmenter, tmp_path / "out")
    (unit,) = find_units([photos]).units
    first = predict_shard(unit, Engine(segmenter), commits, job)
    (photos / "000.png").unlink()
    assert predict_shard(unit, Engine(segmenter), commits, job) == first


def test_two_workers_leave_what_one_leaves(tmp_path: Path):
    photos = make_photos(tmp_path / "photos", 4)
    (unit,) = find_units([photos]).units
    segmenter = grey_segmenter()

    class Late(Commits):
        """Sees the receipt of the other only when it writes its own."""

        def receipt(self, unit: str):
            return None if self.blind else super().receipt(unit)

        def commit(self, *arguments, **options):
            self.blind = False
            return super().commit(*arguments, **options)

    job, first = job_and_commits(segmenter, tmp_path / "out")
    second = Late(tmp_path / "out", job.name)
    second.blind = True
    assert predict_shard(unit, Engine(segmenter), first, job) == predict_shard(unit, Engine(segmenter), second, job)
    assert len(list((tmp_path / "out").glob("*.tar"))) == 1


def test_changed_images_and_strict_ones_leave_no_receipt(tmp_path: Path):
    photos, segmenter = make_photos(tmp_path / "photos", 2, bad=(1,)), grey_segmenter()
    job, commits = job_and_commits(segmenter, tmp_path / "out", strict=True)
    (unit,) = find_units([photos]).units
    with pytest.raises(DataError) as caught:
        predict_shard(unit, Engine(segmenter), commits, job)
    assert caught.value.code == "D102"
    os.utime(photos / "000.png", ns=(1, 1))
    with pytest.raises(DataError, match="changed since"):
        predict_shard(unit, Engine(segmenter), commits, job)
    assert commits.done() == set()
