import shlex
import tomllib

import pytest

from pixelwise.datasets.classes.names import label_classes

DRAWN = {0: "background", 1: "car", 2: "tree", 255: "__ignore__"}


def test_a_label_is_the_class_of_its_name_in_the_order_of_the_layout():
    found = label_classes(DRAWN, None, None, ("background", "tree", "car"))
    assert found.classes == ("background", "tree", "car")
    assert found.ids == {0: 0, 1: 2, 2: 1, 255: 255}
    assert found.problems == ()


def test_chosen_classes_leave_out_the_background_if_they_do_not_name_it():
    found = label_classes(DRAWN, ("car", "tree"), None, ("background", "tree", "car"))
    assert found.ids == {0: 255, 1: 0, 2: 1, 255: 255}


def test_a_label_without_a_class_is_d207_and_ignored():
    found = label_classes(DRAWN, ("background", "car"), None, None)
    assert found.ids == {0: 0, 1: 1, 2: 255, 255: 255}
    (problem,) = found.problems
    assert (problem.code, problem.files) == ("D207", ("tree",))
    assert 'data.labels={"background" = 0, "car" = 1, "tree" = 255}' in problem.fix


def test_labels_may_share_a_class_which_is_named_by_the_first():
    found = label_classes(DRAWN, None, {"tree": 1, "car": 1, "background": 0}, None)
    assert found.classes == ("background", "tree")
    assert found.ids == {0: 0, 1: 1, 2: 1, 255: 255}


def test_a_background_that_nobody_maps_fills_class_0_or_is_ignored():
    filled = label_classes(DRAWN, None, {"car": 1, "tree": 2}, None)
    assert (filled.classes, filled.ids[0]) == (("background", "car", "tree"), 0)
    ignored = label_classes(DRAWN, None, {"car": 0, "tree": 1}, None)
    assert (ignored.classes, ignored.ids[0]) == (("car", "tree"), 255)


def test_a_gap_between_class_ids_is_named_by_its_number():
    assert label_classes({0: "background", 1: "car"}, None, {"car": 2}, None).classes == (
        "background",
        "class_1",
        "car",
    )


def test_ignored_pixels_may_be_given_a_class():
    assert label_classes(DRAWN, None, {"car": 0, "tree": 1, "__ignore__": 1}, None).ids[255] == 1


@pytest.mark.parametrize(
    "labels",
    [
        ["crack", "Crack"],
        ["crack", "crack ", "CRACK", "rust"],
        ["traffic light", "traffic-light", "Traffic_Light", "car"],
        ["it's", "It's", 'a "b"', 'A "b"'],
        ["stra\u00dfe \U0001f600", "STRASSE \U0001f600"],
        ["Background", "car"],
    ],
)
def test_labels_that_differ_in_their_spelling_are_w229_and_the_fix_makes_them_one_class(labels: list[str]):
    drawn = {0: "background"} | dict(enumerate(labels, 1))
    found = label_classes(drawn, None, None, ("background", *labels))
    assert len(set(found.ids.values())) == len(labels) + 1
    (problem,) = found.problems
    assert problem.code == "W229"
    (setting,) = shlex.split(problem.fix.partition("add ")[2])
    chosen = tomllib.loads(setting)["data"]["labels"]
    merged = label_classes(drawn, None, chosen, ("background", *labels))
    assert merged.problems == ()
    same = [label.casefold().strip().replace("-", "_").replace(" ", "_") for label in ("background", *labels)]
    assert [merged.ids[raw] for raw in drawn] == [list(dict.fromkeys(same)).index(one) for one in same]


def test_names_that_differ_in_more_or_that_were_chosen_are_left_alone():
    plain = ("background", "crack", "cracks", "crack1", "rust")
    assert label_classes(dict(enumerate(plain)), None, None, plain).problems == ()
    both = ("background", "crack", "Crack")
    assert label_classes(dict(enumerate(both)), both, None, both).problems == ()
    assert label_classes({0: "background", 1: "crack"}, None, None, both).problems == ()
