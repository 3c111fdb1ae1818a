"""Where the database is: a file, or a PostgreSQL. Pure."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


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
