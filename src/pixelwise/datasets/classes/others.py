"""How data that a network was not trained on is read: by its own names and values, as far as it states them."""

from __future__ import annotations

import msgspec

from pixelwise.datasets.classes.agreement import listed, normal_name, order_of
from pixelwise.datasets.classes.tables import Stated
from pixelwise.datasets.layouts.layout import Layout
from pixelwise.datasets.layouts.outlines import BACKGROUND, IGNORED_LABEL
from pixelwise.errors import CheckpointError
from pixelwise.recipes.class_sets.tables import IGNORE
from pixelwise.recipes.schema.data import Data
from pixelwise.storage import printable

CLASS_FIELDS = ("classes", "label_map", "colors", "labels")
"""Fields of the data section that give the classes of a data set, or the values by which its masks mark them."""


def without_classes(data: Data) -> Data:
    """The data section without what it says about classes and the values of their masks."""
    return msgspec.structs.replace(data, classes=None, palette=None, label_map=None, colors=None, labels=None)


def data_by_names(data: Data, layout: Layout, said: Stated, classes: tuple[str, ...]) -> Data:
    """The data section by which a data set is opened for a network that was trained on another one.

    Args:
        data: The data section that the network was trained with.
        layout: The layout of the data set to open.
        said: What that data set says about its classes.
        classes: Class names of the network, in the order of its outputs.

    Returns:
        `data` with the classes and values of the data set to open, in that data set's own order.

    Raises:
        CheckpointError: K408, the classes are in another order, but only `data` explains the values of the masks.
    """
    own = without_classes(data)
    if layout.multilabel:
        return own
    if layout.label_names:
        return own if said.encoded else _by_labels(own, data, layout, said, classes)
    if said.encoded:
        return own if said.classes is not None else msgspec.structs.replace(own, classes=classes, palette=data.palette)
    if said.classes is None:
        return msgspec.structs.replace(data, classes=data.classes or classes)
    order = order_of(said.classes, classes)
    if order is None:
        return own  # the names differ, which `for_network` refuses or explains
    if order == tuple(range(len(order))):
        return msgspec.structs.replace(data, classes=classes)
    values = {int(raw): class_id for raw, class_id in (data.label_map or {}).items()}
    if any(class_id not in (raw, IGNORE) for raw, class_id in values.items()):
        raise CheckpointError(
            "K408",
            f"{printable(layout.root)} names the network's classes in another order ({listed(said.classes)} instead of "
            f"{listed(classes)}), but does not say which mask value is which class, and the network's own data used "
            f"other values than class ids ({_values(values)})",
            "write `label_map = { RAW = ID, ... }` with the ids of this order into dataset.toml in the data's folder, "
            "or give `pixelwise evaluate` 'data.label_map={RAW = ID, ...}' with the class ids of the network",
        )
    # Values that are class ids are positions in the data set's own list; values to ignore stay ignored.
    ignored = {str(raw): IGNORE for raw, class_id in values.items() if class_id == IGNORE}
    own_ids = {str(index): index for index in range(len(said.classes)) if str(index) not in ignored}
    return msgspec.structs.replace(own, label_map=own_ids | ignored if ignored else None)


def _by_labels(own: Data, data: Data, layout: Layout, said: Stated, classes: tuple[str, ...]) -> Data:
    """Annotations carry the name of their class: each is looked up among the network's labels and classes.

    A data set whose list of classes differs from the network's is read by that list, so that the difference is
    refused; only formats without a list of their own may lack labels.
    """
    known = {normal_name(name): index for index, name in enumerate(classes)}
    mapped = {normal_name(label): class_id for label, class_id in (data.labels or {}).items()}
    known |= mapped
    labels = [name for name in layout.label_names.values() if name not in (BACKGROUND, IGNORED_LABEL)]
    if any(normal_name(name) not in known for name in labels):
        return own
    if layout.lists_classes and not data.labels and order_of(said.classes or (), classes) is None:
        return own
    names = {BACKGROUND: known.get(BACKGROUND, IGNORE), IGNORED_LABEL: known.get(IGNORED_LABEL, IGNORE)}
    found = {name: class_id for name, class_id in names.items() if name in layout.label_names.values()}
    found |= {BACKGROUND: names[BACKGROUND]} | {name: known[normal_name(name)] for name in labels}
    return msgspec.structs.replace(own, classes=classes, palette=data.palette, labels=found)


def _values(values: dict[int, int]) -> str:
    pairs = [f"{raw} = {class_id}" for raw, class_id in values.items()]
    return ", ".join(pairs[:8]) + (", ..." if len(pairs) > 8 else "")
