"""The images of the data folders that are edited or looked at. Pages know them by ids alone, never by paths."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pixelwise.datasets.format import format_of
from pixelwise.datasets.samples import Dataset, Sample
from pixelwise.datasets.unlabelled import open_with_unlabelled
from pixelwise.errors import PixelwiseError
from pixelwise.pages.fixing.keeping import Keeper, Target
from pixelwise.pages.fixing.layers import Layer, Layers, layers_of
from pixelwise.pages.fixing.masks import Mask, Uneditable
from pixelwise.pages.fixing.queue import read_queue
from pixelwise.storage import printable, sha256_bytes
from pixelwise.storage.stores.addresses import address_of
from pixelwise.storage.stores.members import Member


class Item(NamedTuple):
    """An image of a data folder.

    Attributes:
        id: Id in addresses; the same as long as the folder stays in its place.
        split: Its split.
        sample: Its files.
        mask: Where its mask will be, if it had none when the folder was opened; None for others.
    """

    id: str
    split: str
    sample: Sample
    mask: Path | None = None

    @property
    def name(self) -> str:
        """Split and id."""
        return f"{self.split}/{self.sample.id}"


class Folder:
    """A data folder; it is opened when it is first asked for, and keeps its classes until the server ends.

    Args:
        path: The folder.

    Attributes:
        id: Id in addresses.
        name: Its path as its user knows it, printable.
        root: The folder without links.
    """

    def __init__(self, path: Path) -> None:
        self.root = path.resolve()
        self.id = sha256_bytes(os.fsencode(self.root))[:12]
        self.name = printable(path)
        self._lock = threading.Lock()
        self._opened: _Opened | PixelwiseError | None = None

    def opened(self) -> _Opened:
        """The data set and its images.

        Raises:
            PixelwiseError: It is no data set.
        """
        with self._lock:
            if self._opened is None:
                try:
                    self._opened = self._open()
                except PixelwiseError as error:
                    self._opened = error
            if isinstance(self._opened, PixelwiseError):
                raise self._opened
            return self._opened

    def queue(self) -> list[Item]:
        """The images in the order in which a run has ranked them for labelling; empty without such a list.

        Raises:
            PixelwiseError: It is no data set, or the list is damaged.
        """
        ranked = read_queue(self.root)
        if not ranked:
            return []
        items = {os.path.abspath(item.sample.image_path): item for item in self.opened().items.values()}
        found = (items.get(os.path.abspath(self.root / one.image)) for one in ranked)
        return list({item.id: item for item in found if item is not None}.values())

    def item_id(self, split: str, sample: str) -> str:
        """The id of an image, by its split and its id there; nothing is opened for it."""
        return sha256_bytes(os.fsencode(self.root) + f"\0{split}\0{sample}".encode())[:16]

    def unlabelled_id(self, image: Path) -> str | None:
        """The id of an image that had no mask when the folder was opened; None for others, and if it was not opened."""
        opened = self._opened
        return opened.unlabelled.get(image) if isinstance(opened, _Opened) else None

    def holds(self, path: Path) -> bool:
        """Whether a file lies within the folder, wherever its links lead."""
        if isinstance(path, Member):
            return False
        try:
            real = path.resolve()
        except (OSError, RuntimeError):  # a link that leads to itself
            return False
        return self.root in real.parents

    def layer(self, id: int | None) -> Layer | None:
        """The layer of an id, or the first one; None for data that has no layers, or none of this id."""
        layers = layers_of(self.opened().dataset)
        return next((one for one in layers if id is None or one.id == id), None)

    def target(self, item: Item, layer: Layer | None = None) -> Target:
        """The mask of an image, if it may be read and written.

        Args:
            item: The image.
            layer: The class whose mask it is, of multi-label data.

        Raises:
            Uneditable: The image has no mask file of its own below this folder.
        """
        opened = self.opened()
        mask = item.mask or item.sample.mask_path
        if isinstance(mask, Member):
            raise Uneditable("The masks lie in shards or tables, which are not changed. Edit the loose files.")
        if opened.layers is not None:
            mask = None if layer is None else opened.layers.path(item.sample, layer, item.mask)
            if mask is None:
                raise Uneditable("The names of the other masks do not tell where a mask of this class belongs.")
        if mask is None:
            raise Uneditable("The image has no mask.")
        if format_of(opened.dataset.name).drawn:
            raise Uneditable("The masks are drawn from annotation files. Change these with the tool that made them.")
        if mask.is_symlink() or not self.holds(mask) or not self.holds(item.sample.image_path):
            raise Uneditable("The image or its mask is a link, or lies outside of the folder given with --data.")
        path = mask.resolve()
        may_be_new = item.mask is not None or opened.layers is not None
        return Target(path, path.relative_to(self.root), item.name, item.sample.image_path if may_be_new else None)

    def keeper(self, target: Target, layer: Layer | None = None) -> Keeper:
        """What reads and saves a mask."""
        opened = self.opened()
        if opened.layers is None or layer is None:
            return opened.keeper
        return opened.layers.keeper(layer, target.path)

    def mask(self, item: Item, layer: Layer | None = None) -> Mask:
        """The mask of an image, or of one of its layers, as it is now.

        Raises:
            Uneditable: It cannot be edited or read.
        """
        target = self.target(item, layer)
        return self.keeper(target, layer).mask(target)

    def is_unlabelled(self, item: Item) -> bool:
        """Whether an image has no mask now."""
        if item.mask is None:
            return False
        layers = layers_of(self.opened().dataset)
        return not any(self._exists(item, layer) for layer in layers) if layers else not item.mask.exists()

    def _exists(self, item: Item, layer: Layer) -> bool:
        try:
            return self.target(item, layer).path.exists()
        except Uneditable:
            return False

    def _open(self) -> _Opened:
        dataset, unlabelled = open_with_unlabelled(self.root)
        items: dict[str, Item] = {}
        seen: set[Path] = set()
        for split, samples in dataset.splits.items():
            for sample in samples:
                if sample.image_path not in seen:
                    seen.add(sample.image_path)
                    id = self.item_id(split, sample.id)
                    items[id] = Item(id, split, sample)
        for one in unlabelled:
            id = self.item_id(one.split, one.id)
            if id in items:  # folders that its name leaves out tell it from another image
                id = self.item_id(one.split, f"{one.id}\0{printable(one.image_path.relative_to(self.root))}")
            items[id] = Item(id, one.split, Sample(one.id, one.image_path, None), one.mask_path)
        without = {item.sample.image_path: id for id, item in items.items() if item.mask}
        layers = Layers(self.root, dataset) if dataset.multilabel else None
        return _Opened(dataset, items, Keeper(self.root, dataset), without, layers)


class _Opened(NamedTuple):
    """A data set, its images by id in file order, what saves its masks, and the ids of images that had no mask.

    `layers` saves the masks of multi-label data.
    """

    dataset: Dataset
    items: dict[str, Item]
    keeper: Keeper
    unlabelled: dict[Path, str]
    layers: Layers | None = None


class Collection:
    """The data folders that were given with `--data`.

    Args:
        paths: The folders. What is no folder of this computer is left out: addresses, and data that is generated.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        local = [path for path in paths if address_of(path) is None and path.is_dir()]
        self.folders = tuple({folder.id: folder for folder in map(Folder, local)}.values())

    def folder(self, id: str) -> Folder | None:
        """The folder of an id; None if there is none."""
        return next((one for one in self.folders if one.id == id), None)

    def at(self, path: Path) -> Folder | None:
        """The folder of a path; None if it is not one of these."""
        root = None if address_of(path) else path.resolve()
        return next((one for one in self.folders if one.root == root), None)

    def address(self, path: Path, split: str, sample: Sample) -> str | None:
        """The address of the editor of an image of a data set; None if its path is not one of these folders."""
        folder = self.at(path)
        if folder is None:
            return None
        # An image that got its mask here keeps the id that it had without one.
        return f"/fix/{folder.unlabelled_id(sample.image_path) or folder.item_id(split, sample.id)}"

    def find(self, id: str) -> tuple[Folder, Item] | None:
        """The image of an id, with its folder; None if there is none. Folders that cannot be opened are left out."""
        for folder in self.folders:
            try:
                item = folder.opened().items.get(id)
            except PixelwiseError:
                continue
            if item is not None:
                return folder, item
        return None
