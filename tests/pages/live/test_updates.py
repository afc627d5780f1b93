import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.pages.live.following import FRAGMENTS, Shown
from pixelwise.pages.live.thinning import Means, Picks
from pixelwise.pages.live.updates import Position, parsed, position_of, update
from pixelwise.records.pictures import Pictures


def shown(steps: int, evaluations: int = 0, mark: str = "m-0-0", text: str = "") -> Shown:
    means, picks = Means(2, 8), Picks(4)
    for step in range(steps):
        means.add((step, step % 3))
    for step in range(evaluations):
        picks.add((step, step))
    return Shown(
        mark=mark,
        steps=means.curve(),
        evaluations=picks.curve(),
        paces=tuple((step, 1.0) for step in range(1, steps // 2)),
        classes=(),
        fragments={name: text + name for name in FRAGMENTS},
        moments=Pictures(),
        said=text,
        state="running",
    )


class Page:
    """What the script of a page does with what it is sent."""

    def __init__(self) -> None:
        self.curves: dict[str, list] = {"steps": [], "evaluations": [], "paces": []}
        self.fragments: dict[str, str] = {}
        self.last = ""

    def take(self, found: Shown) -> None:
        news = update(parsed(self.last), found)
        if not news:
            return
        for name, points in self.curves.items():
            points[news[name]["from"] :] = news[name]["points"]
        self.fragments |= news["fragments"]
        self.last = position_of(found).text()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.sampled_from("ab")), min_size=1, max_size=8))
def test_a_page_that_misses_any_updates_shows_everything_in_the_end(numbers: list[tuple[int, int, str]]):
    page = Page()
    steps = evaluations = 0
    for more_steps, more_evaluations, text in numbers:
        steps, evaluations = steps + more_steps, evaluations + more_evaluations
        now = shown(steps, evaluations, text=text)
        page.take(now)
        assert page.curves == {
            "steps": list(now.steps.points),
            "evaluations": list(now.evaluations.points),
            "paces": list(now.paces),
        }
        assert page.fragments == now.fragments


def test_only_what_is_new_is_sent():
    page = Page()
    page.take(shown(6, 2))
    news = update(parsed(page.last), shown(7, 2))
    assert (news["steps"]["from"], len(news["steps"]["points"])) == (6, 1)
    assert news["evaluations"]["points"] == ()
    assert news["fragments"] == {}
    assert update(position_of(shown(7, 2)), shown(7, 2)) == {}


def test_the_last_point_is_sent_again_while_it_grows():
    before, after = shown(9), shown(10)  # five points of two steps each, the last one of a single step at first
    assert (before.steps.whole, after.steps.whole) == (4, 5)
    assert update(position_of(before), after)["steps"] == {"size": 2, "from": 4, "points": after.steps.points[4:]}


def test_a_log_that_was_written_anew_is_sent_whole():
    news = update(position_of(shown(6)), shown(7, mark="m-1-0"))
    assert (news["steps"]["from"], len(news["steps"]["points"])) == (0, 7)
    assert len(news["fragments"]) == len(FRAGMENTS)


@pytest.mark.parametrize("text", ["", "x", "a.1.2.3", "m.1.2.3.4.5.-6.a.b.c.d.e.f", "m" + ".1" * 11, "m" + ".²" * 12])
def test_an_id_that_is_none_means_everything(text: str):
    assert parsed(text) is None


def test_an_id_tells_the_position():
    position = position_of(shown(9, 3, text="a"))
    assert parsed(position.text()) == position
    assert isinstance(position, Position)
    huge = parsed("m" + "." + "9" * 400 + ".1" * 11)
    assert update(huge, shown(5))["steps"]["from"] == 0
