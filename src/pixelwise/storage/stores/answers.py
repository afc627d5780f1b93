"""What stores answer when they do not do what they were asked, as errors of the system with a way out.

The texts of obstore hold addresses and, of some stores, what signs them, so nothing of them goes on.
"""

from __future__ import annotations

import errno
import re

_STATUS = re.compile(r"\b([45]\d\d) [A-Z][A-Za-z ]{2,30}")
_REFUSED = ("PermissionDeniedError", "UnauthenticatedError")
# Of several files that are removed at once, the answer itself succeeds.
_DENIED = re.compile(r"AccessDenied|Authorization(Failure|PermissionMismatch)")
_TAKEN = ("AlreadyExistsError", "PreconditionError")
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|specified bucket does not exist")
# Where nothing else gives credentials, machines of a cloud have a server that does.
_NO_CREDENTIALS = re.compile(r"169\.254\.169\.254|metadata\.google\.internal|token request|MissingCredentials")
_NO_ACCOUNT = "MissingAccount"
_BEFORE_ASKING = re.compile(r"Decode[A-Z]\w+|InvalidAccessKey|Unable to (decode|open)")

_BY_ERRNO = {
    errno.ENOTDIR: "check the name of the bucket or container (s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, "
    "az://CONTAINER/FOLDER), and make it first if it is new",
    errno.EACCES: "check the credentials and what they allow; `pixelwise explain D272` lists the variables that count",
    errno.EINVAL: "mend this variable or file; `pixelwise explain D272` lists those that count",
}


def reason_of(error: Exception) -> OSError:
    """The error of the system for one of obstore, with a message that says neither where nor with what was asked.

    Args:
        error: What obstore raised.

    Returns:
        `FileNotFoundError`, `FileExistsError`, `PermissionError`, or an `OSError` with `ENOTDIR` if there is no such
        bucket, `EINVAL` if the environment cannot be used, or `EIO` for anything else.
    """
    kind, text = type(error).__name__, str(error)
    status = _STATUS.search(text)
    if _NO_BUCKET.search(text):
        return OSError(errno.ENOTDIR, "there is no such bucket or container in the store")
    if isinstance(error, FileNotFoundError) or kind == "NotFoundError":
        return FileNotFoundError(errno.ENOENT, "there is no such file in the store")
    if kind in _TAKEN:
        return FileExistsError(errno.EEXIST, "there is such a file in the store already")
    if _NO_ACCOUNT in text:
        return OSError(
            errno.EINVAL,
            "the environment names no account of Azure: expected AZURE_STORAGE_ACCOUNT_NAME or "
            "AZURE_STORAGE_CONNECTION_STRING",
        )
    if _NO_CREDENTIALS.search(text):
        return PermissionError(errno.EACCES, "the environment has no credentials for the store")
    refused = isinstance(error, PermissionError) or kind in _REFUSED or _DENIED.search(text)
    if refused or (status and status[1] in ("401", "403")):
        return PermissionError(errno.EACCES, "the store refuses access with these credentials")
    if status is None and _BEFORE_ASKING.search(text):
        return OSError(errno.EINVAL, "the credentials of the environment are damaged")
    return OSError(errno.EIO, f"the store does not answer as expected{f' ({status[0]})' if status else ''}")


def way_out(error: OSError, otherwise: str) -> str:
    """What to do about a request that failed.

    Args:
        error: The error of `reason_of`, or any other.
        otherwise: What is said if it does not tell.
    """
    return _BY_ERRNO.get(error.errno or 0, otherwise)
