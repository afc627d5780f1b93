import os
import time

import psutil
import pytest

from pixelwise.errors import DataError
from pixelwise.pages.networks.helper import Ended, Helper


class Counter:
    """Counts what it is asked, in whichever process that is."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, add: int = 1) -> tuple[int, int]:
        self.asked += add
        return self.asked, os.getpid()

    def niceness(self) -> int:
        return int(psutil.Process().nice())

    def refuse(self) -> None:
        raise DataError("D000", "there is nothing", "look elsewhere")

    def die(self) -> None:
        os._exit(3)


def test_one_process_answers_after_another():
    helper = Helper(Counter)
    assert not helper.is_running
    (first, process), (second, same) = helper.ask(60, Counter.ask), helper.ask(60, Counter.ask, add=4)
    assert (first, second) == (1, 5)
    assert process == same != os.getpid()
    with pytest.raises(DataError, match="there is nothing") as refused:
        helper.ask(60, Counter.refuse)
    assert (refused.value.code, refused.value.help) == ("D000", "look elsewhere")
    with pytest.raises(Ended):
        helper.ask(60, Counter.die)
    assert helper.ask(60, Counter.ask)[0] == 1  # by another process, whose object is a new one
    helper.close()
    assert not helper.is_running
    with pytest.raises(Ended):
        helper.ask(60, Counter.ask)


@pytest.mark.heavy
def test_a_process_without_work_ends():
    helper = Helper(Counter, background=True)
    assert helper.ask(60, Counter.niceness) != psutil.Process().nice()
    helper = Helper(Counter)
    assert helper.ask(0.01, Counter.ask)[0] == 1
    until = time.monotonic() + 60
    while helper.is_running and time.monotonic() < until:
        time.sleep(0.01)
    assert not helper.is_running
    assert helper.ask(60, Counter.ask)[0] == 1
    assert helper.ask(0, Counter.ask)[0] == 2
    time.sleep(0.05)  # the first request of this process still keeps it
    assert helper.ask(0, Counter.ask)[0] == 3
    helper.close()
