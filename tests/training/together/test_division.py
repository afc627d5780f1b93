"""Which images each process gets: by hand, and as a property of every division."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelwise.errors import RecipeError
from pixelwise.ranks import Ranks
from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.lengths import steps_per_epoch
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.recipes.schema.recipe import Sampling
from pixelwise.training.order import BatchPlan
from pixelwise.training.together.division import ALL, Division
from pixelwise.training.together.keys import Key, Keys


class Place(Ranks):
    """One of several processes, for what needs no others."""

    def __init__(self, rank: int, world: int) -> None:
        self._rank, self._world = rank, world

    world = property(lambda self: self._world)  # type: ignore[assignment]
    rank = property(lambda self: self._rank)  # type: ignore[assignment]


def division(rank: int, world: int, batch: int, accumulate: int = 1) -> Division:
    words = [f"sampling.batch_size={batch}", f"sampling.accumulate={accumulate}", "sampling.drop_last=false"]
    return Division.of(apply_overrides(recipe("unet-resnet18"), words), Place(rank, world))


def test_whole_batches_go_to_the_processes_in_blocks():
    sampling = Sampling(batch_size=2, accumulate=4)
    everything = [list(keys) for keys in BatchPlan(8, sampling, 0, 2)]
    for rank in (0, 1):
        part = division(rank, 2, 2, 4)
        assert (part.kind, part.batches(4)) == ("whole", 2)
        own = [list(keys) for keys in BatchPlan(8, sampling, 0, 2, part)]
        assert own == everything[2 * rank : 2 * rank + 2] + everything[4 + 2 * rank : 6 + 2 * rank]


def test_a_batch_is_split_by_hand():
    keys: list[Key] = [(0, index) for index in range(7)]
    parts = [division(rank, 3, 7).part(keys) for rank in range(3)]
    assert [list(part) for part in parts] == [keys[:2], keys[2:4], keys[4:]]
    assert [part.following for part in parts] == [(0, 2), (0, 4), (0, 0)]
    assert [(part.repeated, part.total) for part in parts] == [(False, 7)] * 3


def test_a_batch_with_fewer_images_than_processes_is_everybodys():
    keys: list[Key] = [(0, 5), (0, 3)]
    for rank in range(3):
        part = division(rank, 3, 7).part(keys)
        assert (list(part), part.following, part.repeated, part.total) == (keys, None, True, None)


def test_keys_keep_what_they_know_on_their_way_to_a_loader():
    sent = pickle.loads(pickle.dumps(Keys([(1, 2)], following=(1, 3), repeated=True, total=4)))
    assert (list(sent), sent.following, sent.repeated, sent.total) == ([(1, 2)], (1, 3), True, 4)


@given(
    world=st.integers(1, 6),
    images=st.integers(1, 40),
    batch=st.integers(1, 9),
    accumulate=st.integers(1, 6),
    drop_last=st.booleans(),
    start=st.integers(0, 3),
)
def test_together_the_processes_get_every_image_once(
    world: int, images: int, batch: int, accumulate: int, drop_last: bool, start: int
):
    sampling = Sampling(batch_size=batch, accumulate=accumulate, drop_last=drop_last, seed=world)
    try:
        per_epoch = steps_per_epoch(images, sampling)
        divisions = [division(rank, world, batch, accumulate) for rank in range(world)]
    except RecipeError:
        return
    steps = start + 2 * per_epoch
    whole = [list(keys) for keys in BatchPlan(images, sampling, start, steps)]
    plans = [list(BatchPlan(images, sampling, start, steps, one)) for one in divisions]
    assert all(len(plan) == len(plans[0]) for plan in plans)
    if divisions[0].kind == "whole":
        share = accumulate // world
        found = [
            list(keys)
            for step in range(steps - start)
            for plan in plans
            for keys in plan[step * share : (step + 1) * share]
        ]
        assert found == whole
        return
    for place, expected in enumerate(whole):
        parts = [plan[place] for plan in plans]
        if parts[0].repeated:
            assert len(expected) < world
            assert all(list(part) == expected for part in parts)
        else:
            assert [key for part in parts for key in part] == expected
            for rank, part in enumerate(parts if world > 1 else []):
                assert part.following == parts[(rank + 1) % world][0]


@pytest.mark.heavy
@given(batch=st.integers(1, 4), accumulate=st.integers(1, 4), world=st.integers(1, 4), delivered=st.integers(0, 20))
def test_a_plan_goes_on_where_it_stopped(batch: int, accumulate: int, world: int, delivered: int):
    if batch * accumulate < world:
        return
    for rank in range(world):
        part = division(rank, world, batch, accumulate)
        sampling = Sampling(batch_size=batch, accumulate=accumulate)
        everything = list(BatchPlan(16, sampling, 0, 3, part))
        plan = BatchPlan(16, sampling, 0, 3, part)
        for _ in range(min(delivered, len(everything))):
            plan.advance()
        assert list(plan) == everything[delivered:]
        assert bool(plan.remaining) == bool(everything[delivered:])


def test_one_process_takes_everything():
    assert division(0, 1, 3) is ALL
    assert (ALL.kind, ALL.batches(5)) == ("alone", 5)


REFUSED = {
    "fewer images than processes": (["sampling.batch_size=2"], 3, "2 images .* for 3 processes"),
    "a compiled network": (["precision.compile=true"], 2, "precision.compile"),
    "int8 in parts": (["quantization=x86-8bit"], 2, "quantization=x86-8bit"),
    "int8 in whole batches": (["quantization=x86-8bit", "sampling.accumulate=2"], 2, "quantization=x86-8bit"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_several_processes_cannot_do_is_refused(name: str):
    words, world, message = REFUSED[name]
    with pytest.raises(RecipeError, match=message) as caught:
        Division.of(apply_overrides(recipe("unet-resnet18"), words), Place(0, world))
    assert caught.value.code == "R229"


def test_a_loss_of_others_is_not_split_but_trained_on_whole_batches(monkeypatch: pytest.MonkeyPatch):
    from pixelwise.recipes.loss_terms.dice import Dice

    monkeypatch.setattr(Dice, "over_ranks", False)
    words = ["loss.dice=1", "sampling.batch_size=4"]
    with pytest.raises(RecipeError, match=r"loss\.dice cannot be added up") as caught:
        Division.of(apply_overrides(recipe("unet-resnet18"), words), Place(0, 2))
    advised = caught.value.help.rpartition("for example ")[2].split()
    changed = apply_overrides(recipe("unet-resnet18"), [*words, *advised])
    assert changed.sampling.batch_size * changed.sampling.accumulate == 4
    assert Division.of(changed, Place(0, 2)).kind == "whole"
