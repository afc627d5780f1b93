"""Agreement of the classes of a data set with those of a network: names decide, class ids only where there are none.

Names are the same if they agree after Unicode compatibility normalisation, in any case, and with spaces, underscores
and hyphens taken for one another: `Traffic Light` is `traffic_light`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import msgspec

from pixelwise.datasets.columns import compact
from pixelwise.datasets.findings import Finding, finding
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.errors import CheckpointError
from pixelwise.recipes.class_sets.tables import IGNORE, Color
from pixelwise.storage import printable
from pixelwise.storage.names import some

_SEPARATORS = re.compile(r"[\s_\-]+")
_NO_NAME = re.compile(r"(class|label|id)?_?\d+|#[0-9a-f]{6}")
_SHOWN = 30
WAY_OUT = (
    "describe the data in the network's classes: in dataset.toml in its folder (`classes = [...]`, "
    "`label_map = { RAW = ID, ... }`, 255 = ignored), or for `pixelwise evaluate` with 'data.classes=[...]', names of "
    "the network in the order of the data, or with 'data.label_map={RAW = ID, ...}' to the class ids of the network; "
    "or train on this data"
)


def normal_name(name: str) -> str:
    """The form in which class names are compared: `Traffic Light` -> `traffic_light`."""
    return _SEPARATORS.sub("_", unicodedata.normalize("NFKC", name).casefold().strip())


def are_numbers(names: Sequence[str]) -> bool:
    """Whether all names are only numbers or colours (`class_3`, `7`, `#804080`), which say nothing about a class."""
    return all(_NO_NAME.fullmatch(normal_name(name)) for name in names)


def order_of(theirs: Sequence[str], ours: Sequence[str]) -> tuple[int, ...] | None:
    """For each of the data set's classes, the position of the network's class of the same name.

    Returns:
        One position per class of the data set; None unless every name occurs exactly once on either side.
    """
    for spelled in (str, normal_name):
        place = {spelled(name): index for index, name in enumerate(ours)}
        found = [place.get(spelled(name)) for name in theirs]
        known = [index for index in found if index is not None]
        if len(place) == len(ours) == len(theirs) == len(set(known)) == len(known):
            return tuple(known)
    return None


def for_network(dataset: Dataset, classes: Sequence[str], palette: Sequence[Color] | None = None) -> Dataset:
    """The data set with class ids, names and colours as a network has them.

    The same names in another order are renumbered (W410). Where the data set or the network has no names, but as many
    classes, the ids decide (W411). Masks per class (multi-label data) are put in the network's order; a class without
    any is one that no image contains (W412).

    Args:
        dataset: The data set, opened by what it says itself.
        classes: Class names of the network, in the order of its outputs.
        palette: One colour per class of the network; None keeps those of the data set.

    Returns:
        A data set whose `remarks` say what was done; the same one if its classes are those of the network.

    Raises:
        CheckpointError: K406, the classes are others.
    """
    ours, theirs = tuple(classes), dataset.classes
    if ours == theirs:
        return dataset
    colors = tuple(palette) if palette is not None and len(palette) == len(ours) else None
    order = order_of(theirs, ours)
    if order is not None:
        return _renumbered(dataset, ours, order, colors)
    if dataset.multilabel and not are_numbers(ours):
        return _with_class_masks(dataset, ours, colors)
    unnamed = not dataset.named or are_numbers(theirs)
    if len(ours) == len(theirs) and (unnamed or are_numbers(ours)):
        names = ours if unnamed else theirs
        remark = ids_decide(dataset, ours if unnamed else theirs, of_data=unnamed)
        palette_kept = colors if unnamed and colors is not None else dataset.palette
        return msgspec.structs.replace(dataset, classes=names, palette=palette_kept, remarks=(*dataset.remarks, remark))
    raise other_classes(dataset, ours)


def ids_decide(dataset: Dataset, names: Sequence[str], *, of_data: bool = True) -> Finding:
    """The warning W411: class ids alone say which class is which."""
    who = f"{printable(dataset.root)} names no classes" if of_data else "the network's classes have no names"
    meanings = [f"{index} = {printable(name)}" for index, name in enumerate(names)]
    return finding(
        "W411",
        f"{who}, so their ids decide: {some(meanings, _SHOWN)}",
        fix="to let names decide, write `classes = [...]` into dataset.toml in the data's folder",
    )


def other_classes(dataset: Dataset, ours: Sequence[str]) -> CheckpointError:
    """K406: the classes of a data set are not those of a network."""
    theirs = dataset.classes
    known, there = {normal_name(name) for name in ours}, {normal_name(name) for name in theirs}
    only_ours = [name for name in ours if normal_name(name) not in there]
    only_theirs = [name for name in theirs if normal_name(name) not in known]
    apart = [
        f"{text}: {listed(names)}"
        for text, names in (("only the network has", only_ours), ("only the data has", only_theirs))
        if names
    ]
    return CheckpointError(
        "K406",
        f"the network predicts {len(ours)} classes ({listed(ours)}), but {printable(dataset.root)} has {len(theirs)} "
        f"({listed(theirs)})" + "".join(f"; {text}" for text in apart),
        WAY_OUT,
    )


def listed(names: Sequence[str]) -> str:
    """The names, separated by commas; long lists are cut."""
    return some([printable(name) for name in names], _SHOWN)


def _renumbered(
    dataset: Dataset, ours: tuple[str, ...], order: tuple[int, ...], colors: tuple[Color, ...] | None
) -> Dataset:
    if colors is None:
        by_place = dict(zip(order, dataset.palette, strict=True))
        colors = tuple(by_place[index] for index in range(len(ours)))
    remarks = dataset.remarks
    if order != tuple(range(len(order))):
        remarks = (
            *remarks,
            finding(
                "W410",
                f"{printable(dataset.root)} has the network's classes in another order, {listed(dataset.classes)}; "
                f"they are matched by name with those of the network, {listed(ours)}",
            ),
        )
    changed = msgspec.structs.replace(dataset, classes=ours, palette=colors, remarks=remarks)
    if dataset.multilabel:
        inverse = [order.index(index) for index in range(len(ours))]
        return msgspec.structs.replace(changed, splits=_in_places(dataset, inverse))
    new = (*order, *range(len(order), IGNORE), IGNORE)
    table = dataset.label_table
    ids = {raw: new[class_id] for raw, class_id in table.ids.items()}
    by_color = {color: new[class_id] for color, class_id in table.colors.items()}
    return msgspec.structs.replace(changed, label_table=msgspec.structs.replace(table, ids=ids, colors=by_color))


def _with_class_masks(dataset: Dataset, ours: tuple[str, ...], colors: tuple[Color, ...] | None) -> Dataset:
    """The masks of each class in the network's order; None for classes that have none."""
    place = {normal_name(name): index for index, name in enumerate(dataset.classes)}
    sources = [place.get(normal_name(name)) for name in ours]
    found = [source for source in sources if source is not None]
    if len(set(found)) < len(dataset.classes) or not found or len({normal_name(name) for name in ours}) < len(ours):
        raise other_classes(dataset, ours)
    own = [dataset.palette[source] if source is not None else (255, 255, 255) for source in sources]
    missing = [name for name, source in zip(ours, sources, strict=True) if source is None]
    return msgspec.structs.replace(
        dataset,
        classes=ours,
        palette=colors or tuple(own),
        splits=_in_places(dataset, sources),
        remarks=(*dataset.remarks, never_labelled(dataset, missing)),
    )


def never_labelled(dataset: Dataset, missing: Sequence[str]) -> Finding:
    """The warning W412: the data knows no label of some of the network's classes."""
    return finding(
        "W412",
        f"{printable(dataset.root)} has no label of {listed(missing)}: pixels of these classes are labelled as "
        "something else there, so predicting them counts as wrong",
    )


def _in_places(dataset: Dataset, sources: Sequence[int | None]) -> dict[str, tuple[Sample, ...]]:
    def moved(sample: Sample) -> Sample:
        if not sample.class_masks:
            return sample
        masks = tuple(None if source is None else sample.class_masks[source] for source in sources)
        return msgspec.structs.replace(sample, class_masks=masks)

    return {split: compact(map(moved, samples)) for split, samples in dataset.splits.items()}
