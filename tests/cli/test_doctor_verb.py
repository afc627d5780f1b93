"""`pixelwise doctor`: its exit status, as text and as JSON."""

import json
from collections.abc import Callable

import msgspec
import pytest

import pixelwise
from pixelwise.installation import doctor
from pixelwise.installation.imports import Trial


@pytest.mark.parametrize(("wrong", "status"), [(True, 1), (False, 0)])
def test_the_status_says_whether_something_is_wrong(wrong: bool, status: int, run_cli: Callable, monkeypatch):
    monkeypatch.setattr(doctor.imports, "begin_torch", lambda: Trial("raise SystemExit('broken')"))
    monkeypatch.setattr(doctor.imports, "begin_libraries", lambda: Trial(""))
    found = pixelwise.doctor()
    kept = [one for one in found.problems if one.wrong] if wrong else []
    monkeypatch.setattr(pixelwise, "doctor", lambda: msgspec.structs.replace(found, problems=tuple(kept)))
    code, text, _ = run_cli(["doctor"])
    assert code == status
    assert ("nothing is wrong" in text) is not wrong
    code, text, _ = run_cli(["doctor", "--json"])
    assert code == status
    assert [one["wrong"] for one in json.loads(text)["problems"]] == [True] * len(kept)
