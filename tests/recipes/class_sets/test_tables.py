from typing import Any

import pytest

from pixelwise.recipes.class_sets.tables import ADE20K, ADE20K32, CAMVID, CITYSCAPES, CLASS_SETS, IGNORE, VOC, ClassSet
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.schema.recipe import Data, Optimizer, Recipe, Sampling, Schedule


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


def test_voc_has_the_bits_of_its_colour_map_and_20_objects():
    # Bit k of an id goes to channel k mod 3, from the highest bit down: 15 = 0b001111, 20 = 0b010100.
    assert (len(VOC.names), VOC.names[0], VOC.names[15], VOC.names[20]) == (21, "background", "person", "tvmonitor")
    assert (VOC.palette[0], VOC.palette[15], VOC.palette[20]) == ((0, 0, 0), (192, 128, 128), (0, 64, 128))
    assert VOC.label_table[20] == 20
    assert VOC.label_table[255] == IGNORE


def test_ade20k_counts_its_150_objects_from_one():
    assert len(ADE20K.names) == len(set(ADE20K.names)) == 150
    assert (ADE20K.names[0], ADE20K.names[44], ADE20K.names[149]) == ("wall", "chest of drawers", "flag")
    assert (ADE20K.palette[0], ADE20K.palette[149]) == ((120, 120, 120), (92, 0, 255))
    assert [ADE20K.label_table[raw] for raw in (0, 1, 150)] == [IGNORE, 0, 149]
    assert 151 not in ADE20K.label_table


def test_32_classes_of_ade20k_are_other_and_its_31_most_frequent_objects():
    assert ADE20K32.names[:3] == ("other", "wall", "building")
    assert (len(ADE20K32.names), ADE20K32.names[31]) == (32, "armchair")
    assert ADE20K32.palette[1:] == ADE20K.palette[:31]
    assert [ADE20K32.label_table[raw] for raw in (0, 1, 31, 32, 150)] == [0, 1, 31, 0, 0]


def test_a_colour_of_two_classes_means_neither():
    assert ADE20K.palette[ADE20K.names.index("road")] == ADE20K.palette[ADE20K.names.index("skyscraper")]
    assert len(ADE20K.color_table()) == 1 + 150 - 2
    assert "#8c8c8c" not in ADE20K.color_table()


def test_the_colour_of_a_class_is_not_that_of_unlabelled_pixels():
    assert VOC.color_table()["#000000"] == ADE20K32.color_table()["#000000"] == 0
    assert VOC.color_table()["#e0e0c0"] == CAMVID.color_table()["#000000"] == IGNORE


@pytest.mark.parametrize("name", CLASS_SETS)
def test_every_class_has_a_raw_value_and_what_a_run_settles_keeps_the_hash(name: str):
    known = CLASS_SETS[name]
    assert set(known.label_table.values()) == {*range(len(known.names)), IGNORE}

    def recipe(**data: Any) -> Recipe:
        return Recipe(
            name="x", model=ENetSpec(), data=Data(**{"dataset": name, **data}), optimizer=Optimizer(kind="sgd", lr=0.1),
            schedule=Schedule(epochs=1), sampling=Sampling(batch_size=1),
        )  # fmt: skip

    label_map = {str(raw): class_id for raw, class_id in known.label_table.items()}
    settled = recipe(classes=known.names, palette=known.palette, label_map=label_map, colors=known.color_table())
    assert settled.hash() == recipe().hash()
