import os
import signal
import threading

import pytest

from pixelwise.training.signals import stop_on_signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_only_sets_the_flag(number: signal.Signals, status: int):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop
        assert stop.error("runs/x", 3).exit_code == status
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_interrupts():
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_outside_the_main_thread_nothing_is_caught_and_nothing_fails():
    states: list[bool] = []

    def work() -> None:
        with stop_on_signals() as stop:
            states.append(bool(stop))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert states == [False]
