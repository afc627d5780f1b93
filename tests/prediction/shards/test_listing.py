from __future__ import annotations

import os
from pathlib import Path

from prediction.shards.photos import grey_segmenter, job_and_commits, make_photos, masks_in, table_of

from pixelwise.prediction.engine.engine import Engine
from pixelwise.prediction.shards.listing import finish
from pixelwise.prediction.shards.units import find_units
from pixelwise.prediction.shards.work import predict_shard


def test_every_image_has_a_row_and_every_bad_one_a_line(tmp_path: Path):
    photos, output, segmenter = make_photos(tmp_path / "photos", 3, bad=(1,)), tmp_path / "out", grey_segmenter()
    job, commits = job_and_commits(segmenter, output, overlay=False)
    units = find_units([photos]).units
    for unit in units:
        predict_shard(unit, Engine(segmenter), commits, job)
    finish(commits, units, 4)

    rows = table_of(output)
    assert [row["name"] for row in rows] == ["000", "001", "002"]
    assert [row["problem"] for row in rows] == [None, "D102", None]
    assert rows[1]["tar"] is None
    assert rows[1]["pixels_0"] is None
    (file,) = rows[2]["files"]
    content = (output / rows[2]["tar"]).read_bytes()[file["offset"] : file["offset"] + file["size"]]
    assert content == masks_in(output)["002.mask.png"]
    assert sum(rows[0][f"pixels_{number}"] for number in range(4)) == 96
    assert len((output / "problems.jsonl").read_text().splitlines()) == 1


def test_what_was_written_for_images_that_changed_is_replaced_and_for_others_kept(tmp_path: Path):
    one, other, output = make_photos(tmp_path / "one", 2), make_photos(tmp_path / "other", 2), tmp_path / "out"
    for number, path in enumerate(sorted(other.iterdir())):
        path.rename(other / f"z{number}.png")
    segmenter = grey_segmenter()
    job, commits = job_and_commits(segmenter, output, overlay=False)
    for folder in (other, one):
        for unit in (units := find_units([folder]).units):
            predict_shard(unit, Engine(segmenter), commits, job)
        finish(commits, units, 4)
    assert len(list(output.glob("*.tar"))) == 2
    os.utime(one / "001.png", ns=(1, 1))
    for unit in (units := find_units([one]).units):
        predict_shard(unit, Engine(segmenter), commits, job)
    finish(commits, units, 4)
    assert sorted(masks_in(output)) == ["000.mask.png", "001.mask.png", "z0.mask.png", "z1.mask.png"]
    assert len(commits.done()) == 2
