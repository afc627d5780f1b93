import pytest

from pixelwise.recipes.schema.planning import PLANNABLE, still_planned


@pytest.mark.parametrize(
    ("changed", "decided"),
    [
        ("augment.crop", {"augment.crop"}),
        ("augment", {"augment.fit", "augment.crop"}),
        ("augment.flip", set()),
        ("augment.resize", {"augment.fit"}),
        ("evaluation.input_size", {"augment.fit"}),
        ("evaluation.protocols", {"augment.fit"}),
        ("evaluation.split", set()),
        ("precision.channels_last", {"precision"}),
        ("schedule.iterations", {"schedule.epochs"}),
        ("schedule.kind", set()),
        ("ema", {"ema.decay"}),
        ("sampling.batch_size_of_mine", set()),
    ],
)
def test_what_is_set_is_not_planned(changed: str, decided: set[str]) -> None:
    assert still_planned(list(PLANNABLE), [changed]) == [one for one in PLANNABLE if one not in decided]
