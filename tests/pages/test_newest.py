import threading

import pytest

from pixelwise.pages.newest import Newest


def test_the_newest_values_are_remembered():
    newest, made = Newest(2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        newest.get(key, lambda key=key: made.append(key))
    assert made == ["a", "b", "c", "b"]


def test_what_several_threads_ask_for_is_made_once():
    newest, made = Newest(2), []
    began, asked = threading.Event(), threading.Barrier(4)

    def make() -> int:
        began.wait(10)
        made.append(1)
        return len(made)

    def ask() -> None:
        asked.wait(10)
        assert newest.get("a", make) == 1

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    asked.wait(10)
    began.set()
    for thread in threads:
        thread.join()
    assert made == [1]
    with pytest.raises(ZeroDivisionError):
        newest.get("b", lambda: 1 // 0)
    assert newest.get("b", lambda: 2) == 2


def test_what_is_remembered_is_bounded_by_its_weight():
    newest, made = Newest(5, len), []

    def get(text: str) -> str:
        return newest.get(text, lambda: made.append(text) or text)

    assert [get(text) for text in ("aa", "bb", "aa", "cc", "aa", "bb", "dddddddd", "aa", "dddddddd")]
    # After "cc" only 4 letters may stay; what is too heavy stays alone, until something else is asked for.
    assert made == ["aa", "bb", "cc", "bb", "dddddddd", "aa", "dddddddd"]
