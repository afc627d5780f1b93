from pixelwise.suggestions import did_you_mean


def test_the_nearest_names_come_first():
    assert did_you_mean("unett", ["unet", "unetlite", "fcn"]) == "; did you mean 'unet' or 'unetlite'?"


def test_there_is_no_suggestion_if_no_name_is_near():
    assert did_you_mean("xyz", ["unet", "fcn"]) == ""
    assert did_you_mean("xyz", []) == ""
