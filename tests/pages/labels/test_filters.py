from urllib.parse import parse_qsl

import numpy as np
import pytest
from data_to_show import ROAD, examined, shown_data, survey_of

from pixelwise.pages.labels.filters import MOST_SIZES, Filter, choose, filter_of, sizes_of
from pixelwise.pages.labels.survey import Opened


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return examined(survey_of(shown_data(tmp_path_factory.mktemp("data"))))


def names(opened: Opened, **wanted: object) -> list[str]:
    rows = choose(opened.columns, opened.findings, Filter(**wanted)).rows.tolist()
    return [f"{split}/{sample.id}" for split, sample in map(opened.columns.place, rows)]


def test_each_filter_leaves_what_it_names(opened: Opened):
    assert names(opened) == ["train/a", "train/b", "train/unknown", "train/wide", "val/c", "val/copy"]
    assert names(opened, code="D133") == ["train/a", "val/copy"]
    assert names(opened, code="D202") == ["train/unknown"]
    assert names(opened, code="W999") == []
    assert names(opened, of=2) == ["val/c"]
    assert names(opened, split="val") == ["val/c", "val/copy"]
    assert names(opened, size="128x48") == ["train/wide"]
    assert names(opened, size="1x1") == []
    assert names(opened, text="UN") == ["train/unknown"]
    assert names(opened, code="D133", split="train", of=1) == ["train/a"]


def test_choices_count_what_the_other_filters_leave(opened: Opened):
    choices = choose(opened.columns, opened.findings, Filter(split="val", of=2)).choices
    assert choices.splits == {"train": 0, "val": 1}  # images of class 2
    assert choices.classes == [2, 2, 1]  # images of val
    assert choices.pixels == [43 * 64 - 16, 5 * 64, 16]  # of the one image that passes both
    assert choices.sizes == {"64x48": 1}
    assert {code: number for code, number in choices.codes.items() if number} == {}
    everything = choose(opened.columns, opened.findings, Filter()).choices
    assert everything.splits == {"train": 4, "val": 2}
    assert everything.sizes == {"64x48": 5, "128x48": 1}
    assert everything.codes["D133"] == 2
    road = sum(rows * (128 if "wide" in name else 64) for name, rows in ROAD.items() if "unknown" not in name)
    assert everything.pixels[1] == road


def test_orders(opened: Opened):
    assert names(opened, order="large")[0] == "train/wide"
    assert names(opened, order="small")[-1] == "train/wide"
    shares = names(opened, order="share", of=1)
    assert shares == ["train/wide", "train/b", "train/a", "val/copy", "val/c"]  # 40, 20, 10, 10 and 5 of 48 rows
    assert sorted(names(opened, order="fit")) == sorted(names(opened))


def test_an_address_and_its_filter_are_the_same(opened: Opened):
    wanted = Filter(code="D202", of=1, split="val", size="64x48", text="a&b=ü", order="fit", first=60, labels=35)
    assert filter_of(dict(parse_qsl(wanted.query())), opened.columns) == wanted
    assert Filter().query() == ""
    assert filter_of({}, opened.columns) == Filter()


def test_what_an_address_does_not_know_is_ignored(opened: Opened):
    strange = {"class": "3", "split": "x", "order": "x", "first": "-1", "labels": "50"}
    assert filter_of(strange, opened.columns) == Filter()
    assert filter_of({"class": "٣", "first": "9" * 30}, opened.columns) == Filter()


def test_what_is_chosen_twice_is_not_chosen():
    wanted = Filter(split="val", of=0, first=60)
    assert wanted.toggled("split", "val") == "class=0"
    assert wanted.toggled("split", "train") == "class=0&split=train"
    assert wanted.toggled("of", 0) == "split=val"


def test_many_sizes_are_ranges_of_the_longest_side(opened: Opened, monkeypatch: pytest.MonkeyPatch):
    number = MOST_SIZES + 2
    sides = np.array([256, 257, 512, 513, 9000, 1, 300, 400, 500, 8192], np.int32)

    class Many:
        widths, heights = sides, np.full(number, 1, np.int32)

        def __len__(self) -> int:
            return number

    labels, which = sizes_of(Many())  # type: ignore[arg-type]
    assert [labels[one] for one in which.tolist()] == [
        "1-256", "257-512", "257-512", "513-1024", "8193-", "1-256", "257-512", "257-512", "257-512", "4097-8192",
    ]  # fmt: skip
