import re
from pathlib import Path

import pytest
import torch

from pixelwise.profiling.training import PARTS, WARMUP, Part, bottleneck, profile_training, shares
from pixelwise.recipes.files import find as find_recipe
from pixelwise.recipes.overrides import apply_overrides
from pixelwise.training import step

CPU = torch.device("cpu")
TOWN = find_recipe("town-demo")


def parts(**shares: float) -> list[Part]:
    return [Part(name.replace("_", " "), 1000 * share, share) for name, share in shares.items()]


def test_shares_by_hand():
    timed = [{"forward": 0.001, "backward": 0.002}, {"forward": 0.003, "backward": 0.006}, {"forward": 0.002}]
    # Medians: forward 2 ms, backward (0, 2, 6) 2 ms; what never ran is not there.
    assert shares(timed) == (Part("forward", 2.0, 0.5), Part("backward", 2.0, 0.5))


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ({"decode": 0.62, "forward": 0.38}, r"decoding .*62 %.*: data\.cache=memory.* data\.workers=2"),
        ({"read": 0.7, "forward": 0.3}, r"reading .*70 %.*: data\.cache=memory.* data\.workers=2"),
        ({"augment": 0.5, "collate": 0.1, "forward": 0.4}, r"augmentation .*60 %.*: data\.workers=2"),
        ({"forward": 0.3, "backward": 0.3, "loss": 0.4}, r"forward and backward\) .*60 %.*: .*precision\.dtype=auto"),
        ({"loss": 0.6, "forward": 0.4}, r"loss .*60 %.*: .*augment\.crop.* \[loss\]"),
        ({"optimizer": 0.3, "average": 0.3, "forward": 0.4}, r"60 %.*: .*sampling\.batch_size"),
        ({"transfer": 0.9, "forward": 0.1}, r"transfer and normalisation .*90 %.*: .*augment\.crop"),
        ({"other": 0.9, "forward": 0.1}, r"90 %.*: .*sampling\.batch_size"),
    ],
)
def test_the_bottleneck_is_named_with_what_to_do(given: dict[str, float], pattern: str):
    assert re.search(pattern, bottleneck(parts(**given), TOWN, CPU, cached=False))


@pytest.mark.heavy
@pytest.mark.parametrize(("cache", "cached"), [("memory", True), ("off", False)])
def test_the_parts_of_real_steps_are_timed(
    cache: str, cached: bool, tiny_recipe: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    original = step.add_gradients

    def watch(recipe, model, head_logits, micro_batches, *arguments, **named):
        seen.extend(micro_batches)
        return original(recipe, model, head_logits, micro_batches, *arguments, **named)

    monkeypatch.setattr(step, "add_gradients", watch)
    recipe = apply_overrides(find_recipe(str(tiny_recipe)), [f"data.cache={cache}", "sampling.accumulate=2"])
    profile = profile_training(recipe, tiny_data, CPU, steps=2)
    assert len(seen) == 2 * (WARMUP + 2)
    assert seen[0].images.shape == (2, 32, 48, 3)
    assert (profile.height, profile.width, profile.images_per_step) == (32, 48, 4)
    names = [part.name for part in profile.parts]
    assert {"augment", "collate", "transfer", "forward", "loss", "backward", "optimizer", "average"} <= set(names)
    assert names == [name for name in PARTS if name in names]
    assert ("decode" in names) is not cached
    assert (profile.decode_once_ms > 0) is cached
    assert sum(part.share for part in profile.parts) == pytest.approx(1)
    assert profile.images_per_second == pytest.approx(4000 / sum(part.milliseconds for part in profile.parts))


@pytest.mark.heavy
def test_formats_are_timed_first_where_the_recipe_leaves_them_open(tiny_recipe: Path, tiny_data: Path):
    recipe = apply_overrides(find_recipe(str(tiny_recipe)), ["precision.dtype=auto"])
    assert profile_training(recipe, tiny_data, CPU, steps=1).precision.startswith("float32")
