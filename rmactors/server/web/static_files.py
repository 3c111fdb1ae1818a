"""The static files, read once: under their names, and under names that hold a hash of their content.

`static("app.js")` gives the second, which templates use: browsers keep it for a year and never ask again, since another
content has another name. What has a fixed name (the service worker, icons of the manifest) is kept for minutes.
"""

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from quart import Response, request
from werkzeug.exceptions import NotFound

from rmactors.server.config import resources
from rmactors.server.web import compression

_FOREVER: Final = "public, max-age=31536000, immutable"
_MINUTES: Final = "public, max-age=300"
_TODAY: Final = "no-cache"
_HASHED: Final = re.compile(r"(?P<stem>.+)\.(?P<hash>[0-9a-f]{12})(?P<suffix>\.[a-z0-9]+)", re.ASCII)
_SCRIPT: Final = "text/javascript"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file: `packed` is its gzip, None where that is no shorter. `tag` is a hash of the content."""

    name: str
    data: bytes
    packed: bytes | None
    content_type: str
    tag: str

    @property
    def hashed_name(self) -> str:
        path = PurePosixPath(self.name)
        return str(path.with_name(f"{path.stem}.{self.tag}{path.suffix}"))


def folder() -> Path:
    return resources.path("web/static")


@cache
def files() -> Mapping[str, StaticFile]:
    """All of them by name, as they were when this was first asked."""
    root = folder()
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {file.name: file for file in (_read(path, path.relative_to(root).as_posix()) for path in paths)}


def static(name: str) -> str:
    """The address of a static file, for a page. Raises KeyError if there is none of that name."""
    return f"/static/{files()[name].hashed_name}"


def answer(name: str) -> Response:
    """What a request for `/static/<name>` gets. Raises NotFound."""
    file, kept = _found(name)
    weak = f'W/"{file.tag}"'
    response = Response(b"", content_type=file.content_type)
    response.headers["Cache-Control"] = kept
    response.headers["ETag"] = weak
    if file.packed is not None:
        compression.vary(response)
    if request.if_none_match.contains_weak(file.tag):
        response.status_code = 304
        response.headers.pop("Content-Type", None)
        response.headers.pop("Content-Length", None)
    elif file.packed is not None and compression.takes_gzip(request.accept_encodings):
        response.set_data(file.packed)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response.set_data(file.data)
    return response


def _found(name: str) -> tuple[StaticFile, str]:
    """The file, and for how long it may be kept.

    A page of an older version, which a browser loaded just before the server was updated, gets the file there is.
    """
    known = files()
    if (file := known.get(name)) is not None:
        return file, _MINUTES
    match = _HASHED.fullmatch(name)
    file = known.get(match["stem"] + match["suffix"]) if match else None
    if match is None or file is None:
        raise NotFound
    return file, _FOREVER if match["hash"] == file.tag else _TODAY


def _read(path: Path, name: str) -> StaticFile:
    data = path.read_bytes()
    kind = _SCRIPT if path.suffix == ".js" else mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = compression.is_text(kind)
    packed = compression.squeeze(data, 9) if text else data
    return StaticFile(
        name,
        data,
        packed if len(packed) < len(data) else None,
        f"{kind}; charset=utf-8" if text else kind,
        hashlib.sha256(data).hexdigest()[:12],
    )
