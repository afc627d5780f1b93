"""What the pages of the label editor show beside the mask: the images of a data folder and the way between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pixelwise.datasets.labels import format_color
from pixelwise.errors import PixelwiseError
from pixelwise.pages.fixing.collection import Collection, Folder, Item
from pixelwise.pages.fixing.layers import PRESENT, Layer, layers_of
from pixelwise.pages.fixing.masks import Uneditable
from pixelwise.prediction.overlays import background_of
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.storage import printable

PAGE = 60
"""Images of a page of the list."""
ORDERS = {"queue": "queue", "unlabelled": "without a mask first", "file": "file names"}
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
    order, orders, problem = "file", dict[str, str](), None
    if folder is not None:
        try:
            orders = orders_of(folder)
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
        "orders": orders if len(orders) > 1 else {},
        "number": len(items),
        "without": sum(map(folder.is_unlabelled, items)) if folder is not None else 0,
        "images": [
            (item.id, printable(item.name), folder is not None and folder.is_unlabelled(item))
            for item in items[start : start + PAGE]
        ],
        "before": start - PAGE if start else None,
        "after": start + PAGE if start + PAGE < len(items) else None,
        "edited": edited(folder) if folder is not None and problem is None else frozenset(),
        "edit": edit,
    }


def orders_of(folder: Folder) -> dict[str, str]:
    """The orders that the images of a folder have, with their names; the usual one comes first."""
    opened = folder.opened()
    has = {"queue": bool(folder.queue()), "unlabelled": bool(opened.unlabelled), "file": True}
    return {order: title for order, title in ORDERS.items() if has[order]}


def order_of(folder: Folder, asked: str) -> str:
    """The order that an address asks for, or the usual one: that of the queue, or else images without a mask first."""
    orders = orders_of(folder)
    return asked if asked in orders else next(iter(orders))


def in_order(folder: Folder, order: str) -> list[Item]:
    """The images of a folder.

    After those of the queue come those that had no mask when the folder was opened, so that they keep their places
    while they are labelled, and then all others.
    """
    every = folder.opened().items
    if order == "file":
        return list(every.values())
    first = folder.queue() if order == "queue" else ()
    open_ones = (item for item in every.values() if item.mask is not None)
    return list({**{item.id: item for item in (*first, *open_ones)}, **every}.values())


def edited(folder: Folder) -> frozenset[str]:
    """Names of the images whose masks were changed."""
    return frozenset(edit.image for edit in folder.opened().keeper.edits())


def _new_file(folder: Folder, item: Item, layer: Layer | None) -> str:
    """The file that the first change of a mask will make, below the data folder; empty if it is there."""
    try:
        target = folder.target(item, layer)
    except Uneditable:
        return ""
    return "" if target.photo is None or target.path.exists() else printable(target.relative)


def image_values(folder: Folder, item: Item, order: str, edit: bool, layer: Layer | None = None) -> dict[str, Any]:
    """Values of `fix.html`.

    Args:
        folder: The data folder.
        item: The image.
        order: The order that the address asks for; other than those of `ORDERS` for the default one.
        edit: Whether masks may be changed.
        layer: The class that is edited, of multi-label data.
    """
    dataset = folder.opened().dataset
    order = order_of(folder, order)
    ids = [one.id for one in in_order(folder, order)]
    place = ids.index(item.id)
    background = background_of(dataset.classes)
    classes = [
        (number, name, format_color(color))
        for number, (name, color) in enumerate(zip(dataset.classes, dataset.palette, strict=True))
    ]
    classes.append((IGNORE, "ignored", ""))
    if layer is not None:
        background, classes = 0, [(PRESENT, layer.name, format_color(layer.color))]
    return {
        "folder": folder,
        "image": item.id,
        "name": printable(item.name),
        "order": order,
        "rank": place + 1,
        "number": len(ids),
        "previous": ids[place - 1] if place else None,
        "next": ids[place + 1] if place + 1 < len(ids) else None,
        "classes": classes,
        "eraser": IGNORE if background is None else background,
        "layers": layers_of(dataset),
        "layer": layer,
        "unlabelled": _new_file(folder, item, layer),
        "edit": edit,
    }
