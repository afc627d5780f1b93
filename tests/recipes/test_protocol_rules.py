import pytest

from pixelwise.recipes.protocols import Protocol


def test_windows_at_equal_distances_need_a_size_and_have_no_stride():
    with pytest.raises(ValueError, match="even_windows needs window"):
        Protocol(name="x", summary="", even_windows=True)
    with pytest.raises(ValueError, match="excludes window_stride"):
        Protocol(name="x", summary="", window=(4, 4), window_stride=(2, 2), even_windows=True)
