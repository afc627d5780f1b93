import itertools
import random

import pytest

from pixelwise.evaluation.comparison.letters import letters_of


def pairs(*names: str) -> set[frozenset[str]]:
    return {frozenset(name) for name in names}


def test_letters_by_hand():
    assert letters_of("abc", ()) == {"a": "a", "b": "a", "c": "a"}
    assert letters_of("abc", pairs("ab", "ac", "bc")) == {"a": "a", "b": "b", "c": "c"}
    # The best and the worst are told apart, and the middle one from neither.
    assert letters_of("abc", pairs("ac")) == {"a": "a", "b": "ab", "c": "b"}
    assert letters_of("a", ()) == {"a": "a"}


@pytest.mark.parametrize("seed", range(20))
def test_two_share_a_letter_if_and_only_if_they_are_not_separated(seed: int):
    chance = random.Random(seed)
    names = [f"n{i}" for i in range(7)]
    apart = {frozenset(pair) for pair in itertools.combinations(names, 2) if chance.random() < 0.4}
    letters = letters_of(names, apart)
    for first, second in itertools.combinations(names, 2):
        shared = set(letters[first]) & set(letters[second])
        assert bool(shared) == (frozenset((first, second)) not in apart)
    assert "a" in letters["n0"]
