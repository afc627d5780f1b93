"""What a refusal says, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pixelwise.errors import RecipeError


def refused(make: Callable[..., Any], *arguments: Any, **options: Any) -> RecipeError:
    """The refusal of a call; the test fails if the call is accepted."""
    with pytest.raises(RecipeError) as caught:
        make(*arguments, **options)
    return caught.value


def refuses(make: Callable[..., Any], field: str, value: Any, *, name: str) -> None:
    """Check that `field=value` is refused as an impossible value (R203) whose field, by `name`, and value are said."""
    error = refused(make, **{field: value})
    said = str(list(value) if isinstance(value, tuple) else value)
    assert error.code == "R203"
    assert name in error.message, (name, error.message)
    assert said in error.message, (said, error.message)
    assert error.help
