import pytest

from pixelwise.recipes.classes import CAMVID, CITYSCAPES, IGNORE, ClassSet


def test_camvid_has_segnets_order_and_void_is_ignored():
    assert CAMVID.names[:4] == ("sky", "building", "pole", "road")
    assert len(CAMVID.names) == 11
    assert CAMVID.label_table[10] == 10
    assert CAMVID.label_table[11] == IGNORE


def test_cityscapes_label_ids_become_train_ids():
    # The official table: 7 road -> 0, 33 bicycle -> 18, 29 caravan is not scored.
    assert (CITYSCAPES.label_table[7], CITYSCAPES.label_table[33]) == (0, 18)
    assert CITYSCAPES.label_table[29] == IGNORE
    assert sorted(set(CITYSCAPES.label_table.values())) == [*range(19), IGNORE]


def test_names_and_colours_must_match_in_number():
    with pytest.raises(ValueError, match="2 class names but 1 palette"):
        ClassSet(names=("a", "b"), palette=((0, 0, 0),), label_table={})
