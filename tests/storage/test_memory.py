from pixelwise.storage.memory import available_memory


def test_some_memory_is_available_and_less_than_a_petabyte():
    assert 1 << 20 < available_memory() < 1 << 50
