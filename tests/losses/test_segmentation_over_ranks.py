"""Every loss over processes with parts of a batch is the loss, with its gradient, of one process with the batch."""

from __future__ import annotations

import functools
from typing import NamedTuple

import msgspec
import pytest
import torch
from torch import Tensor

from pixelwise.losses.distillation import distillation_loss, taught_probabilities
from pixelwise.losses.pixels import labelled_classes
from pixelwise.losses.segmentation import Truth, needs_classes, segmentation_loss
from pixelwise.ranks import ALONE, Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.class_sets.tables import IGNORE, IGNORE_BIT
from pixelwise.recipes.parsing import from_plain
from pixelwise.recipes.schema.distillation import Distillation
from pixelwise.recipes.schema.loss import Loss
from pixelwise.recipes.schema.recipe import to_plain
from pixelwise.recipes.schema.terms import TERMS
from tests.ranks.processes import in_ranks

CLASSES = 4
SIZE = (6, 7)
SHARES = {2: (4, 2), 3: (3, 1, 2)}
"""World -> number of images of each process."""
LOSSES: dict[str, dict] = {
    "cross entropy": {},
    "over all pixels": {"normalize": "all"},
    "with smoothing": {"label_smoothing": 0.1},
    "hard pixels, a number": {"ohem": {"threshold": 0.2, "min_kept": 57}},
    "hard pixels, a share, of both heads": {"ohem": {"threshold": 0.1, "min_kept": 0.3, "auxiliary": True}},
    "all pixels are hard": {"ohem": {"threshold": 0.1, "min_kept": 100_000}},
    "focal": {"cross_entropy": 0.0, "focal": 1.0},
    "boundary": {"boundary": 1.0, "boundary_width": 1},
    "boundary head": {"terms": {"boundary_head": {"weight": 20.0, "width": 1}, "boundary_aware": {"threshold": 0.6}}},
    "dice": {"cross_entropy": 0.0, "dice": 1.0},
    "tversky": {"tversky": 0.7},
    "lovasz of the batch": {"cross_entropy": 0.0, "lovasz": 1.0},
    "lovasz of images": {"lovasz": 1.0, "lovasz_per_image": True},
    "lovasz at the size of the logits": {"compare_at": "logits", "lovasz": 1.0},
}
MULTILABEL = {
    "binary cross entropy": {},
    "over all pixels": {"normalize": "all"},
    "with smoothing": {"label_smoothing": 0.1},
    "focal": {"cross_entropy": 0.0, "focal": 1.0},
    "dice": {"dice": 1.0},
    "tversky": {"tversky": 0.7},
}


def loss_of(changes: dict) -> Loss:
    plain = to_plain(recipe("unet-resnet18"))
    plain["loss"] = {"auxiliary": 0.4, **changes}
    if "terms" in changes:
        plain["model"] = to_plain(recipe("pidnet-s-cityscapes"))["model"]
    return from_plain(plain, "test").loss


def scene(multilabel: bool, hidden: tuple[float, ...]) -> tuple[list[Tensor], Tensor]:
    """Logits of a main and an auxiliary head, smaller than the labels, of which a share of each image is ignored."""
    random = torch.Generator().manual_seed(3)
    heads = [torch.randn(6, CLASSES, *size, generator=random, dtype=torch.float64) for size in (SIZE, (3, 4))]
    if multilabel:
        labels, void = torch.randint(0, 2**CLASSES, (6, *SIZE), generator=random, dtype=torch.int32), IGNORE_BIT
    else:
        # Not every image has every class, and one has a class that no other has.
        labels, void = torch.randint(0, CLASSES - 1, (6, *SIZE), generator=random).to(torch.uint8), IGNORE
        labels[5, :3] = CLASSES - 1
        labels[4, :, 3:] = 0  # away from any boundary
    for image, share in enumerate(hidden):
        labels[image][torch.rand(SIZE, generator=random) < share] = void
    return heads, labels


def outputs_of(heads: list[Tensor], loss: Loss) -> tuple[list[Tensor], bool]:
    """The heads, and whether the last one is a boundary head: the second one's first class stands for it."""
    boundary_head = any(term.needs_boundary_head for term in loss.active_terms())
    return [heads[0], heads[1][:, :1]] if boundary_head else heads, boundary_head


def computed(
    heads: list[Tensor], labels: Tensor, loss: Loss, weights: Tensor | None, multilabel: bool, ranks: Ranks
) -> tuple[Tensor, list[Tensor]]:
    own = [one.clone().requires_grad_() for one in heads]
    classes = labelled_classes(labels) if needs_classes(loss) and not multilabel else None
    outputs, boundary_head = outputs_of(own, loss)
    value = segmentation_loss(
        outputs, Truth(labels, classes, multilabel), loss, weights, boundary_head=boundary_head, ranks=ranks
    )
    value.backward()
    return value.detach(), [one.grad for one in own]  # type: ignore[misc]


class Case(NamedTuple):
    """A loss of a scene.

    Attributes:
        changes: Options of the loss.
        weighted: Whether the classes have weights.
        multilabel: Whether a pixel may have several classes.
        hidden: Share of each image that is ignored.
    """

    changes: dict
    weighted: bool = False
    multilabel: bool = False
    hidden: tuple[float, ...] = (0.05, 0.3, 0.5, 0.8, 0.0, 0.6)

    def computed(self, images: slice = slice(None), ranks: Ranks = ALONE) -> tuple[Tensor, list[Tensor]]:
        """The value, and the gradients of the heads, of the loss of some images."""
        heads, labels = scene(self.multilabel, self.hidden)
        weights = torch.tensor([0.3, 1.0, 7.0, 2.5], dtype=torch.float64) if self.weighted else None
        loss = loss_of(self.changes)
        return computed([one[images] for one in heads], labels[images], loss, weights, self.multilabel, ranks)


class Taught(NamedTuple):
    """What teachers say of a scene, whose classes in reverse play the teacher.

    Attributes:
        match: `distillation.match`.
        multilabel: Whether a pixel may have several classes.
    """

    match: str
    multilabel: bool = False

    def computed(self, images: slice = slice(None), ranks: Ranks = ALONE) -> tuple[Tensor, list[Tensor]]:
        """The value, and the gradient of the main head, of the loss of some images."""
        heads, _ = scene(self.multilabel, (0.0,) * 6)
        chosen = msgspec.convert({"teacher": "runs/t", "match": self.match}, Distillation)
        theirs = heads[0].flip(1)
        own = heads[0][images].clone().requires_grad_()
        taught = taught_probabilities(theirs[images], chosen, multilabel=self.multilabel)
        value = distillation_loss(own, taught, chosen, multilabel=self.multilabel, ranks=ranks)
        value.backward()
        return value.detach(), [own.grad]  # type: ignore[list-item]


UNLABELLED = (
    "cross entropy",
    "dice",
    "lovasz of the batch",
    "lovasz of images",
    "hard pixels, a share, of both heads",
)
CASES: dict[str, Case | Taught] = {
    **{f"taught by {match}": Taught(match) for match in ("logits", "channels", "dist")},
    "taught by logits of several classes": Taught("logits", multilabel=True),
    **{name: Case(changes) for name, changes in LOSSES.items()},
    **{f"{name}, with class weights": Case(changes, weighted=True) for name, changes in LOSSES.items()},
    **{f"{name}, of several classes": Case(one, weighted=True, multilabel=True) for name, one in MULTILABEL.items()},
    # The first process of two has no labels.
    **{f"{name}, not everywhere": Case(LOSSES[name], hidden=(1.0, 1.0, 1.0, 1.0, 0.2, 0.1)) for name in UNLABELLED},
}
TRIED = {2: list(CASES), 3: list(LOSSES)}
"""World -> names of its cases."""


@functools.cache
def over_processes(world: int) -> list[dict[str, tuple[Tensor, list[Tensor]]]]:
    """What each process computes in each case; to start the processes takes longer than all of them."""
    borders = [sum(SHARES[world][:rank]) for rank in range(world + 1)]

    def work(ranks: Ranks) -> dict[str, tuple[Tensor, list[Tensor]]]:
        found = {}
        for name in TRIED[ranks.world]:
            try:
                found[name] = CASES[name].computed(slice(borders[ranks.rank], borders[ranks.rank + 1]), ranks)
            except Exception as error:
                raise AssertionError(name) from error
        return found

    return in_ranks(world, work)


@pytest.mark.parametrize(("world", "name"), [(world, name) for world, names in TRIED.items() for name in names])
def test_a_loss_over_processes_is_the_loss_of_the_batch(world: int, name: str):
    value, gradients = CASES[name].computed()
    found = [of_process[name] for of_process in over_processes(world)]
    for theirs, _ in found:
        assert float(theirs) == pytest.approx(float(value), rel=1e-12, abs=1e-15)
    for head, expected in enumerate(gradients):
        together = torch.cat([of_heads[head] for _, of_heads in found])
        assert torch.allclose(together, expected, rtol=1e-12, atol=1e-15)


def test_every_built_in_term_is_added_up_over_processes():
    assert [
        name for name, term in TERMS.items() if not term.over_ranks and term.__module__.startswith("pixelwise.")
    ] == []
    tried = {
        name for changes in (*LOSSES.values(), *MULTILABEL.values()) for name in (*changes, *changes.get("terms", ()))
    }
    assert set(TERMS.own()) <= tried | {"cross_entropy"}


def test_the_bits_of_one_process_are_unchanged():
    heads, labels = scene(False, (0.1,) * 6)
    for changes in LOSSES.values():
        loss = loss_of(changes)
        value, _ = computed(heads, labels, loss, None, False, ALONE)
        outputs, boundary_head = outputs_of(heads, loss)
        truth = Truth(labels, labelled_classes(labels))
        assert msgspec.to_builtins(float(value)) == float(
            segmentation_loss(outputs, truth, loss, boundary_head=boundary_head).detach()
        )
