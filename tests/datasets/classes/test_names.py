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
