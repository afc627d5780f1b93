"""A Hugging Face hub of models on this machine, for the real client of huggingface_hub.

It answers as huggingface.co does where `push` and `hub://` ask: repositories are made, files are announced, large ones
go to another host by the LFS protocol, a commit makes all of them visible at once, and what is fetched carries the
commit and the hash in its headers. `interrupt` makes it fail on purpose.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from listening import listening

WRITER, READER = "hf_writer-nobody-may-see-this", "hf_reader-nobody-may-see-this"
"""Tokens of the owner `me`, and of somebody else who may only read what is public."""
LARGE = (".safetensors", ".onnx", ".bin", ".jpg")


class Repository:
    """A repository: its commits, of which each maps paths to contents.

    Attributes:
        private: Whether only its owner sees it.
        gated: Whether only its owner may read its files.
        commits: Commit -> path -> content, the newest last.
    """

    def __init__(self, *, private: bool = False, gated: bool = False) -> None:
        self.private, self.gated = private, gated
        self.commits: dict[str, dict[str, bytes]] = {}
        self.tags: dict[str, str] = {}
        self.add({".gitattributes": b"*.safetensors filter=lfs\n"})

    @property
    def head(self) -> str:
        """The newest commit."""
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        """Path -> content at the newest commit."""
        return self.commits[self.head]

    def add(self, files: dict[str, bytes], removed: tuple[str, ...] = ()) -> str:
        """Commit files on top of the newest commit."""
        before = self.files if self.commits else {}
        kept = {path: content for path, content in before.items() if path not in removed}
        oid = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[oid] = kept | files
        return oid

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch, a tag or a commit."""
        if revision == "main":
            return self.head
        return revision if revision in self.commits else self.tags.get(revision)


class ModelHub:
    """What the hub holds, and what was asked.

    Attributes:
        endpoint: Its address, as in `HF_ENDPOINT`.
        repositories: `OWNER/NAME` -> repository.
        requests: Host (`hub` or `files`), method, path and authorization of every request.
        interrupt: Called with method and path before an answer; a status that it returns is answered instead.
        lose: Whether the answer to the next commit is lost after the commit was made.
    """

    def __init__(self) -> None:
        self.endpoint, self.files = "", ""
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str, str | None]] = []
        self.interrupt: Callable[[str, str], int | None] = lambda method, path: None
        self.lose = False

    def asked(self, part: str) -> list[str]:
        """Method and path of the requests whose path holds a text."""
        return [f"{method} {path}" for _, method, path, _ in self.requests if part in path]

    def answer(self, handler: Handler, body: bytes) -> None:
        """Answer a request to the hub."""
        path, token = unquote(urlsplit(handler.path).path), handler.headers.get("Authorization")
        self.requests.append(("hub", handler.command, path, token))
        status = self.interrupt(handler.command, path)
        if status is not None:
            return handler.refuse(status)
        routes = (
            (r"POST /api/validate-yaml", self._validate),
            (r"POST /api/repos/create", self._create),
            (r"GET /api/models/([^/]+/[^/]+?)(?:/revision/(.+))?", self._info),
            (r"POST /api/models/([^/]+/[^/]+)/preupload/(.+)", self._announce),
            (r"POST /api/models/([^/]+/[^/]+)/commit/(.+)", self._commit),
            (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            (r"(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._deliver),
        )
        for pattern, route in routes:
            if found := re.fullmatch(pattern, f"{handler.command} {path}"):
                return route(handler, body, *found.groups())
        return handler.refuse(404)

    def _seen(self, handler: Handler, name: str, *, writing: bool = False) -> Repository | None:
        """The repository if whoever asks may see it; otherwise the refusal is sent."""
        token, found = handler.token, self.repositories.get(name)
        owner = token == WRITER and name.startswith("me/")
        if found is None or (found.private and not owner):
            handler.refuse(404 if token else 401, code="RepoNotFound")
            return None
        if writing and not owner:
            handler.refuse(403 if token else 401)
            return None
        return found

    def _validate(self, handler: Handler, body: bytes) -> None:
        text = json.loads(body)["content"]
        front = yaml.safe_load(text.split("---\n")[1])
        wrong = [] if isinstance(front, dict) and front.get("license") else [{"message": "license is missing"}]
        handler.send(json.dumps({"errors": wrong, "warnings": []}).encode(), status=400 if wrong else 200)

    def _create(self, handler: Handler, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization')}/{asked['name']}"
        if handler.token is None:
            return handler.refuse(401)
        if handler.token != WRITER or asked.get("organization") != "me":
            return handler.refuse(403)
        if name in self.repositories:
            return handler.refuse(409)
        private = bool(asked.get("private") or asked.get("visibility") == "private")
        self.repositories[name] = Repository(private=private)
        return handler.send(json.dumps({"url": f"{self.endpoint}/{name}"}).encode())

    def _info(self, handler: Handler, body: bytes, name: str, revision: str | None) -> None:
        if (found := self._seen(handler, name)) is None:
            return None
        commit = found.resolve(revision or "main")
        if commit is None:
            return handler.refuse(404, code="RevisionNotFound")
        listed = [{"rfilename": path} for path in found.commits[commit]]
        facts = {"id": name, "sha": commit, "private": found.private, "siblings": listed, "tags": []}
        return handler.send(json.dumps(facts | {"gated": "manual" if found.gated else False}).encode())

    def _announce(self, handler: Handler, body: bytes, name: str, revision: str) -> None:
        if self._seen(handler, name, writing=True) is None:
            return None
        modes = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(body)["files"]
        ]
        return handler.send(json.dumps({"files": modes}).encode())

    def _batch(self, handler: Handler, body: bytes, name: str) -> None:
        if self._seen(handler, name, writing=True) is None:
            return None
        objects = []
        for one in json.loads(body)["objects"]:
            href = f"{self.files}/{one['oid']}?signature=secret"
            actions = {} if one["oid"] in self.objects else {"actions": {"upload": {"href": href}}}
            objects.append(one | actions)
        return handler.send(json.dumps({"transfer": "basic", "objects": objects}).encode())

    def _commit(self, handler: Handler, body: bytes, name: str, revision: str) -> None:
        if (found := self._seen(handler, name, writing=True)) is None:
            return None
        files: dict[str, bytes] = {}
        removed: list[str] = []
        for line in body.splitlines():
            entry: dict[str, Any] = json.loads(line)
            value = entry["value"]
            match entry["key"]:
                case "header" if value.get("parentCommit") not in (None, found.head):
                    return handler.refuse(412)
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.objects[value["oid"]]
                case "deletedFile":
                    removed.append(value["path"])
        commit = found.add(files, tuple(removed))
        if self.lose:
            self.lose = False
            return handler.refuse(504)
        answer = {"commitUrl": f"{self.endpoint}/{name}/commit/{commit}", "commitOid": commit}
        return handler.send(json.dumps(answer).encode())

    def _deliver(self, handler: Handler, body: bytes, name: str, revision: str, path: str) -> None:
        if (found := self._seen(handler, name)) is None:
            return None
        if found.gated and handler.token != WRITER:
            return handler.refuse(403, code="GatedRepo")
        commit = found.resolve(revision)
        if commit is None:
            return handler.refuse(404, code="RevisionNotFound")
        content = found.commits[commit].get(path)
        if content is None:
            return handler.refuse(404, code="EntryNotFound", commit=commit)
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        if not path.endswith(LARGE):
            return handler.send(content, headers)
        self.objects.setdefault(sha256, content)
        headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        return handler.send(b"", headers | {"Location": f"{self.files}/{sha256}?signature=secret"}, status=302)

    def store(self, handler: Handler, body: bytes) -> None:
        """Answer a request to the host of the large files."""
        path = urlsplit(handler.path).path
        self.requests.append(("files", handler.command, path, handler.headers.get("Authorization")))
        status = self.interrupt(handler.command, path)
        if status is not None:
            return handler.refuse(status)
        oid = path.strip("/")
        if handler.command == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                return handler.refuse(400)
            self.objects[oid] = body
            return handler.send(b"")
        return handler.send(self.objects[oid], {"ETag": f'"{oid}"'})


class Handler(http.server.BaseHTTPRequestHandler):
    """A request; `answer` of its class answers it."""

    protocol_version = "HTTP/1.1"
    respond: Callable[[Handler, bytes], None]

    @property
    def token(self) -> str | None:
        """The token that was sent."""
        given = self.headers.get("Authorization")
        return given.removeprefix("Bearer ") if given else None

    def _any(self) -> None:
        type(self).respond(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_GET = do_HEAD = do_POST = do_PUT = _any

    def send(self, content: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        """Send an answer; of HEAD, its headers alone."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str = "", commit: str = "") -> None:
        """Send a refusal as the hub words it."""
        headers = {name: value for name, value in (("X-Error-Code", code), ("X-Repo-Commit", commit)) if value}
        self.send(json.dumps({"error": f"refused {code}"}).encode(), headers, status)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@contextlib.contextmanager
def model_hub() -> Iterator[ModelHub]:
    """Serve an empty hub until the block ends."""
    hub = ModelHub()
    with _serving(hub.answer) as hub.endpoint, _serving(hub.store) as hub.files:
        yield hub


@contextlib.contextmanager
def _serving(answer: Callable[[Handler, bytes], None]) -> Iterator[str]:
    kind = type("Answering", (Handler,), {"respond": staticmethod(answer)})
    with listening(kind) as address:
        yield address
