"""The stores that tests ask: the servers of `object_stores`, and moto and Azurite where they are installed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from object_stores import (
    ACCOUNT,
    BUCKET,
    KEY,
    KEY_ID,
    AzureStore,
    GoogleStore,
    ObjectStore,
    serving_objects,
    signature,
    signed_query,
)

from pixelwise.storage.stores import remote

Environment = dict[str, str]
_OTHER_KEY = KEY.replace("YSBr", "YSBs", 1)
_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR")


class Living(NamedTuple):
    """A store that answers.

    Attributes:
        address: Address of its bucket or container.
        environment: What gives access: one entry for each way, the first one by single variables.
        refused: What gives no access, by what is wrong with it -> a part of what is said of it.
        reading: What gives access to read alone; None if the server does not tell rights apart.
        names: Asks for the names of all files without our own code.
    """

    address: str
    environment: dict[str, Environment]
    refused: dict[str, tuple[Environment, str]]
    reading: Environment | None
    names: Callable[[], set[str]]


def _aws(endpoint: str, home: Path, names: Callable[[], set[str]], checked: bool) -> Living:
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY}
    where = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1"}
    file = home / "credentials"
    file.write_text(f"[photos]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {KEY}\n\n[empty]\nregion = x\n")
    profile = {**where, "AWS_SHARED_CREDENTIALS_FILE": str(file)}
    ways = {
        "variables": keys | where,
        "profile": profile | {"AWS_PROFILE": "photos"},
        "service endpoint": keys | {"AWS_ENDPOINT_URL_S3": endpoint, "AWS_REGION": "us-east-1"},
    }
    refused = {
        "a profile that is not there": (profile | {"AWS_PROFILE": "other"}, "no profile of this name"),
        "a profile without keys": (profile | {"AWS_PROFILE": "empty"}, "has no keys"),
    }
    if checked:
        refused["another key"] = (ways["variables"] | {"AWS_ACCESS_KEY_ID": "AKIAOTHER"}, "refuses access")
    return Living(f"s3://{BUCKET}", ways, refused, None, names)


def _google(endpoint: str, names: Callable[[], set[str]]) -> Living:
    token = {"GOOGLE_BASE_URL": endpoint, "GOOGLE_BEARER_TOKEN": KEY}
    refused = {
        "another token": (token | {"GOOGLE_BEARER_TOKEN": "another"}, "refuses access"),
        "an emulator without credentials": (
            {"STORAGE_EMULATOR_HOST": endpoint.removeprefix("http://")},
            "refuses access",
        ),
    }
    return Living(f"gs://{BUCKET}", {"variables": token}, refused, None, names)


def _azure(endpoint: str, names: Callable[[], set[str]]) -> Living:
    endpoint = f"{endpoint}/{ACCOUNT}"
    where = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ENDPOINT": endpoint}
    string = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
    query = urlencode(signed_query())
    ways = {
        "variables": where | {"AZURE_STORAGE_ACCOUNT_KEY": KEY},
        "names of the command line": {
            "AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_ENDPOINT": endpoint,
        },
        "signed query": where | {"AZURE_STORAGE_SAS_TOKEN": query},
        "connection string": {"AZURE_STORAGE_CONNECTION_STRING": string},
        "connection string that is signed": {
            "AZURE_STORAGE_CONNECTION_STRING": f"BlobEndpoint={endpoint}/;SharedAccessSignature={query}",
        },
    }  # fmt: skip
    refused = {
        "another key": (where | {"AZURE_STORAGE_ACCOUNT_KEY": _OTHER_KEY}, "refuses access"),
        "a key that is none": (where | {"AZURE_STORAGE_ACCOUNT_KEY": f"{KEY[:-6]}*"}, "damaged"),
        "another signature": (where | {"AZURE_STORAGE_SAS_TOKEN": urlencode(signed_query(key=_OTHER_KEY))}, "refuses"),
        "no account": ({"AZURE_STORAGE_ACCOUNT_KEY": KEY}, "names no account"),
        "a string that is none": ({"AZURE_STORAGE_CONNECTION_STRING": KEY.rstrip("=")}, "NAME=VALUE"),
        "a string without an account": ({"AZURE_STORAGE_CONNECTION_STRING": f"AccountKey={KEY}"}, "neither"),
    }
    reading = where | {"AZURE_STORAGE_SAS_TOKEN": urlencode(signed_query("rl"))}
    return Living(f"az://{BUCKET}", ways, refused, reading, names)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def _started(program: str, *options: str, environment: Environment) -> Iterator[str]:
    """Context with the endpoint of a program that serves; the test is skipped where it is not installed."""
    command = shutil.which(program)
    if command is None:
        pytest.skip(f"{program} is not on the PATH")
    port = _free_port()
    words = [command, *(one.format(port=port) for one in options)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _plain(method: str, url: str, headers: Environment | None = None) -> str:
    request = urllib.request.Request(url, b"" if method == "PUT" else None, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def _moto(home: Path) -> Iterator[Living]:
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with _started("moto_server", "-H", "127.0.0.1", "-p", "{port}", environment=bare) as endpoint:
        _plain("PUT", f"{endpoint}/{BUCKET}", {"Content-Type": "application/octet-stream"})

        def names() -> set[str]:
            return set(re.findall("<Key>([^<]+)</Key>", _plain("GET", f"{endpoint}/{BUCKET}?list-type=2")))

        yield _aws(endpoint, home, names, checked=False)


@contextlib.contextmanager
def _azurite() -> Iterator[Living]:
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    options = ("--blobPort", "{port}", "--inMemoryPersistence", "--disableTelemetry", "--silent")
    with _started("azurite-blob", *options, environment=environment) as endpoint:

        def asked(method: str, query: Environment) -> str:
            date = {
                "x-ms-date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
                "x-ms-version": "2021-08-06",
            }
            own = "".join(f"{name}:{value}\n" for name, value in date.items())
            told = "".join(f"\n{name}:{value}" for name, value in sorted(query.items()))
            text = f"{method}{chr(10) * 12}{own}/{ACCOUNT}/{ACCOUNT}/{BUCKET}{told}"
            sign = {"Authorization": f"SharedKey {ACCOUNT}:{signature(KEY, text)}", "Content-Type": "", **date}
            return _plain(method, f"{endpoint}/{ACCOUNT}/{BUCKET}?{urlencode(query)}", sign)

        asked("PUT", {"restype": "container"})
        listing = {"restype": "container", "comp": "list"}
        yield _azure(endpoint, lambda: set(re.findall("<Name>([^<]+)</Name>", asked("GET", listing))))


@contextlib.contextmanager
def _own(store: ObjectStore, home: Path) -> Iterator[Living]:
    with serving_objects(store):

        def names() -> set[str]:
            return set(store.objects)

        if isinstance(store, AzureStore):
            yield _azure(store.endpoint, names)
        elif isinstance(store, GoogleStore):
            yield _google(store.endpoint, names)
        else:
            yield _aws(store.endpoint, home, names, checked=True)


KINDS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Living]]] = {
    "s3": lambda home: _own(ObjectStore(), home),
    "gs": lambda home: _own(GoogleStore(), home),
    "az": lambda home: _own(AzureStore(), home),
    "s3 by moto": _moto,
    "az by Azurite": lambda home: _azurite(),
}
"""What the contract of stores is asked of: with a folder for files that hold credentials."""


def give_access(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> None:
    """Make these the only variables of the environment that tell stores anything."""
    for name in [one for one in os.environ if one.startswith(_PREFIXES)]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # Clients were made with the environment of then.
    remote._opened.cache_clear()
