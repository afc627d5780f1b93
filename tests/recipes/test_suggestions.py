from pixelwise.recipes.suggestions import did_you_mean


def test_near_names_are_offered_and_far_ones_are_not():
    assert did_you_mean("lrr", ["lr", "momentum"]) == "; did you mean 'lr'?"
    assert did_you_mean("zzz", ["lr", "momentum"]) == ""
