import msgspec

from pixelwise.evaluation.comparison.comparison import ClassScore, Comparison, Pair, Side, in_percent, signed
from pixelwise.evaluation.comparison.estimates import Estimate

CHANGE = Estimate(value=0.0184, interval=(0.0092, 0.0276), p=0.001, adjusted=0.002)


def side(name: str, miou: float, **changes) -> Side:
    score = ClassScore(name="<b>grass</b>", iou=Estimate(value=miou, interval=(miou - 0.1, miou + 0.1)))
    known = {"runs": (name,), "seeds": (0,), "recipe": "r", "runs_miou": (miou,), "deviation": None,
             "seeds_interval": None, "per_class": (score,)}  # fmt: skip
    return Side(name=name, miou=score.iou, **{**known, **changes})


def comparison(*pairs: Pair, sides: tuple[Side, ...]) -> Comparison:
    return Comparison(
        split="val", protocol="native", data_fingerprint="f", images=9, units=9, resamples=100, sides=sides, pairs=pairs
    )


def pair(change: Estimate, first: str = "a", second: str = "b") -> Pair:
    return Pair(first=first, second=second, miou=change, per_class={"<b>grass</b>": change})


def test_better_is_said_only_of_what_is_separated():
    assert pair(CHANGE).verdict == "b is better than a: mIoU +1.84 [0.92, 2.76]"
    negative = Estimate(value=-0.0184, interval=(-0.0276, -0.0092), p=0.001, adjusted=0.002)
    assert pair(negative).verdict == "a is better than b: mIoU +1.84 [0.92, 2.76]"
    # Separated alone, but not after the correction.
    together = Estimate(value=0.0184, interval=(0.0092, 0.0276), p=0.04, adjusted=0.08)
    assert pair(together).verdict == "not separated: b has +1.84 [0.92, 2.76] mIoU against a"
    assert "without an interval" in pair(Estimate(value=0.5)).verdict
    assert signed(Estimate(value=None)) == in_percent(Estimate(value=None)) == "n/a"


def test_rounding_does_not_contradict_the_verdict():
    for low, said in ((0.00004, "+0.012 [0.004, 0.020]"), (0.0000004, "+0.01200 [0.00004, 0.02000]")):
        assert signed(Estimate(value=0.00012, interval=(low, 0.0002), p=0.01, adjusted=0.01)) == said
        negative = Estimate(value=-0.00012, interval=(-0.0002, -low), p=0.01, adjusted=0.01)
        assert pair(negative).verdict == f"a is better than b: mIoU {said}"
    assert signed(Estimate(value=0.00012, interval=(0.0, 0.0002))) == "+0.01 [0.00, 0.02]"
    assert signed(Estimate(value=0.0, interval=(0.0, 0.0))) == "+0.00 [0.00, 0.00]"


def test_what_is_undefined_is_no_zero():
    undefined = Estimate(value=None)
    nothing = side("a", 0.7, runs_miou=(float("nan"),))
    nothing = msgspec.structs.replace(nothing, miou=undefined, per_class=(ClassScore(name="x", iou=undefined),))
    found = comparison(Pair(first="a", second="b", miou=undefined, per_class={"x": undefined}), sides=(nothing,) * 2)
    found = msgspec.structs.replace(found, sides=(nothing, msgspec.structs.replace(nothing, name="b")))
    assert [row[1] for row in found.tables()[0].rows] == ["n/a", "n/a"]
    assert found.tables()[1].rows == (("x", "n/a", "n/a", "n/a", ""),)
    assert found.verdict == "b against a: mIoU n/a, without an interval"


def test_verdicts_of_one_two_and_more():
    a, b, c = side("a", 0.7), side("b", 0.8), side("c", 0.6, separated=True)
    assert comparison(pair(CHANGE), sides=(b, a)).verdict == pair(CHANGE).verdict
    assert comparison(sides=(side("a", 0.7, runs=("x", "y")),)).verdict == "a: mIoU 70.00 [60.00, 80.00] over 2 runs"
    several = comparison(pair(CHANGE), pair(CHANGE, "a", "c"), sides=(b, a, c))
    assert several.verdict == "b has the highest mIoU; not separated from it: a"
    apart = comparison(pair(CHANGE), pair(CHANGE, "a", "c"), sides=(b, c))
    assert apart.verdict == "b is better than all others"


def test_tables_hold_no_markup_and_mark_what_is_separated():
    found = comparison(pair(CHANGE), sides=(side("b", 0.8, calibration_error=0.05), side("a", 0.7, boundary_miou=0.5)))
    sides, classes = found.tables()
    assert sides.headings == ("", "mIoU %", "95 %", "boundary", "ECE")
    assert sides.rows == (("b", "80.00", "70.00 to 90.00", "", "5.00"), ("a", "70.00", "60.00 to 80.00", "50.00", ""))
    assert classes.rows == (("<b>grass</b>", "70.00", "80.00", "+1.84 [0.92, 2.76]", "*"),)
    page = found._repr_html_()
    assert "&lt;b&gt;grass" in page
    assert "<b>grass" not in page
    assert repr(found) == "<Comparison b is better than a: mIoU +1.84 [0.92, 2.76]>"
