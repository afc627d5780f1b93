"""Object stores on this machine: servers that speak what S3, Google Cloud Storage and Azure speak, as far as files do.

Written after the documentation of the three interfaces (AWS S3 API; Cloud Storage XML API; Azure Blob REST API). The
contract of stores asks moto and Azurite the same where they are installed. What they check of a request is what a wrong
environment gets wrong: for S3 the id of the key, for Google the token, for Azure the signature.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import hmac
import http.server
import re
import threading
import time
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from listening import listening

ACCOUNT, KEY_ID, BUCKET = "photoaccount", "AKIAEXAMPLE", "bucket"
KEY = base64.b64encode(b"a key that nobody may see").decode()
"""What gives access: Azure's and S3's secret key, Google's token."""


class Stored(NamedTuple):
    content: bytes
    notes: dict[str, str]
    changed: float
    tag: str


class Request(NamedTuple):
    """A request, taken apart: `name` is empty for the bucket itself."""

    method: str
    bucket: str
    name: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    path: str


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


class Failed(Exception):
    """An error of the store: status and code."""


class ObjectStore:
    """One bucket behind the interface of S3.

    Attributes:
        objects: What is stored, by name.
        endpoint: `http://127.0.0.1:PORT`.
        page: Most names of one page of a list.
        asked: `METHOD NAME` of every request.
    """

    prefix, create_only = "x-amz-", ("if-none-match", "*")
    no_bucket = "NoSuchBucket"

    def __init__(self) -> None:
        self.objects: dict[str, Stored] = {}
        self.endpoint, self.page = "", 3
        self.asked: list[str] = []
        self._parts: dict[str, dict[str, bytes]] = {}
        self._lock = threading.Lock()

    def allowed(self, request: Request) -> bool:
        return f"Credential={KEY_ID}/" in request.headers.get("authorization", "")

    def request(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
        parts = urlsplit(target)
        bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
        return Request(method, bucket, name, dict(parse_qsl(parts.query, True)), headers, body, parts.path)

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.asked.append(f"{request.method} {request.name}")
            if not self.allowed(request):
                raise Failed(403, "AccessDenied")
            if request.bucket != BUCKET:
                raise Failed(404, self.no_bucket)
            if request.method == "POST" and not request.name:
                return self.removed(request)
            return self.of_file(request) if request.name else self.listed(request)

    def of_file(self, request: Request) -> Answer:
        parts = self.in_parts(request)
        if parts is not None:
            return parts
        if request.method == "PUT":
            return self.store(request, request.body)
        found = self.objects.get(request.name)
        if found is None:
            raise Failed(404, "NoSuchKey")
        if request.method == "DELETE":
            del self.objects[request.name]
            return Answer(204)
        return self.content(request, found)

    def in_parts(self, request: Request) -> Answer | None:
        """The three requests of a file that is sent in parts; None for others."""
        query, number = request.query, request.query.get("uploadId")
        if "uploads" in query:
            number = f"upload-{len(self._parts)}"
            self._parts[number] = {}
            text = f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
            return Answer(200, text.encode())
        if number is None:
            return None
        if number not in self._parts:
            raise Failed(404, "NoSuchUpload")
        tag = f'"{hashlib.md5(request.body).hexdigest()}"'
        if request.method == "PUT":
            self._parts[number][query["partNumber"]] = request.body
            return Answer(200, b"", {"ETag": tag})
        parts = self._parts.pop(number)
        if request.method == "DELETE":
            return Answer(204)
        order = re.findall(r"<PartNumber>(\d+)</PartNumber>", request.body.decode())
        if sorted(order, key=int) != order or set(order) != set(parts):
            raise Failed(400, "InvalidPart")
        self.store(request, b"".join(parts[one] for one in order))
        text = f"<CompleteMultipartUploadResult><ETag>{escape(tag)}</ETag></CompleteMultipartUploadResult>"
        return Answer(200, text.encode())

    def store(self, request: Request, content: bytes) -> Answer:
        header, value = self.create_only
        if request.headers.get(header) == value and request.name in self.objects:
            raise Failed(412, "PreconditionFailed")
        start = f"{self.prefix}meta-"
        notes = {name.removeprefix(start): one for name, one in request.headers.items() if name.startswith(start)}
        tag = f'"{hashlib.sha256(content + repr(notes).encode()).hexdigest()[:24]}"'
        self.objects[request.name] = Stored(content, notes, time.time(), tag)
        return Answer(200, b"", {"ETag": tag})

    def removed(self, request: Request) -> Answer:
        """Several files at once, which succeeds for those that are not there, too."""
        names = [unescape(one) for one in re.findall("<Key>([^<]*)</Key>", request.body.decode())]
        for name in names:
            self.objects.pop(name, None)
        deleted = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
        return Answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def content(self, request: Request, found: Stored) -> Answer:
        size, status = len(found.content), 200
        headers = {
            "ETag": found.tag,
            "Last-Modified": email.utils.formatdate(found.changed, usegmt=True),
            **{f"{self.prefix}meta-{name}": value for name, value in found.notes.items()},
        }
        start, end = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", request.headers.get("x-ms-range", "")))
        if asked:
            start, end = int(asked[1]), min(size, int(asked[2] or size) + 1)
            if start >= size:
                raise Failed(416, "InvalidRange")
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
        return Answer(status, found.content[start:end], headers)

    def some(self, prefix: str, after: str) -> tuple[list[tuple[str, Stored]], str]:
        """A page of the names that begin with `prefix`, and after which name the next one begins."""
        names = [one for one in sorted(self.objects) if one.startswith(prefix) and one > after]
        page = names[: self.page]
        return [(one, self.objects[one]) for one in page], page[-1] if len(names) > len(page) else ""

    def listed(self, request: Request) -> Answer:
        after = bytes.fromhex(request.query.get("continuation-token", "")).decode()
        page, last = self.some(request.query.get("prefix", ""), after)
        more = f"<NextContinuationToken>{last.encode().hex()}</NextContinuationToken>" if last else ""
        files = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>{_iso(one.changed)}</LastModified>"
            f"<ETag>{escape(one.tag)}</ETag><Size>{len(one.content)}</Size></Contents>"
            for name, one in page
        )
        return Answer(200, f"<ListBucketResult>{more}{files}</ListBucketResult>".encode())


class GoogleStore(ObjectStore):
    """One bucket behind Google's XML interface."""

    prefix, create_only = "x-goog-", ("x-goog-if-generation-match", "0")

    def allowed(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {KEY}"


class AzureStore(ObjectStore):
    """One container behind Azure's interface, with the account in the path, as emulators have it."""

    prefix, no_bucket = "x-ms-", "ContainerNotFound"

    def request(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
        found = super().request(method, target, headers, body)
        bucket, _, name = found.name.partition("/")
        return found._replace(bucket=bucket if found.bucket == ACCOUNT else "", name=name)

    def allowed(self, request: Request) -> bool:
        if "sig" in request.query:
            return hmac.compare_digest(request.query["sig"], signature(KEY, _sas(request.query["sp"])))
        headers = request.headers
        names = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
                 "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")  # fmt: skip
        told = [headers.get(name, "") for name in names]
        told[2] = "" if told[2] == "0" else told[2]
        own = [f"{name}:{headers[name].strip()}" for name in sorted(headers) if name.startswith("x-ms-")]
        query = [f"{name.lower()}:{value}" for name, value in sorted(request.query.items())]
        text = "\n".join([request.method, *told, *own, f"/{ACCOUNT}{request.path}", *query])
        return headers.get("authorization") == f"SharedKey {ACCOUNT}:{signature(KEY, text)}"

    def answer(self, request: Request) -> Answer:
        if "w" not in request.query.get("sp", "w") and request.method not in ("GET", "HEAD"):
            raise Failed(403, "AuthorizationPermissionMismatch")
        return super().answer(request)

    def in_parts(self, request: Request) -> Answer | None:
        kind = request.query.get("comp")
        parts = self._parts.setdefault(request.name, {})
        if kind == "block":
            parts[request.query["blockid"]] = request.body
            return Answer(201)
        if kind == "blocklist":
            order = re.findall(r"<(?:Uncommitted|Latest)>([^<]+)<", request.body.decode())
            if not set(order) <= set(parts):
                raise Failed(400, "InvalidBlockList")
            del self._parts[request.name]
            return self.store(request, b"".join(parts[one] for one in order))
        return None

    def removed(self, request: Request) -> Answer:
        boundary = request.headers["content-type"].partition("boundary=")[2].strip('"')
        lines = []
        for number, path in enumerate(re.findall(r"^DELETE (\S+) HTTP", request.body.decode(), re.MULTILINE)):
            found = self.objects.pop(self.request("DELETE", path, {}, b"").name, None)
            status = "202 Accepted" if found else "404 The specified blob does not exist."
            code = {} if found else {"x-ms-error-code": "BlobNotFound"}
            headers = {"x-ms-request-id": "1", "x-ms-version": "2023-11-03", **code}
            told = [f"{name}: {value}" for name, value in headers.items()]
            lines += [f"--{boundary}", "Content-Type: application/http", f"Content-ID: {number}", "",
                      f"HTTP/1.1 {status}", *told, "", ""]  # fmt: skip
        content = "\r\n".join([*lines, f"--{boundary}--", ""]).encode()
        return Answer(202, content, {"Content-Type": f"multipart/mixed; boundary={boundary}"})

    def store(self, request: Request, content: bytes) -> Answer:
        if request.headers.get("if-none-match") == "*" and request.name in self.objects:
            raise Failed(409, "BlobAlreadyExists")
        return super().store(request, content)._replace(status=201)

    def content(self, request: Request, found: Stored) -> Answer:
        answer = super().content(request, found)
        return answer._replace(headers={**answer.headers, "x-ms-blob-type": "BlockBlob"})

    def listed(self, request: Request) -> Answer:
        after = bytes.fromhex(request.query.get("marker", "")).decode()
        page, last = self.some(request.query.get("prefix", ""), after)
        files = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{email.utils.formatdate(one.changed, usegmt=True)}</Last-Modified>"
            f"<Etag>{escape(one.tag)}</Etag><Content-Length>{len(one.content)}</Content-Length>"
            f"<Content-Type>application/octet-stream</Content-Type></Properties></Blob>"
            for name, one in page
        )
        more = f"<NextMarker>{last.encode().hex()}</NextMarker>" if last else "<NextMarker />"
        return Answer(200, f"<EnumerationResults><Blobs>{files}</Blobs>{more}</EnumerationResults>".encode())


def signature(key: str, text: str) -> str:
    """The signature of a text as Azure makes it."""
    return base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256")).decode()


def _sas(permissions: str) -> str:
    return "\n".join([ACCOUNT, permissions, "b", "sco", "", "2050-01-01T00:00:00Z", "", "", "2021-08-06", "", ""])


def signed_query(permissions: str = "rwdlc", key: str = KEY) -> dict[str, str]:
    """The query of a shared access signature of the account."""
    return {
        "sv": "2021-08-06", "ss": "b", "srt": "sco", "sp": permissions, "se": "2050-01-01T00:00:00Z",
        "sig": signature(key, _sas(permissions)),
    }  # fmt: skip


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


@contextlib.contextmanager
def serving_objects(store: ObjectStore) -> Iterator[ObjectStore]:
    """Context in which a store answers at its `endpoint`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status, content, more = store.answer(store.request(self.command, self.path, headers, body))
            except Failed as error:
                status, code = error.args
                content, more = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode(), {}
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with listening(Handler) as store.endpoint:
        yield store
