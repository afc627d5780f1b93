import msgspec
import pytest

from pixelwise.recipes.catalog import recipe
from pixelwise.recipes.families.real_time.enet import ENetSpec
from pixelwise.recipes.schema.recipe import Original
from pixelwise.zoo import counting as zoo_counting
from pixelwise.zoo.counting import Count, count_recipe, counted_at, disagreements
from pixelwise.zoo.counting import same_digits as same

ORIGINAL = Original(outputs=12, parameters="357052", gmacs=1.315, size=(360, 480))
COUNT = Count(parameters=357052, gmacs=1.3147, outputs=12, size=(360, 480))


@pytest.mark.parametrize(
    ("text", "count", "agrees"),
    [
        ("2428976", 2428976, True),
        ("2428976", 2428977, False),
        ("40.067M", 40_067_499, True),
        ("40.067M", 40_066_500, True),
        ("40.067M", 40_068_000, False),
        ("51.34M", 51_344_999, True),
        ("350k", 350_400, True),
        ("350k", 351_000, False),
        ("1.2G", 1_240_000_000, True),
    ],
)
def test_parameters_agree_in_every_digit_that_is_known(text, count, agrees):
    assert same(text, count) == agrees


def test_the_original_network_disagrees_in_nothing():
    assert disagreements(ORIGINAL, COUNT) == []


def test_other_parameters_and_gmacs_are_both_named():
    other = msgspec.structs.replace(COUNT, parameters=357053, gmacs=1.4)
    parameters, gmacs = disagreements(ORIGINAL, other)
    assert ("357052" in parameters, "357053" in parameters) == (True, True)
    assert ("1.315" in gmacs, "1.4" in gmacs) == (True, True)


def test_gmacs_may_differ_by_the_originals_tolerance():
    near = msgspec.structs.replace(COUNT, gmacs=1.315 * 1.0009)
    far = msgspec.structs.replace(COUNT, gmacs=1.315 * 1.0011)
    assert disagreements(ORIGINAL, near) == []
    assert len(disagreements(ORIGINAL, far)) == 1
    assert disagreements(msgspec.structs.replace(ORIGINAL, tolerance=0.01), far) == []


def test_unknown_gmacs_leave_the_parameters_to_decide():
    unknown = msgspec.structs.replace(ORIGINAL, gmacs=None)
    assert disagreements(unknown, COUNT) == []
    assert disagreements(unknown, msgspec.structs.replace(COUNT, parameters=1)) != []


def test_an_unknown_original_or_a_network_that_cannot_be_built_is_not_verified():
    assert len(disagreements(None, COUNT)) == 1
    assert disagreements(ORIGINAL, Count(problem="No.")) == ["No."]


def test_the_published_enet_is_counted_as_the_original_counts_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    zoo_counting._count.cache_clear()
    entry = recipe("enet-camvid")
    counted = count_recipe(entry)
    assert (counted.parameters, counted.outputs, counted.size) == (357052, 12, (360, 480))
    assert disagreements(entry.published.original, counted) == []


def test_a_count_is_kept_and_read_again_by_the_same_code_only(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def count_now(spec, outputs, size):
        calls.append(outputs)
        return COUNT

    monkeypatch.setattr(zoo_counting, "_count_now", count_now)
    for _ in range(2):
        zoo_counting._count.cache_clear()
        assert zoo_counting._count(ENetSpec(), 12, (360, 480)) == COUNT
    assert calls == [12]
    next((tmp_path / "pixelwise" / "complexity").iterdir()).write_text("damaged")
    zoo_counting._count.cache_clear()
    zoo_counting._count(ENetSpec(), 12, (360, 480))
    assert calls == [12, 12]
    monkeypatch.setattr(zoo_counting, "_code", lambda: b"other code")
    zoo_counting._count.cache_clear()
    zoo_counting._count(ENetSpec(), 12, (360, 480))
    assert calls == [12, 12, 12]
    assert len(list((tmp_path / "pixelwise" / "complexity").iterdir())) == 1  # that of this code
    zoo_counting._count.cache_clear()


def test_own_recipes_are_counted_with_their_own_classes_and_size():
    assert counted_at(recipe("camvid-cpu-15min")) == (11, (192, 256))
    assert counted_at(recipe("town-demo")) == (11, (144, 192))
    undecided = count_recipe(recipe("unet-resnet18"))
    assert (undecided.parameters, undecided.gmacs) == (None, None)
    assert "number of classes" in undecided.problem
