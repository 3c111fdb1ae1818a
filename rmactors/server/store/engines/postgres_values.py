"""Parameters as libpq takes them, and rows as the store reads them. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from rmactors.server.store.database import PostgresError


def bound(parameters: Sequence[Any]) -> tuple[list[bytes | None], list[int] | None]:
    """As libpq takes them: texts, for PostgreSQL to read as what the statement needs; bytes as they are."""
    values: list[bytes | None] = []
    formats: list[int] | None = None
    for place, value in enumerate(parameters):
        if value is None:
            values.append(None)
        elif isinstance(value, str):
            if "\0" in value:
                raise PostgresError("a text with a NUL character cannot be stored", "22021")
            values.append(value.encode())
        elif isinstance(value, bytes):
            formats = formats or [0] * len(parameters)
            formats[place] = 1
            values.append(value)
        elif isinstance(value, int):
            values.append(b"%d" % value)
        else:
            values.append(repr(value).encode())
    return values, formats


class _Row(tuple[Any, ...]):
    """One row. Its values by place, or by the names that its class knows."""

    __slots__ = ()
    places: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.places[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        return list(self.places)


def _number(text: bytes) -> int | float:
    """Of type numeric: sums of integers, which stay integers."""
    return float(text) if b"." in text or b"N" in text else int(text)


_READERS: Final[dict[int, Callable[[bytes], Any]]] = {
    16: lambda text: int(text == b"t"),
    17: lambda text: bytes.fromhex(text[2:].decode()),
    20: int, 21: int, 23: int, 26: int, 700: float, 701: float, 1700: _number,
}  # fmt: skip


def reader_of(result: Any) -> Callable[[Any], list[Any]]:
    """What turns the answers of one statement into rows."""
    columns = range(result.nfields)
    names = [(result.fname(column) or b"").decode() for column in columns]
    readers = [_READERS.get(result.ftype(column), bytes.decode) for column in columns]
    made = type("Row", (_Row,), {"__slots__": (), "places": {name: place for place, name in enumerate(names)}})
    pairs = list(zip(columns, readers, strict=True))

    def rows(result: Any) -> list[Any]:
        value_of = result.get_value
        return [
            made([None if (value := value_of(row, column)) is None else read(value) for column, read in pairs])
            for row in range(result.ntuples)
        ]

    return rows
