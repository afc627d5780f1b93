from __future__ import annotations

import errno
import sys

import pytest
from model_hub import ModelHub

from pixelwise.checkpoints.hub import client
from pixelwise.checkpoints.hub.addresses import HubAddress
from pixelwise.errors import CheckpointError, RecipeError, ResourceError

ADDRESS = HubAddress("me/a")


class Answer:
    def __init__(self, status: int) -> None:
        self.status_code = status


class Refused(Exception):
    """An error with an answer, as those of huggingface_hub have it."""

    def __init__(self, status: int) -> None:
        super().__init__("https://files/secret?signature=abc")
        self.response = Answer(status)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(401), "K492"),
        (Refused(403), "K492"),
        (Refused(400), "K499"),
        (Refused(418), "K499"),
        (Refused(500), "K494"),
        (Refused(503), "K494"),
        (Refused(429), "K494"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "K494"),
        (TimeoutError(), "K494"),
    ],
)
def test_errors_have_codes_and_ways_out_and_no_address_that_gives_access(error: Exception, code: str, hub: ModelHub):
    found = client.explained(error, ADDRESS, writing=True)
    assert isinstance(found, CheckpointError)
    assert found.code == code
    assert found.help
    assert "signature" not in str(found)


def test_faults_of_this_program_and_explained_errors_stay_what_they_are(hub: ModelHub):
    for error in (TypeError("x"), AttributeError("x"), RecipeError("R251", "x")):
        assert client.explained(error, ADDRESS) is error
        assert not client.is_temporary(error)


def test_a_full_disk_is_no_trouble_of_the_network(hub: ModelHub):
    error = OSError(errno.ENOSPC, "No space left on device")
    assert isinstance(client.explained(error, ADDRESS), ResourceError)
    assert not client.is_temporary(error)


def test_the_status_behind_an_error_is_found():
    outer = RuntimeError("Error while uploading")
    outer.__cause__ = Refused(507)
    assert client.status_of(outer) == 507
    assert client.status_of(RuntimeError()) is None
    assert client.status_of(None) is None


@pytest.mark.parametrize(("status", "temporary"), [(429, True), (503, True), (504, True), (400, False), (404, False)])
def test_only_some_answers_are_asked_for_again(status: int, temporary: bool, hub: ModelHub):
    assert client.is_temporary(Refused(status)) is temporary


def test_the_endpoint_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror/")
    assert client.endpoint() == "http://mirror"
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert client.endpoint() == client.library().constants.ENDPOINT


def test_bars_are_drawn_on_terminals_alone(monkeypatch: pytest.MonkeyPatch):
    utils = client.library().utils
    monkeypatch.setattr(client.library().constants, "HF_HUB_DISABLE_PROGRESS_BARS", None)
    with client.bars_on_a_terminal():
        assert utils.are_progress_bars_disabled()
    assert not utils.are_progress_bars_disabled()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with client.bars_on_a_terminal():
        assert not utils.are_progress_bars_disabled()
