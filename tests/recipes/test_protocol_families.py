import pytest

from pixelwise.recipes.protocols import Protocol, known_protocol, protocol


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


def test_the_shorter_side_can_have_any_number_of_pixels():
    found = protocol("short-side-512")
    assert (found.fit, found.window, found.window_stride, found.even_windows) == ((512, None), (512, 512), None, True)
    assert protocol("short-side-1024").window == (1024, 1024)
    assert known_protocol("short-side-0") is None
    with pytest.raises(ValueError, match="even_windows needs window"):
        Protocol(name="x", summary="", even_windows=True)
    with pytest.raises(ValueError, match="excludes window_stride"):
        Protocol(name="x", summary="", window=(4, 4), window_stride=(2, 2), even_windows=True)
