import json
from pathlib import Path

import pytest

from pixelwise.reports.tracked import print_sent
from pixelwise.training.trackers.sending import Sent


@pytest.mark.parametrize(
    ("records", "where", "shown"),
    [
        (7, "tensorboard --logdir a", "a\\x1b -> mine: 7 new records\n  tensorboard --logdir a\n"),
        (1, "", "a\\x1b -> mine: 1 new record\n  number one\n"),
        (0, "", "a\\x1b -> mine: no new record\n  number one\n"),
    ],
)
def test_what_is_new_and_where_it_is(records: int, where: str, shown: str, capsys: pytest.CaptureFixture[str]):
    sent = Sent(run=Path("a\x1b"), tracker="mine", records=records, tracked="number one", where=where)
    print_sent([sent])
    assert capsys.readouterr().out == shown
    print_sent([sent, sent], as_json=True)
    assert [one["records"] for one in json.loads(capsys.readouterr().out)] == [records, records]
