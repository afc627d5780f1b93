"""Holds the class names that a user gives against those that the data set states for the same mask values."""

from __future__ import annotations

from collections.abc import Sequence

from pixelwise.datasets.classes.agreement import listed, normal_name
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.errors import RecipeError
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable


def renaming(data: Data, layout: Layout, stated: Sequence[str] | None) -> tuple[Finding, ...]:
    """What has to be said about `data.classes` where the data set names the same class ids itself.

    Names beside values for them (`data.label_map`, `data.colors`) describe the masks anew, and labels of annotations
    are matched by name; nothing is said about either.

    Args:
        data: The data section that a data set is opened with.
        layout: Its layout.
        stated: Class names that the data set states, in the order of their ids; None if it states none.

    Returns:
        The warning W415 if classes get other names.

    Raises:
        RecipeError: R203, a class would get the name of another one.
    """
    given = data.classes
    values = data.label_map is not None or data.colors is not None
    if given is None or stated is None or values or layout.label_names or layout.multilabel:
        return ()
    place = {normal_name(name): index for index, name in enumerate(stated)}
    for index, name in enumerate(given):
        if place.get(normal_name(name), index) != index:
            own = printable(stated[index]) if index < len(stated) else "no class"
            raise RecipeError(
                "R203",
                f"data.classes names class {index} {printable(name)}, but {printable(layout.root)} says that it is "
                f"{own} ({listed(stated)})",
                "leave data.classes out, give names in the order of the data set, or say with data.label_map "
                "(RAW = ID) which mask value is which of your classes",
            )
    pairs = zip(stated, given, strict=False)
    changed = [f"{own} = {name}" for own, name in pairs if normal_name(own) != normal_name(name)]
    if not changed:
        return ()
    where = printable(layout.root)
    return (finding("W415", f"classes of {where} get the names of data.classes, in its order: {listed(changed)}"),)
