"""How objects look in Python: one line as text, a table or a picture in a notebook, a pandas or polars frame."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pixelwise.errors import RecipeError, harmless

if TYPE_CHECKING:
    import pandas  # type: ignore[import-not-found]
    import polars  # type: ignore[import-not-found]

NOT_AVAILABLE = "n/a"
SHOWN_NAMES = 4
"""Number of names in a line; the rest are counted."""


def percent(fraction: float, digits: int = 2) -> str:
    """`0.5312` -> `53.12`; `n/a` for NaN. The heading gives the unit."""
    return NOT_AVAILABLE if math.isnan(fraction) else f"{100 * fraction:.{digits}f}"


def line(kind: str, *parts: str) -> str:
    """`<Result mIoU 85.24 %; val, native>`: the class of an object and what it is, on one line.

    Args:
        kind: Name of the class.
        parts: What is said of the object; empty parts are left out.
    """
    said = "; ".join(part for part in parts if part)
    return " ".join(harmless(f"<{kind} {said}>" if said else f"<{kind}>").split())


def names_in_words(names: Sequence[str], shown: int = SHOWN_NAMES) -> str:
    """`sky, road and 9 more`: the first of several names."""
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[: shown - 1])} and {len(names) - shown + 1} more"


def classes_in_words(names: Sequence[str]) -> str:
    """`2 classes: background, nucleus`."""
    return f"{len(names)} class{'' if len(names) == 1 else 'es'}: {names_in_words(names)}"


def html_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", prose: bool = False) -> str:
    """A table as HTML in which no text can be markup.

    Args:
        headings: Headings of the columns.
        rows: Cells, as many as headings in each row.
        title: Line above the table.
        prose: Whether the cells are sentences; else those after the first column are numbers, aligned right.
    """
    caption = f"<p><b>{_escaped(title)}</b></p>" if title else ""
    body = "".join(_html_row("td", row, prose) for row in rows)
    return f"{caption}<table><thead>{_html_row('th', headings, prose)}</thead><tbody>{body}</tbody></table>"


def html_picture(png: bytes, caption: str) -> str:
    """A picture in the page itself, with a caption below it; HTML in which no text can be markup."""
    text = _escaped(caption)
    encoded = base64.b64encode(png).decode("ascii")
    image = f'<img src="data:image/png;base64,{encoded}" alt="{text}" style="max-width:100%">'
    return f'<figure style="margin:0">{image}<figcaption style="overflow-wrap:anywhere">{text}</figcaption></figure>'


def html_legend(names: Sequence[str], colors: Sequence[tuple[int, int, int]]) -> str:
    """The names of classes, each behind a square of its colour; HTML in which no text can be markup."""
    square = "display:inline-block;width:0.8em;height:0.8em;margin-right:0.3em;border:1px solid #888;background:"
    entries = (
        '<span style="display:inline-block;margin-right:0.9em">'
        f'<span style="{square}#{red:02x}{green:02x}{blue:02x}"></span>{_escaped(name)}</span>'
        for name, (red, green, blue) in zip(names, colors, strict=True)
    )
    return f"<p>{''.join(entries)}</p>"


def html_line(text: str, link: str = "") -> str:
    """A line of text, which may be a link; HTML in which no text can be markup."""
    return f'<p><a href="{_escaped(link)}">{_escaped(text)}</a></p>' if link else f"<p>{_escaped(text)}</p>"


def frame(columns: Mapping[str, Sequence[Any]], index: str | None = None) -> pandas.DataFrame:
    """A pandas frame.

    Args:
        columns: Values by the name of their column, all of one length.
        index: Name of the column that names the rows; None to number them.

    Raises:
        RecipeError: R240, pandas is not installed.
    """
    try:
        import pandas  # type: ignore[import-not-found]
    except ImportError as error:
        raise RecipeError("R240", "pandas is not installed", "pip install 'pixelwise[pandas]'") from error
    made = pandas.DataFrame(dict(columns))
    return made if index is None else made.set_index(index)


def polars_frame(columns: Mapping[str, Sequence[Any]]) -> polars.DataFrame:
    """A polars frame; NaN stays NaN, and None becomes null.

    Args:
        columns: Values by the name of their column, all of one length.

    Raises:
        RecipeError: R240, polars is not installed.
    """
    try:
        import polars  # type: ignore[import-not-found]
    except ImportError as error:
        raise RecipeError("R240", "polars is not installed", "pip install 'pixelwise[polars]'") from error
    # A column whose first values are missing has its type from the later ones.
    return polars.DataFrame({name: list(values) for name, values in columns.items()}, infer_schema_length=None)


def _escaped(text: str) -> str:
    return html.escape(harmless(text))


def _html_row(tag: str, cells: Sequence[str], prose: bool) -> str:
    sides = ("left" if prose or column == 0 else "right" for column in range(len(cells)))
    shown = zip(sides, map(_escaped, cells), strict=True)
    style = "padding:0.15em 0.6em;vertical-align:top;text-align:"
    written = "".join(f'<{tag} style="{style}{side}">{text}</{tag}>' for side, text in shown)
    return f"<tr>{written}</tr>"
