"""What an address and the environment say together of a store: account, endpoint, credentials, as obstore takes them.

obstore reads variables of the environment itself (`AWS_ACCESS_KEY_ID`, `AZURE_STORAGE_ACCOUNT_NAME`, `GOOGLE_BASE_URL`,
...). Here is what the tools of the stores read besides: profiles of AWS, connection strings and the short names of
Azure, the emulator of Google.

References:
    https://docs.rs/object_store (obstore's variables);
    https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html (profiles);
    https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string;
    https://github.com/googleapis/google-cloud-python (`STORAGE_EMULATOR_HOST`).
"""

from __future__ import annotations

import configparser
import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}
_AZURE_HOSTS = (".blob.core.windows.net", ".dfs.core.windows.net")
_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_SHORT = {
    "account_name": ("AZURE_STORAGE_ACCOUNT", ("AZURE_STORAGE_ACCOUNT_NAME",)),
    "account_key": (
        "AZURE_STORAGE_KEY",
        ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY"),
    ),
}
"""Setting of obstore -> the variable of Azure's command line, and obstore's own ones, which come first."""
_AWS_OWN = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI")  # fmt: skip
_PROFILE_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_PROFILE_PLACES = {
    "region": ("region", ("AWS_REGION", "AWS_DEFAULT_REGION")),
    "endpoint_url": ("endpoint", _ENDPOINTS["s3"]),
}


class Access(NamedTuple):
    """How a store is reached; holds secrets, and is never shown.

    Attributes:
        url: The address as obstore takes it.
        config: Settings besides those that obstore reads from the environment.
        signature: A signed query of Azure, which counts before a key in the environment; empty if there is none.
        plain: Whether a server without encryption is asked, which somebody has to have asked for.
    """

    url: str
    config: dict[str, Any]
    signature: str
    plain: bool


def access_of(address: str, environ: Mapping[str, str] | None = None) -> Access:
    """How the store of an address is reached.

    Args:
        address: The address, with what gives access.
        environ: Variables of the environment; None for those of this process.

    Raises:
        OSError: A variable, or a file that it names, is not understood; the message holds no value of either.
    """
    environ = os.environ if environ is None else environ
    parts = urlsplit(address)
    url, kind, config = address, parts.scheme, {}
    if kind == "https" and parts.netloc.endswith(_AZURE_HOSTS):
        kind = "az"
    if kind == "s3":
        config = _aws(environ)
    elif kind == "gs":
        config = _google(environ)
    elif kind == "az":
        config = _azure(environ)
        if parts.scheme == "https":  # which names the account, and so its endpoint
            config = {name: value for name, value in config.items() if name not in ("account_name", "endpoint")}
        if parts.query:
            url = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
            config["sas_key"] = parts.query
    asked = [environ.get(name, "") for name in _ENDPOINTS.get(kind, ())]
    asked += [url, *(str(config.get(name, "")) for name in ("endpoint", "base_url"))]
    emulated = kind == "az" and (config.get("use_emulator") or _true(environ.get("AZURE_STORAGE_USE_EMULATOR")))
    plain = emulated or any(one.lower().startswith("http://") for one in asked)
    return Access(url, config, config.pop("sas_key", ""), bool(plain))


def _true(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "on", "yes", "y", "t")


def _google(environ: Mapping[str, str]) -> dict[str, Any]:
    """The emulator, which Google's libraries ask without credentials."""
    config: dict[str, Any] = {}
    emulator = environ.get("STORAGE_EMULATOR_HOST")
    if emulator and not any(environ.get(name) for name in _ENDPOINTS["gs"]):
        config["base_url"] = (emulator if "://" in emulator else f"http://{emulator}").rstrip("/")
        # Without a token, obstore would ask Google for one before it writes.
        config["bearer_token"] = "emulator"
    return config


def _azure(environ: Mapping[str, str]) -> dict[str, Any]:
    """What a connection string says; without one, the variables of Azure's command line."""
    text = environ.get(_CONNECTION, "").strip()
    if text:
        return _connection(text)
    return {
        name: environ[short]
        for name, (short, own) in _SHORT.items()
        if environ.get(short) and not any(environ.get(one) for one in own)
    }


def _connection(text: str) -> dict[str, Any]:
    """The settings of a connection string.

    Raises:
        OSError: It is not understood.
    """
    # Keys end with `=` signs, so only the first one of a part divides it.
    parts = [one.partition("=") for one in text.split(";") if one.strip()]
    found = {name.strip().lower(): value.strip() for name, _, value in parts}
    if not all(middle for _, middle, _ in parts):
        raise _not_understood(_CONNECTION, "expected parts NAME=VALUE with `;` between them")
    if _true(found.get("usedevelopmentstorage")):
        return {"use_emulator": True}
    account, endpoint = found.get("accountname"), found.get("blobendpoint", "").rstrip("/")
    if endpoint and account is None:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        # Emulators have the account in the path, Azure in the name of the host.
        account = parts.path.strip("/") or host.partition(".")[0]
    if not account:
        raise _not_understood(_CONNECTION, "it has neither AccountName nor BlobEndpoint")
    if not endpoint:
        scheme, suffix = found.get("defaultendpointsprotocol", "https"), found.get("endpointsuffix")
        if suffix:
            endpoint = f"{scheme}://{account}.blob.{suffix}"
    config = {"account_name": account, "endpoint": endpoint, "account_key": found.get("accountkey")}
    if found.get("sharedaccesssignature"):
        config["sas_key"] = found["sharedaccesssignature"]
    return {name: value for name, value in config.items() if value}


def _aws(environ: Mapping[str, str]) -> dict[str, Any]:
    """The profile of AWS's configuration files, where no variable holds credentials.

    Raises:
        OSError: The profile that `AWS_PROFILE` names does not exist, or has no keys.
    """
    if any(environ.get(name) for name in _AWS_OWN) or _true(environ.get("AWS_SKIP_SIGNATURE")):
        return {}
    asked = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    profile = asked or "default"
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    credentials = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")
    settings = Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config")
    section = profile if profile == "default" else f"profile {profile}"
    found = _section(settings, section) | _section(credentials, profile)
    if asked and not found:
        raise _not_understood("AWS_PROFILE", f"there is no profile of this name in {credentials} or {settings}")
    config = {ours: found[name] for name, ours in _PROFILE_KEYS.items() if found.get(name)}
    if asked and "access_key_id" not in config:
        raise _not_understood(
            "AWS_PROFILE",
            'its profile has no keys; for single sign-on and roles: eval "$(aws configure export-credentials '
            '--format env)"',
        )
    for name, (ours, own) in _PROFILE_PLACES.items():
        if found.get(name) and not any(environ.get(one) for one in own):
            config[ours] = found[name]
    return config


def _section(file: Path, name: str) -> dict[str, str]:
    """The values of a section of a configuration file; none if there is no such file or section.

    Raises:
        OSError: It cannot be read.
    """
    reader = configparser.RawConfigParser(strict=False)
    try:
        with open(file, encoding="utf-8-sig", newline=None) as lines:
            reader.read_file(lines)
    except FileNotFoundError:
        return {}
    except (configparser.Error, UnicodeDecodeError):  # whose texts hold lines of the file
        reason = _not_understood(str(file), "it is no configuration file of AWS")
    else:
        return dict(reader[name]) if reader.has_section(name) else {}
    raise reason


def _not_understood(name: str, why: str) -> OSError:
    return OSError(errno.EINVAL, f"{name} is not understood: {why}")
