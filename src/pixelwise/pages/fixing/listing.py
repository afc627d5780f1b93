"""What the pages of the label editor show beside the mask: the images of a data folder and the way between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pixelwise.errors import PixelwiseError
from pixelwise.pages.fixing.collection import Collection, Folder, Item
from pixelwise.prediction.overlays import background_of
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable

PAGE = 60
"""Images of a page of the list."""
ORDERS = {"file": "file names", "queue": "queue"}
"""Order of the images -> its name."""


class Shown(NamedTuple):
    """A data folder on the list, with what is wrong with it if its images cannot be shown."""

    id: str
    name: str
    reason: str
    help: str


def list_values(collection: Collection, query: Mapping[str, str], edit: bool) -> dict[str, Any]:
    """Values of `fix_images.html`.

    Args:
        collection: The data folders.
        query: `data` chooses a folder, `order` an order, `text` a part of the names, `first` the first image.
        edit: Whether masks may be changed.
    """
    folder = collection.folder(query.get("data", "")) or next(iter(collection.folders), None)
    text, first = query.get("text", ""), query.get("first", "")
    start = int(first) if first.isascii() and first.isdecimal() and len(first) < 9 else 0
    items: list[Item] = []
    order, queued, problem = "file", 0, None
    if folder is not None:
        try:
            queued = len(folder.queue())
            order = order_of(folder, query.get("order", ""))
            items = [item for item in in_order(folder, order) if text.lower() in item.name.lower()]
        except PixelwiseError as error:
            problem = error
    start = start - start % PAGE if start < len(items) else 0
    return {
        "folders": [(one.id, one.name) for one in collection.folders],
        "folder": folder,
        "problem": problem,
        "text": text,
        "order": order,
        "orders": ORDERS if queued else {},
        "number": len(items),
        "images": [(item.id, printable(item.name)) for item in items[start : start + PAGE]],
        "before": start - PAGE if start else None,
        "after": start + PAGE if start + PAGE < len(items) else None,
        "edited": edited(folder) if folder is not None and problem is None else frozenset(),
        "edit": edit,
    }


def order_of(folder: Folder, asked: str) -> str:
    """The order that an address asks for: that of the queue if there is one and nothing else is asked for."""
    return "file" if asked == "file" or not folder.queue() else "queue"


def in_order(folder: Folder, order: str) -> list[Item]:
    """The images of a folder; in the order of the queue, those that are not in it come last."""
    every = folder.opened().items
    first = {item.id: item for item in (folder.queue() if order == "queue" else ())}
    return list({**first, **every}.values()) if first else list(every.values())


def edited(folder: Folder) -> frozenset[str]:
    """Names of the images whose masks were changed."""
    return frozenset(edit.image for edit in folder.opened().keeper.edits())


def image_values(folder: Folder, item: Item, order: str, edit: bool) -> dict[str, Any]:
    """Values of `fix.html`.

    Args:
        folder: The data folder.
        item: The image.
        order: The order that the address asks for; other than those of `ORDERS` for the default one.
        edit: Whether masks may be changed.
    """
    dataset = folder.opened().dataset
    order = order_of(folder, order)
    ids = [one.id for one in in_order(folder, order)]
    place = ids.index(item.id)
    background = background_of(dataset.classes)
    classes = [
        (number, name, "#{:02x}{:02x}{:02x}".format(*color))
        for number, (name, color) in enumerate(zip(dataset.classes, dataset.palette, strict=True))
    ]
    return {
        "folder": folder,
        "image": item.id,
        "name": printable(item.name),
        "order": order,
        "rank": place + 1,
        "number": len(ids),
        "previous": ids[place - 1] if place else None,
        "next": ids[place + 1] if place + 1 < len(ids) else None,
        "classes": [*classes, (IGNORE, "ignored", "")],
        "eraser": IGNORE if background is None else background,
        "edit": edit,
    }
