import os
import signal
import threading
import time

import pytest

from pixelwise.machine.signals import (
    handled,
    ignore_schedulers,
    leave_signals_to_parent,
    own_child_handler,
    stop_signals,
    stop_with_parent,
)


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


def test_a_scheduler_s_signal_may_be_left_to_the_parent():
    child = os.fork()
    if not child:
        ignore_schedulers()
        os.kill(os.getpid(), signal.SIGUSR1)  # which would end it
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_process_is_asked_to_stop_once_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pixelwise.machine.signals.LOOKS_EVERY", 0.01)
    receiver, sender = os.pipe()
    parent = os.fork()
    if not parent:
        if not os.fork():
            signal.signal(signal.SIGTERM, lambda *_: (os.write(sender, b"asked"), os._exit(0)))
            stop_with_parent()
            os.write(sender, b"ready ")
            time.sleep(30)
        time.sleep(0.2)
        os._exit(0)
    os.close(sender)
    os.waitpid(parent, 0)
    said = b""
    while part := os.read(receiver, 16):
        said += part
    assert said == b"ready asked"


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


def test_signals_call_functions_within_the_block_alone():
    heard: list[str] = []
    before = signal.getsignal(signal.SIGUSR1)
    with handled({"SIGUSR1": lambda: heard.append("one"), "SIGNOTHING": lambda: heard.append("none")}):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert heard == ["one"]
    assert signal.getsignal(signal.SIGUSR1) == before

    def elsewhere() -> None:
        with handled({"SIGUSR1": lambda: heard.append("two")}):
            heard.append(str(signal.getsignal(signal.SIGUSR1) == before))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert heard == ["one", "True"]
