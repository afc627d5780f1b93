from pathlib import Path

import pytest
from PIL import Image

from pixelwise.errors import RecipeError
from pixelwise.profiling.complexity import Complexity
from pixelwise.profiling.forward import ForwardProfile
from pixelwise.profiling.training import Part, TrainingProfile
from pixelwise.reports.profiles import draw_training, drawn_parts, forward_lines, prepare_picture, training_lines

PROFILE = TrainingProfile(
    recipe="mine",
    device="cpu",
    threads=2,
    precision="float32, channels last",
    images_per_step=4,
    height=360,
    width=480,
    steps=5,
    cached=True,
    decode_once_ms=4.5,
    images_per_second=2.0,
    parts=(
        Part("augment", 200.0, 0.1),
        Part("forward", 600.0, 0.3),
        Part("backward", 1194.0, 0.597),
        Part("optimizer", 4.0, 0.002),
        Part("other", 2.0, 0.001),
    ),
    bottleneck="the network takes 90 % of each step: a smaller one is faster",
)


def test_a_training_profile_in_lines():
    lines = training_lines(PROFILE)
    assert lines[0] == ("mine: 4 images of 480x360 per step, float32, channels last, cpu, 2 threads; median of 5 steps")
    assert lines[3].split() == ["backward", "1194.0", "ms", "59.7", "%", "█" * 24]
    assert lines[-2].endswith(": 4.5 ms")
    assert lines[-1] == PROFILE.bottleneck


def test_small_parts_are_drawn_as_one():
    drawn = drawn_parts(PROFILE.parts)
    assert [part.name for part in drawn] == ["augment", "forward", "backward", "rest"]
    assert drawn[-1].milliseconds == 6.0


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_training_profile_is_drawn(ending: str, tmp_path: Path):
    path = tmp_path / f"profile.{ending}"
    draw_training(PROFILE, path)
    if ending == "png":
        with Image.open(path) as image:
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 3
    else:
        assert "<svg" in path.read_text()


def test_a_chart_of_an_unknown_format_is_refused():
    with pytest.raises(RecipeError, match=r"profile\.txt.*'\.txt'") as caught:
        prepare_picture(Path("profile.txt"))
    assert caught.value.code == "R217"


def test_a_forward_profile_in_lines():
    counted = Complexity(
        parameters=1_500_000, auxiliary_parameters=0, macs=2_500_000_000, height=360, width=480, uncounted=()
    )
    profile = ForwardProfile(
        classes=11,
        complexity=counted, runtime="pytorch", device="cpu", threads=1, runs=20, median_ms=12.34, p90_ms=15.0,
        peak_memory_bytes=1 << 30,
    )  # fmt: skip
    text = "\n".join(forward_lines("mine", profile))
    assert "mine, 11 classes, at 480x360, pytorch, cpu, 1 thread" in text
    assert "1.500 M" in text
    assert "2.500" in text
    assert "12.3 ms (median of 20)" in text
    assert "15.0 ms" in text
