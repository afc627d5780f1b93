import errno

import pytest

from pixelwise.storage.stores.answers import reason_of, way_out


class NotFoundError(Exception): ...


class AlreadyExistsError(Exception): ...


class GenericError(Exception): ...


SECRET = "https://host/bucket/a?sig=s3cret"
ASKED = f"Error performing GET {SECRET} in 1ms - Server returned non-2xx status code:"


@pytest.mark.parametrize(
    ("error", "number", "said"),
    [
        (NotFoundError(f"{ASKED} 404 Not Found: <Code>NoSuchKey</Code>"), errno.ENOENT, "no such file"),
        (FileNotFoundError(SECRET), errno.ENOENT, "no such file"),
        (NotFoundError(f"{ASKED} 404 Not Found: <Code>NoSuchBucket</Code>"), errno.ENOTDIR, "no such bucket"),
        (FileNotFoundError(f"{ASKED} 404 Not Found: <Code>ContainerNotFound</Code>"), errno.ENOTDIR, "no such bucket"),
        (AlreadyExistsError(SECRET), errno.EEXIST, "such a file in the store already"),
        (PermissionError(SECRET), errno.EACCES, "refuses access"),
        (GenericError(f"{ASKED} 403 Forbidden: "), errno.EACCES, "refuses access"),
        (GenericError(f"DeleteObjects request failed for {SECRET}: (code: AccessDenied)"), errno.EACCES, "refuses"),
        (GenericError("Error performing token request: http://169.254.169.254/meta"), errno.EACCES, "no credentials"),
        (GenericError("Account must be specified MissingAccount"), errno.EINVAL, "names no account"),
        (GenericError("Unable to decode service account file: missing field"), errno.EINVAL, "damaged"),
        (GenericError(f"{ASKED} 500 Internal Server Error: x"), errno.EIO, r"\(500 Internal Server Error\)"),
        (GenericError(f"error sending request for {SECRET}"), errno.EIO, "does not answer as expected"),
    ],
)
def test_errors_are_told_apart_without_what_they_were_asked_with(error: Exception, number: int, said: str):
    with pytest.raises(OSError, match=said) as caught:
        raise reason_of(error)
    assert caught.value.errno == number
    assert "host" not in str(caught.value)
    assert "169.254" not in str(caught.value)


def test_each_error_has_a_way_out():
    otherwise = "check the network"
    for number, part in (
        (errno.ENOTDIR, "az://CONTAINER/FOLDER"),
        (errno.EACCES, "explain D272"),
        (errno.EINVAL, "mend"),
    ):
        assert part in way_out(OSError(number, ""), otherwise)
    assert way_out(OSError(errno.EIO, ""), otherwise) == otherwise
    assert way_out(OSError(), otherwise) == otherwise
