"""Time zones: one function that loads them, from the newest time zone data on this machine.

The data comes from the system (`zoneinfo.TZPATH`) and with the package `tzdata`. Python always takes the system's,
however old it is; here the newer one wins, and the other helps out with names that the newer one lacks. Anyone who runs
for long calls `refresh` now and then: systems and packages are updated beside a running process.

Zones are constants that change a few times a year, so pure modules may ask for them. This module must not read a clock.
"""

import importlib.util
import re
import struct
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from rmactors.common import clock

PACKAGE: Final = "tzdata"
_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_LONGEST: Final = 100
_VERSION: Final = re.compile(r"\d{4}[a-z]+")
REGIONS: Final = (
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
)  # fmt: skip
"""What names of places begin with. Others are old spellings, or stand for an offset."""
_BROKEN: Final = (OSError, ValueError, EOFError, IndexError, struct.error)
"""What reading a file that is no time zone may raise."""


@dataclass(frozen=True, slots=True)
class Data:
    """A folder of time zone data. `version` is like `2026f`, empty if the folder does not say."""

    folder: Path
    version: str

    @property
    def is_package(self) -> bool:
        """Whether it came with the Python package, not with the system."""
        return self.folder.parent.name == PACKAGE


def age(version: str) -> tuple[int, int, str]:
    """To compare versions by: the greater one is newer. `2026z` is older than `2026za`; unknown is oldest."""
    found = _VERSION.match(version)
    if found is None:
        return 0, 0, ""
    letters = found.group()[4:]
    return int(found.group()[:4]), len(letters), letters


def all_folders() -> list[Path]:
    """Where time zone data may be: the system's folders, then the package's."""
    folders = [Path(folder) for folder in zoneinfo.TZPATH]
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        spec = None
    places = spec.submodule_search_locations if spec is not None else None
    return folders + [Path(place) / "zoneinfo" for place in places or ()]


class Zones:
    """The zones in some folders. Each is read once, and again by `refresh`."""

    def __init__(self, folders: Callable[[], Sequence[Path]] = all_folders) -> None:
        self._folders = folders
        self._data = _look(folders())
        self._known: dict[str, tuple[bytes, ZoneInfo]] = {}
        self._doubted: tuple[Data, ...] | None = None

    @property
    def data(self) -> tuple[Data, ...]:
        """What there is, in the order in which a zone is looked for: the newest first."""
        return self._data

    @property
    def version(self) -> str:
        """Of what is used, like `2026f`; empty if that is not known."""
        return self._data[0].version if self._data else ""

    def names(self) -> list[str]:
        """Of all places, sorted: `Africa/Abidjan` and so on."""
        found = {
            path.relative_to(data.folder).as_posix()
            for data in self._data
            for region in REGIONS
            for path in (data.folder / region).rglob("*")
            if not path.name.startswith("__") and path.is_file() and not path.suffix
        }
        return sorted(found)

    def zone(self, name: str) -> tzinfo:
        """The zone of that IANA name. Raises ValueError with a sentence for people."""
        if name in {"UTC", "Etc/UTC"}:
            return UTC
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._read(name)
        return known[1]

    def refresh(self) -> bool:
        """Look at the files again. True if something that was given out is different now.

        What cannot be read just now (an update may be at work) stays as it was.
        """
        data = _look(self._folders())
        gone = {old.folder for old in self._data if old.version} - {new.folder for new in data if new.version}
        if gone and data != self._doubted:
            self._doubted = data  # pip removes the old files first: believe it when it is still so next time
            return False
        self._doubted = None
        changed = data[:1] != self._data[:1]
        self._data = data
        for name, (before, _) in list(self._known.items()):
            try:
                fresh = self._read(name)
            except ValueError:
                continue
            if fresh[0] != before:
                self._known[name] = fresh
                changed = True
        return changed

    def _read(self, name: str) -> tuple[bytes, ZoneInfo]:
        if name == "Z":
            raise ValueError("unknown time zone 'Z': write UTC")
        if len(name) <= _LONGEST and _NAME.fullmatch(name):
            for data in self._data:
                try:
                    content = (data.folder / name).read_bytes()
                    return content, ZoneInfo.from_file(BytesIO(content), key=name)
                except _BROKEN:
                    continue
        raise ValueError(f"unknown time zone {name!r}: use a name like Europe/Berlin or UTC")


def _look(folders: Sequence[Path]) -> tuple[Data, ...]:
    """The folders that exist, the newest first; of two with the same version, the one that was named first."""
    found = [Data(folder, _version_of(folder)) for folder in folders if folder.is_dir()]
    return tuple(sorted(found, key=lambda data: age(data.version), reverse=True))


def _version_of(folder: Path) -> str:
    """As `tzdata.zi` says in its first line (`# version 2026f`), or the file `+VERSION` of some systems."""
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (folder / name).open("rb") as file:
                first = file.readline(200).decode("ascii", "replace")
        except OSError:
            continue
        if found := _VERSION.search(first):
            return found.group()
    return ""


# ---- those of this process

_ours: Zones | None = None


def ours() -> Zones:
    """The zones that this process uses."""
    global _ours  # as ZoneInfo keeps its own: there is one time zone data to a process
    if _ours is None:
        _ours = Zones()
    return _ours


def zone(name: str) -> tzinfo:
    """The zone of that IANA name, by the newest data there is. Raises ValueError with a sentence for people."""
    return ours().zone(name)


def names() -> list[str]:
    """The names of all places that have a zone, sorted."""
    return ours().names()


def version() -> str:
    """Of the data that is used, like `2026f`; empty if that is not known."""
    return ours().version


def refresh() -> bool:
    """Look at the files again. True if something that was given out is different now."""
    return ours().refresh()


def day_and_time(micros: int, zone_name: str = "UTC") -> str:
    """`Saturday 2026-11-21 03:00 UTC`; in UTC as well if this machine does not know the zone."""
    at = clock.to_datetime(micros)
    try:
        at = at.astimezone(zone(zone_name))
    except (ValueError, OverflowError):
        pass
    return at.strftime("%A %Y-%m-%d %H:%M %Z")
