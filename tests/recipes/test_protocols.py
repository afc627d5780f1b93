from pathlib import Path

import pytest
from distributions import install, python

from pixelwise.errors import PixelwiseWarning, RecipeError
from pixelwise.recipes.protocols import (
    FAMILIES,
    PROTOCOLS,
    Protocol,
    known_protocol,
    protocol,
    register,
    register_family,
)


def test_the_protocols_of_the_enet_page():
    assert protocol("camvid-480x360").score_size == (360, 480)
    assert protocol("enet-1024x512").input_size == protocol("enet-1024x512").score_size == (512, 1024)
    assert protocol("native").score_size == "native"


def test_names_and_keys_agree():
    assert all(name == entry.name for name, entry in PROTOCOLS.items())


def test_an_unknown_protocol_gets_near_misses():
    with pytest.raises(RecipeError, match="'camvid-480x36'; did you mean 'camvid-480x360'") as caught:
        protocol("camvid-480x36")
    assert caught.value.code == "R204"
    assert all(name in caught.value.help for name in PROTOCOLS)
    assert known_protocol("camvid-480x36") is None


def test_a_name_that_is_taken_is_refused_with_both_places():
    with pytest.raises(RecipeError, match="'native'") as caught:
        register(Protocol(name="native", summary="another"))
    assert caught.value.code == "R234"
    assert "pixelwise.recipes.protocols" in caught.value.message
    assert __name__ in caught.value.message
    assert protocol("native").summary != "another"
    with pytest.raises(RecipeError):
        register_family("slide-WIDTHxHEIGHT")(lambda name: None)


def test_a_protocol_and_a_family_are_known_once_they_are_registered(monkeypatch: pytest.MonkeyPatch):
    for registry in (PROTOCOLS, FAMILIES):
        monkeypatch.setattr(registry, "_places", dict(registry._places))
    own = register(Protocol(name="own", summary="mine"))
    register_family("half-N")(
        lambda name: Protocol(name=name, summary="", input_size=(1, 1)) if name == "half-1" else None
    )
    try:
        assert protocol("own") is own
        assert protocol("half-1").input_size == (1, 1)
        assert known_protocol("half-2") is None
        with pytest.raises(RecipeError) as caught:
            protocol("half-2")
        assert "half-N" in caught.value.help
    finally:
        del PROTOCOLS["own"], FAMILIES["half-N"]


@pytest.mark.parametrize("name", ["slide-512x512", "slide-1024x1024"])
def test_a_name_that_a_built_in_family_computes_is_taken(name: str):
    before = protocol(name)
    with pytest.raises(RecipeError) as caught:
        register(Protocol(name=name, summary="mine"))
    assert caught.value.code == "R234"
    assert protocol(name) == before


def test_a_family_that_fails_hides_no_other_names():
    def broken(name: str) -> Protocol:
        raise IndexError("no number")

    def healthy(name: str) -> Protocol | None:
        return Protocol(name=name, summary="") if name == "healthy-1" else None

    try:
        register_family("broken-N")(broken)
        register_family("healthy-N")(healthy)
        with pytest.warns(PixelwiseWarning, match=r"broken-N.*IndexError: no number") as caught:
            assert protocol("healthy-1").name == "healthy-1"
    finally:
        FAMILIES.discard("broken-N")
        FAMILIES.discard("healthy-N")
    assert {warning.message.code for warning in caught} == {"W243"}  # type: ignore[union-attr]


PLUGIN = """
from pixelwise.recipes.protocols import Protocol, register, register_family
register(Protocol(name="acme-256", summary="scored at 256x256", score_size=(256, 256)))
@register_family("acme-square-N")
def squares(name):
    side = name.removeprefix("acme-square-")
    return Protocol(name=name, summary="", score_size=(int(side), int(side))) if side.isdecimal() else None
"""


@pytest.mark.parametrize(("name", "size"), [("acme-256", (256, 256)), ("acme-square-77", (77, 77))])
def test_a_protocol_of_another_package_is_found_in_recipes_too(tmp_path: Path, name: str, size: tuple[int, int]):
    install(tmp_path, "acme", "[pixelwise.plugins]\nacme = acme\n", PLUGIN)
    script = (
        "import sys; from pixelwise.recipes.schema.recipe import Evaluation\n"
        "from pixelwise.recipes.protocols import protocol\n"
        "Evaluation(protocols=('native', 'slide-32x32')); print('acme' in sys.modules)\n"
        f"Evaluation(protocols=({name!r},)); print(protocol({name!r}).score_size, 'torch' in sys.modules)"
    )
    done = python("-c", script, site=tmp_path)
    assert done.stdout == f"False\n{size} False\n", done.stderr


def test_windows_of_any_size_have_a_name():
    found = protocol("slide-512x256")
    assert (found.window, found.window_stride, found.name) == ((256, 512), (192, 384), "slide-512x256")
    assert "384" in found.summary
    assert "192" in found.summary
    assert protocol("slide-1024x1024") is PROTOCOLS["slide-1024x1024"]
    for name in ("slide-0x512", "slide-512", "slide-512x512-1"):
        with pytest.raises(RecipeError, match=name) as caught:
            protocol(name)
        assert caught.value.code == "R204"
        assert "slide-WIDTHxHEIGHT" in caught.value.help


def test_sssegmentation_keeps_the_aspect_ratio_and_scores_at_native_size():
    for name, shorter in (("ssseg-2048x512", 512), ("ssseg-2048x1024", 1024)):
        assert (protocol(name).fit, protocol(name).resampling) == ((shorter, 2048), "linear")
        assert (protocol(name).score_size, protocol(name).argmax_at, protocol(name).absent) == (
            "native",
            "score",
            "skip",
        )


@pytest.mark.parametrize(
    ("dataset", "size"), [("cityscapes", (1024, 2048)), ("ade20k32", (768, 768)), ("cocoseg21", (512, 512))]
)
def test_ti_resizes_class_ids_from_the_recipes_input_size(dataset: str, size: tuple[int, int]):
    found = protocol(f"edgeai-{dataset}")
    assert (found.argmax_at, found.score_size, found.absent) == ("input", size, "zero")
    assert found.seen_size((384, 768)) == (384, 768)
    assert f"{size[1]}x{size[0]}" in found.summary


def test_tensorflows_deeplab_pads_cityscapes_and_squeezes_voc():
    padded, squeezed = protocol("tf-deeplab-2049x1025"), protocol("tf-deeplab-512x512")
    assert (padded.pad_to, padded.input_size, padded.score_size) == ((1025, 2049), None, "native")
    assert (squeezed.pad_to, squeezed.input_size, squeezed.score_size) == (None, (512, 512), "native")


def test_what_a_protocol_fixes_wins_over_the_recipe():
    assert protocol("native").seen_size(None) is None
    assert protocol("native").seen_size((4, 5)) == (4, 5)
    assert protocol("erfnet-1024x512").seen_size((4, 5)) == (512, 1024)
    assert protocol("torchvision-520").seen_size((4, 5)) is None


def test_a_size_and_a_limit_exclude_each_other():
    with pytest.raises(ValueError, match="'x': input_size and fit "):
        Protocol(name="x", summary="", input_size=(4, 4), fit=(4, None))


def test_padding_needs_class_ids_at_the_input_size():
    with pytest.raises(ValueError, match=r"'x': pad_to .*argmax_at 'input'.* 'score'"):
        Protocol(name="x", summary="", pad_to=(4, 4))


def test_segformer_slides_windows_that_overlap_by_a_quarter():
    found = protocol("slide-1024x1024")
    assert (found.window, found.window_stride, found.blend) == ((1024, 1024), (768, 768), "logits")
    assert (found.score_size, found.one_look) == ("native", False)


def test_multi_scale_flip_is_whole_images_at_six_scales():
    found = protocol("multi-scale-flip")
    assert found.scales == (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    assert (found.flip, found.window) == (True, None)


def test_most_protocols_pass_each_image_once_as_a_whole():
    several = {name for name, entry in PROTOCOLS.items() if not entry.one_look}
    assert several == {"slide-1024x1024", "multi-scale-flip", "camvid-480x360-tta", "mmseg-slide-2048x512"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window": (4, 4), "window_stride": (4, 5)}, r"window_stride is \(4, 5\) for windows of \(4, 4\)"),
        ({"window_stride": (4, 4)}, "for windows of None"),
        ({"window": (0, 4)}, "'x': window, window_stride and window_batch "),
        ({"window": (4, 4), "window_batch": 0}, "'x': window, window_stride and window_batch "),
        ({"scales": ()}, r"'x': scales is \(\)"),
        ({"scales": (1.0, 0.0)}, r"'x': scales is \(1\.0, 0\.0\)"),
        ({"pad_to": (4, 4), "argmax_at": "input", "flip": True}, "'x': pad_to "),
    ],
)
def test_windows_and_scales_that_make_no_sense_are_refused(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        Protocol(name="x", summary="", **fields)


def test_the_shorter_side_can_have_any_number_of_pixels():
    found = protocol("short-side-512")
    assert (found.fit, found.window, found.window_stride, found.even_windows) == ((512, None), (512, 512), None, True)
    assert protocol("short-side-1024").window == (1024, 1024)
    assert known_protocol("short-side-0") is None
