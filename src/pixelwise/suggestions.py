"""Near-miss suggestions for mistyped names."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'a' or 'b'?"` for the nearest known names, or an empty string."""
    import difflib  # imported only after a mistake

    nearest = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    if not nearest:
        return ""
    return "; did you mean " + " or ".join(f"'{match}'" for match in nearest) + "?"
