from pixelwise.suggestions import did_you_mean


def test_the_nearest_names_come_first():
    assert did_you_mean("unett", ["unet", "unetlite", "fcn"]) == "; did you mean 'unet' or 'unetlite'?"


def test_nothing_is_said_where_nothing_is_near():
    assert did_you_mean("xyz", ["unet", "fcn"]) == ""
    assert did_you_mean("xyz", []) == ""
