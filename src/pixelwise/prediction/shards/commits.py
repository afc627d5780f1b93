"""What is done of a prediction into tars: receipts in its output, each written once by whoever was first.

Workers know nothing of each other, and some die. A unit may therefore be predicted more than once, but only the tar
that its receipt names counts, and of several workers exactly one writes the receipt.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixelwise.errors import RecipeError
from pixelwise.prediction.receipts.created import ATTEMPTS, CreatedReceipts
from pixelwise.prediction.receipts.ledger import Facts
from pixelwise.records.problems import Problem
from pixelwise.storage import printable

CLAIM, CLASSES = "job.json", "classes.json"
"""Files of the output that say what predicts, and what the values of its masks mean."""


class WrittenFile(msgspec.Struct, frozen=True, array_like=True):
    """A file in a tar.

    Attributes:
        name: Its name there.
        offset: Position of its first byte.
        size: Number of bytes.
        sha256: Their SHA-256, in hexadecimal digits.
    """

    name: str
    offset: int
    size: int
    sha256: str


class Predicted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an image.

    Attributes:
        name: What it is called among the inputs.
        key: What the names of its files begin with.
        files: What was written for it: `mask`, `overlay`, or several for a multi-label network.
        pixels: Number of pixels of each class, and of ignored ones; empty if it failed or was predicted in parts.
        facts: What the summary of a prediction says of it.
        problem: Its error; None if it was predicted.
    """

    name: str
    key: str
    files: dict[str, WrittenFile] = {}
    pixels: tuple[int, ...] = ()
    facts: Facts = Facts()
    problem: Problem | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is done of a unit: all of it.

    Attributes:
        unit: Name of the unit.
        tar: Name of the tar with its files; empty if all images failed.
        size: Bytes of the tar.
        images: Its images, in order.
    """

    unit: str
    tar: str
    size: int
    images: tuple[Predicted, ...]


class Commits(CreatedReceipts[Receipt]):
    """The receipts of one prediction in an output, and the tars that they name.

    Args:
        output: Folder or address of the output.
        job: Name of the job.
    """

    def __init__(self, output: Path, job: str) -> None:
        super().__init__(output, job, Receipt)

    def claim(self, classes: bytes) -> None:
        """Make the output that of this job.

        Args:
            classes: Content of `classes.json`.

        Raises:
            RecipeError: R221, it holds other predictions.
            ResourceError: S601, the disk is full; S611, the output cannot be written.
        """
        with self.answering():
            for name, content in ((CLAIM, msgspec.json.encode({"job": self.job})), (CLASSES, classes)):
                if not self.store.create(name, content) and self.content(name) != content:
                    raise RecipeError(
                        "R221",
                        f"{printable(self.output)} holds predictions of other weights or with other options",
                        "choose another `output`, or remove this one",
                    )

    def commit(self, receipt: Receipt, tar: Path | None, attempts: int = 0) -> Receipt:
        """Put the tar of a unit into the output, and its receipt, unless another worker was first.

        Args:
            receipt: The receipt. The name of its tar says what is in it, so that no other tar is overwritten.
            tar: The tar, on this machine; None if all images failed.
            attempts: How often the unit was begun; the notes of this are removed.

        Returns:
            The receipt that counts.

        Raises:
            ResourceError: S601, the disk is full; S611, the output cannot be written.
        """
        with self.answering():
            if tar is not None:
                self.store.put(receipt.tar, tar)
        if self.create(receipt.unit, receipt):
            self.forget_attempts(receipt.unit, attempts)
            return receipt
        first = self.receipt(receipt.unit)
        if first is None:  # it was damaged
            return self.commit(receipt, tar, attempts)
        if first.tar != receipt.tar and tar is not None:
            # Other hardware can round single pixels to another class.
            with self.answering():
                self.store.remove(receipt.tar)
        return first

    def tidy(self, tars: dict[str, str]) -> None:
        """Remove what nothing refers to once everything is done: tars of workers that died, and notes of attempts.

        Args:
            tars: Name of each unit that is done -> the tar that its receipt names.

        Raises:
            ResourceError: S611, the output cannot be written.
        """
        with self.answering():
            for name in self.store.names(""):
                unit = name.removesuffix(".tar").rpartition("-")[0]
                unused = name.endswith(".tar") and tars.get(unit, name) != name
                if unused or name.startswith(f"{ATTEMPTS}/{self.job}/"):
                    self.store.remove(name)

    def retire(self, receipt: Receipt) -> None:
        """Remove a receipt and its tar.

        Raises:
            ResourceError: S611, the output cannot be written.
        """
        with self.answering():
            self.store.remove(self._name(receipt.unit))
            if receipt.tar:
                self.store.remove(receipt.tar)
