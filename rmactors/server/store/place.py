"""Where the database is: a file, or a PostgreSQL. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = ("postgresql://", "postgres://")
_ESCAPE: Final = re.compile(r"%(?!(?!00)[0-9A-Fa-f]{2})")
"""A percent sign that begins no escape, or begins the one of NUL."""
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^\[\]:@]*)(?::(?P<port>\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """`postgresql://user:password@host:port/database?options`, as libpq takes it, also with several hosts."""

    url: str

    def __str__(self) -> str:
        """Without password and options, for messages."""
        parts = urlsplit(self.url)
        user, _, hosts = parts.netloc.rpartition("@")
        name = user.partition(":")[0]
        return f"{parts.scheme}://{name + '@' if name else ''}{hosts}{parts.path}"

    def __repr__(self) -> str:
        return f"PostgresUrl({str(self)!r})"


Place = Path | PostgresUrl


def url_problem(url: str) -> str | None:
    """Why this is no URL of a PostgreSQL, and what to write instead. Nothing of the URL is repeated: it may hold a
    password, and one that is not written right can be anywhere in it."""
    if not url.startswith(SCHEMES):
        return "must begin with postgresql://, as in postgresql://user:password@host/database"
    escaped = (
        "a sign in the password or the user that means something in a URL must be written with its code: % as %25,"
        " @ as %40, / as %2F, : as %3A, ? as %3F, # as %23, [ as %5B, a space as %20"
    )
    if any(character.isspace() or character < " " for character in url) or "#" in url or _ESCAPE.search(url):
        return escaped
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are none of an IPv6 address
        return escaped
    user, _, hosts = parts.netloc.rpartition("@")
    if "@" in user + parts.path + parts.query or parts.path.count("/") > 1:
        return escaped
    for host in hosts.split(","):
        found = _HOST.fullmatch(host)
        if found is None or (found["port"] is not None and not 0 < int(found["port"]) < 65536):
            return f"must name hosts as host or host:port, an IPv6 address in brackets; {escaped}"
    return None
