import sys

import pytest

from pixelwise.machine.compilers import cpp_compiler


@pytest.mark.parametrize(("system", "compiler"), [("linux", "g++"), ("darwin", "clang++"), ("win32", "cl")])
def test_every_system_has_a_compiler_of_its_own(system: str, compiler: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv("CXX", raising=False)
    assert cpp_compiler() == compiler
    monkeypatch.setenv("CXX", "icpx")
    assert cpp_compiler() == "icpx"
