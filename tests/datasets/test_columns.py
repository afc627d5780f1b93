from collections.abc import Sequence
from pathlib import Path

import pytest

from pixelwise.datasets.columns import ListedSamples, Texts, compact
from pixelwise.datasets.samples import Sample
from pixelwise.storage.stores.members import Member

PLAIN = (
    Sample("a", Path("x/a.jpg"), Path("y/a.png")),
    Sample("deep/b", Path("x/deep/b.jpg"), None),
    Sample("grün\udcff", Path("z.png"), Path("y/\udcff.png")),
)
MULTILABEL = (
    Sample("a", Path("i/a.jpg"), Path("crack/a.png"), (Path("crack/a.png"), None), Path("ignore/a.png")),
    Sample("b", Path("i/b.jpg"), Path("rust/b.png"), (None, Path("rust/b.png")), None),
)


@pytest.mark.parametrize("samples", [PLAIN, MULTILABEL])
def test_samples_come_back_as_they_were(samples: Sequence[Sample]):
    found = compact(iter(samples))
    assert isinstance(found, ListedSamples)
    assert (list(found), len(found), found[0], found[-1]) == (list(samples), len(samples), samples[0], samples[-1])
    assert list(found[1:]) == list(samples[1:])
    assert list(found.ids()) == [sample.id for sample in samples]
    with pytest.raises(IndexError):
        found[len(samples)]


def test_chosen_samples_keep_the_order_of_the_places():
    found = compact(PLAIN)
    assert isinstance(found, ListedSamples)
    assert list(found.chosen([2, 0])) == [PLAIN[2], PLAIN[0]]


def test_samples_are_equal_by_content():
    assert compact(PLAIN) == compact(PLAIN) == PLAIN
    assert compact(PLAIN) != compact(PLAIN[:2])
    assert compact(PLAIN) != compact((*PLAIN[:2], MULTILABEL[0]))
    assert compact(()) == ()


def test_samples_whose_columns_differ_stay_objects():
    mixed = (*PLAIN, *MULTILABEL, PLAIN[0])
    found = compact(mixed)
    assert (type(found), found) == (tuple, mixed)
    member = Sample("c", Member(Path("shard.tar/c.jpg"), None), None)
    assert type(compact((PLAIN[0], member))) is tuple
    assert type(compact((member,))) is tuple


def test_texts_keep_what_is_no_unicode():
    assert list(Texts(["", "ä", "\udcff", ""])) == ["", "ä", "\udcff", ""]
