"""Training images without a mask: what their teachers say of them is all that is learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from pixelwise.datasets.auditing.audit import Audit, SplitStatistics
from pixelwise.datasets.classes.tables import described_classes
from pixelwise.datasets.findings import Finding
from pixelwise.datasets.fingerprint import fingerprint
from pixelwise.datasets.opening import open_dataset
from pixelwise.datasets.run_data import divided_for
from pixelwise.datasets.samples import WITHOUT_MASKS, Dataset, Sample
from pixelwise.datasets.unlabelled import Unlabelled, open_with_unlabelled, unlabelled_of
from pixelwise.errors import DataError
from pixelwise.observer import Observer
from pixelwise.recipes.schema.data import Data
from pixelwise.recipes.schema.recipe import Recipe
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.run_folder import is_run, read_recipe
from pixelwise.storage import printable
from pixelwise.storage.names import counted
from pixelwise.storage.stores.addresses import address_of
from pixelwise.training.distillation.kinds import teacher_path

_UNPAIRED, _NO_DATA = "D220", "D222"
NO_CLASSES = ("unlabelled",)
"""Classes of a network that learns nothing but features, of images that nobody has named any for."""


def open_to_learn(recipe: Recipe, root: Path | None, run: Path | None = None) -> Dataset:
    """The data set, with one more split, `WITHOUT_MASKS`, if there are images that only its teachers know.

    Args:
        recipe: Its `data` is read as by `open_dataset`; its `distillation` says whether such images are wanted.
        root: Folder of the data set; None for a format that can generate data. No image has to have a mask if the
            recipe, the folder or a teacher names the classes.
        run: Folder of the run, which may divide the data in its own way; the images that it holds out are left out.

    Raises:
        CheckpointError: K420, a teacher is not a run; as `divided_for`.
        DataError: As `open_dataset`.
        RecipeError: As `open_dataset`.
    """
    local = root is not None and address_of(root) is None and recipe.data.dataset in ("auto", "folder")
    if root is None or not local or not recipe.distillation.takes_unlabelled:
        return divided_for(open_dataset(recipe.data, root), run, training=True)
    try:
        whole = open_dataset(recipe.data, root)
    except DataError as error:
        if error.code != _NO_DATA:
            raise
        whole = open_with_unlabelled(root, _with_classes(recipe, root))[0]
    dataset, split = divided_for(whole, run, training=True), recipe.data.train_split
    # Of the whole data: images that the run holds out have masks, although it does not know them.
    found = [one for one in unlabelled_of(whole) if one.split in split.split("+")]
    if not found:
        return dataset
    further = tuple(Sample(one.id, one.image_path, None) for one in sorted(found, key=lambda one: one.id))
    splits = {split: (), **dataset.splits, WITHOUT_MASKS: further}
    return msgspec.structs.replace(dataset, splits=splits, problems=_without_theirs(dataset.problems, found))


def learning_without_labels(recipe: Recipe, dataset: Dataset, observer: Observer) -> Recipe:
    """The recipe with the number of images without a mask, and without what needs labels where there are none.

    Args:
        recipe: The recipe of a run that begins.
        dataset: Its data, from `open_to_learn`.
        observer: Receives what was decided.
    """
    number, section, split = len(dataset.splits.get(WITHOUT_MASKS, ())), recipe.distillation, recipe.data.train_split
    section = msgspec.structs.replace(section, unlabelled_images=number)
    if number:
        labelled = len(dataset.splits[split])
        whom = "the teacher alone teaches" if not labelled else "of these the teacher says what they show"
        observer.phase(f"{counted(number, 'image')} of {split} without a mask, {labelled} with one: {whom}")
        if not labelled:
            section = msgspec.structs.replace(section, with_labels=False)
    recipe = msgspec.structs.replace(recipe, distillation=section)
    if is_scored(dataset, recipe):
        return recipe
    why = "no image has a mask to be scored by" if recipe.learns_classes else "features alone are learned, no classes"
    result = "the weights of the last step" if recipe.learns_classes else "the encoder of the last step"
    observer.phase(f"{why}: the result, {result}, has no score")
    unscored = msgspec.structs.replace(recipe.selection, weights="last", every_epochs=0, patience=None, min_delta=0.0)
    return msgspec.structs.replace(recipe, selection=unscored)


def is_scored(dataset: Dataset, recipe: Recipe) -> bool:
    """Whether the result has a score, as it has unless no image beside the training split has labels.

    One that has learned features alone has none: its classes are those of a random head.

    Args:
        dataset: The data of a run, from `open_to_learn`.
        recipe: Its recipe.
    """
    if not recipe.learns_classes:
        return False
    if not dataset.splits.get(WITHOUT_MASKS):
        return True
    train = recipe.data.train_split
    return any(samples for name, samples in dataset.splits.items() if name not in (train, WITHOUT_MASKS))


def learned_statistics(found: Audit, split: str) -> SplitStatistics:
    """What was counted of the training split; of the images without masks if no other image is learned from.

    Args:
        found: The audit of the data of a run.
        split: Name of the training split.
    """
    counts = found.statistics[split]
    return counts if counts.images else found.statistics.get(WITHOUT_MASKS, counts)


def unlabelled_fingerprint(dataset: Dataset) -> str:
    """Fingerprint of the images without masks; empty if none is learned from."""
    return fingerprint(dataset, [WITHOUT_MASKS]) if dataset.splits.get(WITHOUT_MASKS) else ""


def open_again(recipe: Recipe, root: Path | None, facts: DataFacts, run: Path) -> Dataset:
    """The data of a run that is continued, with images without masks only if the run began with them.

    Raises:
        As `open_to_learn`.
    """
    if facts.unlabelled_fingerprint:
        return open_to_learn(recipe, root, run)
    return divided_for(open_dataset(recipe.data, root), run, training=True)


def _with_classes(recipe: Recipe, root: Path) -> Data:
    """How the images of a folder without masks are read, with the classes of a teacher if nothing else names any."""
    data = recipe.data
    if data.class_names() is not None or described_classes(root)[0] is not None:
        return data
    run = next((one for one in map(_folder, recipe.distillation.teachers) if is_run(one)), None)
    if run is None and recipe.distillation.match == "features":
        return msgspec.structs.replace(data, classes=NO_CLASSES)
    teacher = read_recipe(run or _folder(recipe.distillation.teachers[0]))
    return msgspec.structs.replace(
        data,
        classes=teacher.data.class_names(),
        palette=teacher.data.palette,
        multilabel=teacher.data.multilabel,
    )


def _folder(teacher: str) -> Path:
    return teacher_path(teacher)


def _without_theirs(problems: Sequence[Finding], found: Sequence[Unlabelled]) -> tuple[Finding, ...]:
    """The problems of a data set without those that only say that images lack a mask, all of which teachers know.

    One that tells of masks without an image, too, or of names that do not agree, stays: it may be a mistake.
    """
    names = {printable(one.image_path) for one in found}
    theirs = [one for one in problems if one.code == _UNPAIRED and one.files and names.issuperset(one.files)]
    if sum(one.total for one in theirs) > len(found):
        return tuple(problems)
    return tuple(one for one in problems if one not in theirs)
