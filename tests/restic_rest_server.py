"""restic's REST backend on loopback, to be told how to misbehave: append-only, no deletes at all, errors, silence.

A real server that real restics talk to (`rest:http://127.0.0.1:PORT/`). It keeps files in memory. Give it a moment's
worth of work: it is no place for gigabytes.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_PATH: Final = re.compile(r"/(?P<kind>config|data|keys|locks|snapshots|index)(?:/(?P<name>[0-9a-f]*))?")
_V2: Final = "application/vnd.x.restic.rest.v2"


@dataclass(frozen=True)
class Asked:
    """One request of restic's: `kind` is the folder (`locks`, `data` …), `name` the file in it or empty."""

    method: str
    kind: str
    name: str


@dataclass
class RestServer:
    """The repository behind the port, and the switches. Switches may be set while restic runs."""

    port: int = 0
    append_only: bool = False
    """Nothing may be deleted or replaced but locks, as `rest-server --append-only` does."""
    no_deletes: bool = False
    """Not even locks: the key that may not delete."""
    fails: Callable[[Asked], int | None] = lambda asked: None
    """The HTTP status to answer this request with, or None to serve it."""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def repository(self) -> str:
        """As restic's `-r` wants it."""
        return f"rest:http://127.0.0.1:{self.port}/"

    def names(self, kind: str) -> list[str]:
        """The files in one of the repository's folders."""
        return sorted(name for found, name in list(self.files) if found == kind)

    def load(self, folder: Path) -> None:
        """Take in a repository that restic made in a local folder."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.files["config" if path.name == "config" else path.relative_to(folder).parts[0], path.name] = (
                    path.read_bytes()
                )

    def answer(self, asked: Asked, body: bytes) -> tuple[int, bytes]:
        """Status and body for one request; the range of a GET is cut by the caller."""
        self.asked.append(asked)
        if (status := self.fails(asked)) is not None:
            return status, b"told to fail\n"
        key = (asked.kind, asked.name or asked.kind if asked.kind == "config" else asked.name)
        match asked.method:
            case "GET" | "HEAD" if asked.kind != "config" and not asked.name:
                listed = [{"name": name, "size": len(self.files[asked.kind, name])} for name in self.names(asked.kind)]
                return 200, json.dumps(listed).encode()
            case "GET" | "HEAD":
                return (200, self.files[key]) if key in self.files else (404, b"")
            case "POST" if key in self.files and self.append_only:
                return 403, b""
            case "POST":
                self.files[key] = body
                return 200, b""
            case "DELETE" if self.no_deletes or (self.append_only and asked.kind != "locks"):
                return 403, b""
            case "DELETE":
                return (200, b"") if self.files.pop(key, None) is not None else (404, b"")
            case _:
                return 405, b""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    backend: RestServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        found = _PATH.fullmatch(urlsplit(path).path.rstrip("/") or "/")
        if found is None:  # `POST /?create=true` makes the folders, which are always there
            status, content = (200, b"") if query == "create=true" else (404, b"")
        else:
            status, content = self.backend.answer(Asked(self.command, found["kind"], found["name"] or ""), body)
        if status == 200 and self.command == "GET" and (asked := self.headers.get("Range")):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            content, status = content[int(first) : int(last) + 1 if last else None], 206
        self.send_response(status)
        self.send_header("Content-Type", _V2 if found and not found["name"] else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Not on the tests' stderr."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A restic that was killed leaves a broken pipe: nothing to show."""


@contextmanager
def rest_server(repository: Path | None = None) -> Iterator[RestServer]:
    """Serve a copy of that repository's files, or an empty place, until the block ends."""
    backend = RestServer()
    if repository is not None:
        backend.load(repository)
    with _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"backend": backend})) as listening:
        backend.port = listening.server_port
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield backend
        finally:
            listening.shutdown()
            thread.join()
