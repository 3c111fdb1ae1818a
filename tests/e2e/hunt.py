"""Looking for secrets where they must not be: files, logs, tables and answers, and each secret in many spellings."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from html import escape
from pathlib import Path
from urllib.parse import quote


def spellings(secret: str | bytes) -> set[bytes]:
    """A secret as it may be written somewhere: raw, base64 at each offset, hexadecimal, in URLs, JSON, HTML, UTF-16."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(raw, safe="").encode()}
    for before in range(3):  # inside of something longer, its characters depend on where it begins
        coded = base64.b64encode(b"\0" * before + raw)
        inner = coded[4 if before else 0 : len(coded) // 4 * 4 - 4]
        found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    if isinstance(secret, str):
        found |= {json.dumps(secret)[1:-1].encode(), escape(secret).encode(), secret.encode("utf-16-le")}
    return {text for text in found if len(text) >= 8}


class Hunt:
    """Secrets by name, and where each was found. `places` maps a place to the names of what it holds."""

    def __init__(self) -> None:
        self.secrets: dict[str, set[bytes]] = {}
        self.places: dict[str, set[str]] = {}
        self.searched = 0

    def hide(self, name: str, secret: str | bytes) -> None:
        """From now on this must not be found. Give it without the part that is shown on purpose."""
        assert len(secret) >= 10, f"{name} is too short to be looked for"
        assert name not in self.secrets, name
        self.secrets[name] = spellings(secret)

    def search(self, place: str, content: bytes) -> None:
        self.searched += 1
        for name, texts in self.secrets.items():
            if any(text in content for text in texts):
                self.places.setdefault(place, set()).add(name)

    def search_tables(self, database: Path) -> None:
        """Every value of every row: in the file alone, a long one is in pieces."""
        for table, column, value in _values(database):
            self.search(f"{table}.{column}", value)

    def found(self, name: str) -> set[str]:
        """The places where this secret is."""
        return {place for place, names in self.places.items() if name in names}


def _values(database: Path) -> Iterator[tuple[str, str, bytes]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        tables = [row["name"] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                for column in row.keys():  # noqa: SIM118 - a Row iterates over its values
                    value = row[column]
                    yield table, column, value if isinstance(value, bytes) else str(value).encode()
    finally:
        connection.close()
