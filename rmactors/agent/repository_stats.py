"""What restic says of a whole repository: its id, how large it is, whose snapshots are in it, who locks it. Pure.

Sizes are what `restic stats --mode raw-data` counts: what snapshots refer to. Data that no snapshot uses any more is
not in them until `prune` has removed it.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any, Final

from rmactors.agent.own_snapshots import Snapshot
from rmactors.agent.unlock_job import HeldLock
from rmactors.common.text import printable

MOST_HOSTS: Final = 5
"""Of a repository with more hosts nobody is told what only one of them has: each costs two looks at all data."""
MOST_LISTED: Final = 200
"""Hosts of one repository that are told."""
_ID: Final = re.compile(r"[0-9a-f]{64}")
_HIGHEST: Final = 1 << 63
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Config:
    """restic's own id of the repository (64 hex digits), and the version of its format."""

    repository_id: str
    version: int | None


@dataclass(frozen=True, slots=True)
class Amount:
    """Bytes of some snapshots as they lie in the repository, each part once. `uncompressed_bytes`, and `compression`,
    which is how many times smaller they became, are None where restic does not tell: before 0.15, and in version 1."""

    size_bytes: int
    uncompressed_bytes: int | None
    compression: float | None


@dataclass(frozen=True, slots=True)
class HostShare:
    """What one host has in a repository, by the name under which its snapshots are filed. `unique_bytes` is what no
    other host's snapshots use; None where that was not found out."""

    host: str
    snapshots: int
    bytes: int | None = None
    unique_bytes: int | None = None


def read_config(answer: bytes) -> Config | None:
    """What `restic cat config` answered; None if that cannot be read."""
    found = _object(answer)
    identifier = found.get("id")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        return None
    return Config(identifier, _count(found.get("version")))


def read_amount(answer: bytes) -> Amount | None:
    """What `restic stats --json --mode raw-data` answered; None if that cannot be read."""
    found = _object(answer)
    size = _count(found.get("total_size"))
    if size is None:
        return None
    ratio: Any = found.get("compression_ratio")
    told = isinstance(ratio, int | float) and math.isfinite(ratio) and ratio > 0
    return Amount(size, _count(found.get("total_uncompressed_size")), float(ratio) if told else None)


def read_ids(answer: bytes) -> list[str]:
    """What `restic list locks` answered: ids, sorted."""
    return sorted(line for line in answer.decode("ascii", "replace").split() if _ID.fullmatch(line))


def shares(snapshots: Iterable[Snapshot]) -> list[HostShare]:
    """How many snapshots each host has, those with most first."""
    counts = Counter(one.host for one in snapshots)
    return [HostShare(host, number) for host, number in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]


def can_be_told_apart(hosts: Iterable[HostShare]) -> bool:
    """Whether restic can be asked for the data of each of these alone, at a bearable cost."""
    names = [share.host for share in hosts]
    return len(names) <= MOST_HOSTS and all(names)  # restic takes `--host ""` for every host


def groups(hosts: Iterable[HostShare]) -> list[frozenset[str]]:
    """Of which hosts together the data must be counted to know what each has alone: each, and all but each."""
    names = frozenset(share.host for share in hosts)
    wanted = [group for host in sorted(names) for group in (frozenset({host}), names - {host})]
    return [group for group in dict.fromkeys(wanted) if group and group != names]


def told_apart(
    hosts: Iterable[HostShare], total: int, amounts: Mapping[frozenset[str], int]
) -> list[HostShare]:  # fmt: skip
    """The same hosts with their bytes, from the bytes of all and of `groups`. What was not counted stays unknown."""
    listed = list(hosts)
    names = frozenset(share.host for share in listed)
    known = {**amounts, names: total, frozenset[str](): 0}
    found = []
    for share in listed:
        others = known.get(names - {share.host})
        unique = None if others is None else max(0, total - others)
        found.append(HostShare(share.host, share.snapshots, known.get(frozenset({share.host})), unique))
    return found


def shares_told(hosts: Iterable[HostShare]) -> list[dict[str, Any]]:
    """For the answer to the server."""
    listed = list(hosts)[:MOST_LISTED]
    return [asdict(share) | {"host": printable(share.host[:_LONGEST_NAME])} for share in listed]


def lock_told(lock: HeldLock) -> dict[str, Any]:
    """For the answer to the server. `at` is when it was made or last refreshed."""
    at = lock.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"host": lock.host, "user": lock.user, "pid": lock.pid, "at": at, "exclusive": lock.exclusive}


def _object(answer: bytes) -> Mapping[str, Any]:
    """The JSON object in restic's answer, which some versions begin with a line of text; empty if there is none."""
    start = answer.find(b"{")
    try:
        found = json.loads(answer[start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _HIGHEST else None
