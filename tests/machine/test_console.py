import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pixelwise.machine.console import in_notebook, on_terminal, print_anything, without_native_stderr


def test_what_the_encoding_lacks_is_printed_as_an_escape(monkeypatch: pytest.MonkeyPatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(UnicodeEncodeError):
        print("写真 café")
    print_anything()
    print("写真 café", end="")
    assert written.getvalue() == "\\u5199\\u771f café".encode("cp1252")


def test_streams_that_are_none_or_something_else_stay(monkeypatch: pytest.MonkeyPatch):
    other = io.StringIO()
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", other)
    print_anything()
    assert sys.stderr is other


def test_a_notebook_has_a_kernel_and_another_shell_none(monkeypatch: pytest.MonkeyPatch):
    for shell, expected in ((None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda shell=shell: shell))
        assert in_notebook() is expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()


def test_streams_that_are_missing_or_closed_are_no_terminals():
    closed = io.StringIO()
    closed.close()
    assert not any(map(on_terminal, (None, closed, io.StringIO())))


def test_what_native_code_writes_is_lost_within_and_shown_after(capfd: pytest.CaptureFixture[str]):
    os.write(2, b"before ")
    with without_native_stderr():
        os.write(2, b"within ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_standard_error_comes_back_after_an_exception(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(KeyError), without_native_stderr():
        raise KeyError("x")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_a_process_without_standard_error_is_left_as_it_is():
    code = (
        "import os; os.close(2)\n"
        "from pixelwise.machine.console import without_native_stderr\n"
        "with without_native_stderr(): print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "done"
