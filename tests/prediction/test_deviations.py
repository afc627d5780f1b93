from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pixelwise.prediction.deviations import Once, deviations, stretching
from pixelwise.recipes.protocols import PROTOCOLS, Protocol

NATIVE = PROTOCOLS["native"]
SLIDE = Protocol(name="x", summary="", window=(32, 32), window_stride=(24, 24))
PADDED = Protocol(name="x", summary="", pad_to=(48, 64), argmax_at="input")


@pytest.mark.parametrize(
    ("fixed", "scores", "protocol", "seen", "mask", "codes"),
    [
        (None, True, NATIVE, (40, 50), (80, 100), []),
        (None, True, SLIDE, (40, 50), (40, 50), []),
        ((48, 64), True, NATIVE, (48, 64), (48, 64), []),
        ((48, 64), True, NATIVE, (48, 64), (96, 128), []),
        ((48, 64), True, NATIVE, (48, 65), (48, 65), ["W471"]),
        ((48, 64), True, NATIVE, (40, 50), (40, 50), ["W471"]),
        ((48, 64), True, PADDED, (40, 50), (40, 50), []),
        ((48, 64), True, PADDED, (49, 50), (49, 50), ["W471"]),
        ((32, 32), True, SLIDE, (90, 90), (90, 90), []),
        ((32, 32), True, SLIDE, (90, 20), (90, 20), ["W471"]),
        ((48, 48), True, SLIDE, (90, 90), (90, 90), ["W471"]),
        (None, False, NATIVE, (40, 50), (40, 50), []),
        (None, False, NATIVE, (40, 50), (80, 100), ["W473"]),
        (None, False, SLIDE, (32, 32), (32, 32), []),
        (None, False, SLIDE, (33, 32), (33, 32), ["W472"]),
        ((48, 64), False, NATIVE, (48, 65), (48, 65), ["W471", "W472"]),
        ((48, 64), False, NATIVE, (40, 50), (40, 50), ["W471"]),
    ],
)
def test_every_way_in_which_an_artefact_differs_is_named(
    fixed: Any, scores: bool, protocol: Protocol, seen: Any, mask: Any, codes: list[str]
) -> None:
    model: Any = SimpleNamespace(fixed_size=fixed, gives_scores=scores, enlarged_to=None)
    assert [code for code, _ in deviations(model, protocol, seen, mask)] == codes


SCALED = Protocol(name="x", summary="", scales=(1.0, 1.5))


@pytest.mark.parametrize(
    ("stride", "protocol", "seen", "mask", "twice"),
    [
        (None, NATIVE, (40, 50), (80, 100), False),
        (1, NATIVE, (40, 50), (40, 50), False),
        (1, NATIVE, (40, 50), (80, 100), True),
        (4, NATIVE, (40, 50), (40, 50), True),
        (1, SLIDE, (40, 50), (80, 100), False),  # windows are joined at the size at which the network sees the image
        (1, SLIDE, (32, 30), (80, 100), True),
        (4, SLIDE, (40, 50), (80, 100), True),
        (1, PADDED, (40, 50), (80, 100), False),  # classes are decided at the size of the padded input
        (1, SCALED, (40, 50), (40, 50), True),
    ],
)
def test_logits_that_are_enlarged_twice_are_named(
    stride: int | None, protocol: Protocol, seen: Any, mask: Any, twice: bool
) -> None:
    model: Any = SimpleNamespace(fixed_size=None, gives_scores=True, enlarged_to=stride)
    assert [code for code, _ in deviations(model, protocol, seen, mask)] == (["W475"] if twice else [])


def test_windows_that_the_run_does_not_have_are_named() -> None:
    model: Any = SimpleNamespace(fixed_size=(32, 32), gives_scores=True, enlarged_to=None)
    assert deviations(model, SLIDE, (90, 90), (90, 90), SLIDE) == []
    assert [code for code, _ in deviations(model, SLIDE, (90, 90), (90, 90), NATIVE)] == ["W471"]


def test_an_image_is_stretched_only_if_the_run_sees_it_at_another_size() -> None:
    assert stretching((48, 64), (96, 128), (48, 64)) == []
    ((code, message),) = stretching((48, 64), (100, 100), (55, 55))
    assert code == "W474"
    assert all(text in message for text in ("100x100", "64x48", "55x55"))


def test_each_code_is_said_once() -> None:
    told: list[tuple[str, str]] = []
    warn = Once(lambda *remark: told.append(remark))
    warn([("W1", "a"), ("W2", "b")])
    warn([("W1", "c"), ("W3", "d")])
    assert told == [("W1", "a"), ("W2", "b"), ("W3", "d")]
