"""What prune says of itself, 0.14 to 0.19: text with every flag, also with `--json`. Pure."""

import re
from dataclasses import dataclass, field
from typing import Final

_LINE: Final = re.compile(
    r"^\s*(?P<what>total prune|remaining):\s+(?P<blobs>\d+) blobs / (?P<size>\d+(?:\.\d+)?) (?P<unit>B|[KMGTPE]iB)\s*$"
)
_UNUSED: Final = re.compile(r"^\s*unused size after prune:\s+(?P<size>\d+(?:\.\d+)?) (?P<unit>B|[KMGTPE]iB)\b")
_UNITS: Final = {"B": 0, "KiB": 1, "MiB": 2, "GiB": 3, "TiB": 4, "PiB": 5, "EiB": 6}


@dataclass(slots=True)
class PruneNumbers:
    """Gathered line by line. restic rounds to three places, and so are these: 2.862 MiB are 3001025 bytes or so."""

    _found: dict[str, int] = field(default_factory=dict)

    def take(self, line: str) -> None:
        if found := _LINE.match(line):
            freed = found["what"] == "total prune"
            self._found["bytes_freed" if freed else "bytes_remaining"] = _bytes(found)
            if freed:
                self._found["blobs_removed"] = int(found["blobs"])
        elif found := _UNUSED.match(line):
            self._found["bytes_unused"] = _bytes(found)

    def stats(self) -> dict[str, int]:
        """`bytes_freed`, `blobs_removed`, `bytes_remaining`, `bytes_unused`, as far as they were said.

        It is what prune set out to do, said before it begins: true only of a prune that ended well.
        """
        return dict(self._found)


def _bytes(found: re.Match[str]) -> int:
    factor: int = 1024 ** _UNITS[found["unit"]]
    return round(float(found["size"]) * factor)
