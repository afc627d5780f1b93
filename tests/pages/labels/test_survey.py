import threading
from pathlib import Path

import numpy as np
import pytest
from data_to_show import CLASSES, ROAD, SIZE, examined, shown_data, survey_of
from PIL import Image

from pixelwise.errors import DataError
from pixelwise.machine.files import make_newer
from pixelwise.pages.labels.survey import Survey, fit_of, is_generated, opened_data, require_data
from pixelwise.pages.labels.twins import Twin


def test_everything_is_found(tmp_path: Path):
    survey = survey_of(shown_data(tmp_path))
    opened = examined(survey)
    columns = opened.columns
    rows = {f"{split}/{sample.id}": row for row in range(6) for split, sample in [columns.place(row)]}
    assert set(rows) == set(ROAD)
    codes = {name: {columns.codes[key] for key in opened.findings.of(row)} for name, row in rows.items()}
    assert codes["train/unknown"] == {"D202"}
    assert codes["train/a"] == codes["val/copy"] == {"D133"}
    assert codes["train/b"] == codes["val/c"] == set()
    assert columns.classes.of(rows["val/c"]) == {0: 43 * 64 - 16, 1: 5 * 64, 2: 16}
    assert columns.classes.of(rows["train/unknown"]) == {}  # a pair with errors is not counted
    assert (columns.heights[rows["train/wide"]], columns.widths[rows["train/wide"]]) == (SIZE[0], 2 * SIZE[1])
    assert opened.twins["same"] == [Twin(rows["train/a"], rows["val/copy"], 0)]
    assert {one.code for one in opened.about} >= {"D133", "D202"}
    assert opened.dataset.classes == CLASSES
    assert fit_of(columns, 0) is None  # too few pairs to compare masks by
    assert survey.standing[:3] == ("done", 6, 6)


def test_what_was_changed_is_examined_again(tmp_path: Path):
    survey = survey_of(shown_data(tmp_path))
    before = examined(survey)
    row = next(row for row in range(6) if before.columns.place(row)[1].id == "unknown")
    mask = tmp_path / "masks" / "train" / "unknown.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(mask)
    make_newer(mask, mask)
    assert survey.opened() == before  # nobody has told it
    survey.outdate()
    again = survey.opened()
    assert again is not None
    assert again.columns is before.columns  # what is known stays until all is examined
    assert (before.standing.step, again.standing.step) == ("done", "examining")  # and a page asks again
    after = examined(survey)
    assert before.findings.of(row)
    assert not after.findings.of(row)
    assert after.columns.classes.of(row) == {0: SIZE[0] * SIZE[1]}
    assert survey.opened() == after


def test_masks_of_each_other_are_found(tmp_path: Path):
    generator = np.random.default_rng(1)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    masks = []
    for number in range(10):
        mask = np.kron(generator.integers(0, 2, (6, 6)), np.ones((32, 32))).astype(np.uint8)
        masks.append(mask)
        photo = np.where(mask[..., None] > 0, (200, 180, 60), (30, 60, 90)).astype(np.uint8)
        Image.fromarray(photo).save(tmp_path / "images" / f"{number}.png")
    masks[3], masks[7] = masks[7], masks[3]
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "dataset.toml").write_text('classes = ["a", "b"]\n')
    opened = examined(survey_of(tmp_path))
    ids = [opened.columns.place(row)[1].id for row in range(10)]
    three, seven = ids.index("3"), ids.index("7")
    assert opened.columns.partners == {three: seven, seven: three}
    assert set(opened.findings.rows_with(opened.columns.codes.index("W261")).tolist()) == {three, seven}


def test_what_cannot_be_opened_says_why(tmp_path: Path):
    survey = survey_of(tmp_path)
    survey.open()
    while survey.standing.step == "opening":
        pass
    with pytest.raises(DataError) as refused:
        survey.opened()
    assert refused.value.code == "D222"
    assert survey.standing.step == "failed"


def test_one_is_examined_after_the_other(tmp_path: Path):
    turn = threading.Lock()
    survey = Survey(shown_data(tmp_path), turn)
    with turn:
        for _ in range(100):
            if survey.opened() is not None:
                break
        assert survey.standing[:3] == ("examining", 0, 6)
    assert examined(survey).audit is not None


def test_generated_data_has_a_name_instead_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert is_generated(Path("town"))
    assert not is_generated(Path("camvid"))
    assert not is_generated(tmp_path / "town")
    (tmp_path / "town").mkdir()
    assert not is_generated(Path("town"))  # a folder comes first


def test_data_that_is_not_there_is_refused(tmp_path: Path):
    require_data(tmp_path)
    with pytest.raises(DataError, match="does not exist") as refused:
        require_data(tmp_path / "nowhere")
    assert refused.value.code == "D222"


def test_a_folder_is_opened_as_the_other_verbs_open_it(tmp_path: Path):
    assert {split: len(samples) for split, samples in opened_data(shown_data(tmp_path)).splits.items()} == {
        "train": 4,
        "val": 2,
    }
