import os
import signal
import threading

import pytest

from pixelwise.machine.signals import leave_signals_to_parent, own_child_handler, stop_signals


def test_a_run_is_stopped_by_what_the_system_has(monkeypatch: pytest.MonkeyPatch):
    assert stop_signals() == (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    monkeypatch.delattr(signal, "SIGUSR1")
    monkeypatch.setattr(signal, "SIGBREAK", 21, raising=False)  # as on Windows
    assert stop_signals() == (signal.SIGINT, signal.SIGTERM, 21)


def test_a_helper_leaves_the_group_s_signals_to_its_parent():
    child = os.fork()
    if not child:
        leave_signals_to_parent()
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM)]
        os._exit(0 if handlers == [signal.SIG_IGN, signal.SIG_IGN, signal.SIG_DFL] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_changes_to_the_child_handler_are_undone():
    before = signal.getsignal(signal.SIGCHLD)
    with own_child_handler():
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
    assert signal.getsignal(signal.SIGCHLD) == before


def test_the_child_handler_needs_neither_the_signal_nor_the_main_thread(monkeypatch: pytest.MonkeyPatch):
    failed: list[BaseException] = []

    def use() -> None:
        try:
            with own_child_handler():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    monkeypatch.delattr(signal, "SIGCHLD")
    use()
    assert failed == []
