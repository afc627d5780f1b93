import numpy as np
import pytest

from pixelwise.datasets.town.canvas import LABEL, Camera, Canvas
from pixelwise.datasets.town.roadside import LEAVES, Painter, behind_pavement, on_pavement
from pixelwise.datasets.town.weather import Side


def side(kind: str, sign: int = 1, crossing: tuple[float, float] | None = None) -> Side:
    return Side(sign, 4.0, 3.0, kind, crossing)


def empty() -> Canvas:
    return Canvas((120, 160), Camera(horizon=45, center=80, focal=110, eye=1.5), haze=(90, 90, 90), visibility=500)


def painted(canvas: Canvas, painters: list[Painter]) -> Canvas:
    for _, paint in sorted(painters, key=lambda painter: -painter[0]):
        paint()
    return canvas


def pixels(kind: str, label: str, seeds: int = 8) -> int:
    """Pixels of a class behind the pavement, over several streets."""
    total = 0
    for seed in range(seeds):
        canvas = empty()
        rng = np.random.default_rng(seed)
        painted(canvas, behind_pavement(canvas, rng, side(kind), LEAVES[0]))
        total += int((canvas.labels == LABEL[label]).sum())
    return total


def test_a_city_is_built_up_and_a_park_is_green():
    assert pixels("city", "building") > 5 * pixels("park", "building")
    assert pixels("park", "tree") > 2 * pixels("city", "tree")
    assert pixels("city", "fence") == 0


@pytest.mark.parametrize("sign", [-1, 1])
def test_houses_stand_on_their_side_of_the_street(sign: int):
    canvas = empty()
    painted(canvas, behind_pavement(canvas, np.random.default_rng(0), side("city", sign), LEAVES[0]))
    columns = np.flatnonzero((canvas.labels == LABEL["building"]).any(axis=0))
    assert columns.size
    # Houses begin 7 m beside the line of sight: at 100 m that is 8 columns from the middle.
    assert (sign * (columns - 80) > 0).all()


def test_no_house_stands_in_the_side_street():
    rng, canvas = np.random.default_rng(3), empty()
    painters = behind_pavement(canvas, rng, side("city", crossing=(12.0, 20.0)), LEAVES[0])
    # A house is known by its far end, a tree by its place and five metres more: none ends within the gap.
    assert not [far for far, _ in painters if 12.5 < far < 19.5]


def test_nothing_stands_on_the_pavement_where_the_side_street_is():
    for seed in range(10):
        canvas = empty()
        painters = on_pavement(canvas, np.random.default_rng(seed), side("city", crossing=(10.0, 18.0)), LEAVES[0])
        lamps = [z for z, _ in painters]
        fences = 1  # a fence is put at its far end and may pass the gap
        assert sum(9.5 < z < 18.5 for z in lamps) <= fences


def test_what_stands_on_the_pavement_has_these_classes():
    seen: set[int] = set()
    for seed in range(30):
        canvas = empty()
        painted(canvas, on_pavement(canvas, np.random.default_rng(seed), side("city"), LEAVES[0]))
        seen |= set(np.unique(canvas.labels).tolist())
    names = {name for name, label in LABEL.items() if label in seen}
    assert names == {"pole", "sign_symbol", "tree", "pedestrian", "fence", "void"}
