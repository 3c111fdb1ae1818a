"""Which snapshots are a plan's own, and which older ones become so. Pure.

A plan's snapshots are known by a tag that each of its backups carries, together with the host. Never by their paths:
these change, and other plans and other tools back up the same ones. Snapshots from before there was such a tag are
adopted: they get the tag, once, if nothing speaks against it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote

from rmactors.agent.agent_file import PLAN_TAG, AgentFile
from rmactors.agent.restore_patterns import plain
from rmactors.common.text import excerpt

_HEX: Final = frozenset("0123456789abcdef")


class NotOurs(Exception):
    """The snapshot that was named is not there, or not this host's. The message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How a plan knows its snapshots. `twins` are other plans of this host with the same paths in the same place."""

    plan: str
    tag: str
    host: str
    paths: frozenset[str]
    user_tags: frozenset[str]
    twins: tuple[str, ...]
    place: str

    @property
    def selection(self) -> tuple[str, ...]:
        """restic's flags for the plan's snapshots and no others."""
        return ("--host", self.host, "--tag", self.tag)

    @property
    def same_paths(self) -> tuple[str, ...]:
        """restic's flags for what may be adopted, and more: `--path` also takes snapshots of further paths."""
        return ("--host", self.host, *(f"--path={path}" for path in sorted(self.paths)))

    @property
    def adoption(self) -> str:
        """The name under which the agent remembers that the adoption is over."""
        of = hashlib.sha256("\0".join((self.place, self.host, self.tag)).encode("utf-8", "replace")).hexdigest()
        return f"adopted:{of[:32]}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One entry of `restic snapshots --json`. `original` is the id it had before its tags were changed; `size` and
    `added` in bytes, and `files`, are in those that restic 0.17 and later made, `program` from 0.15 on.
    """

    id: str
    time: datetime
    host: str
    paths: tuple[str, ...]
    tags: frozenset[str]
    tree: str
    original: str | None
    size: int | None = None
    files: int | None = None
    added: int | None = None
    program: str | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """The snapshots of one listing, as one plan sees them; each oldest first.

    `left_over` were adopted, but the copy without the tag is still there. `not_ours` have the plan's host and exact
    paths, and are somebody else's or nobody's.
    """

    own: tuple[Snapshot, ...]
    adoptable: tuple[Snapshot, ...]
    left_over: tuple[Snapshot, ...]
    not_ours: tuple[Snapshot, ...]


def identity_of(agent_file: AgentFile, name: str, host: str) -> Identity:
    """The identity of the plan `name`, which the file has."""
    plan = agent_file.plans[name]
    place, paths = agent_file.repositories[plan.repository].place, exact_paths(plan.sources)
    twins = tuple(
        other
        for other, its in agent_file.plans.items()
        if (agent_file.repositories[its.repository].place, exact_paths(its.sources)) == (place, paths) and other != name
    )
    return Identity(name, identity_tag(name), host, paths, frozenset(plan.tags), twins, place)


def identity_tag(plan: str) -> str:
    """The tag of a plan's backups: different for different names, and without the comma that restic splits tags at."""
    return PLAN_TAG + quote(plan, safe="", errors="surrogatepass")


def plan_of(tags: Iterable[str]) -> str | None:
    """The plan whose backup carries these tags; None if they name none, or several."""
    found = {tag.removeprefix(PLAN_TAG) for tag in tags if tag.startswith(PLAN_TAG)}
    return unquote(found.pop()) if len(found) == 1 else None


def exact_paths(sources: Iterable[str]) -> frozenset[str]:
    """The paths that restic writes into a snapshot of these sources: cleaned, absolute, however they are written."""
    return frozenset(plain(source) for source in sources)


def read_listing(answer: bytes) -> list[Snapshot]:
    """What `restic snapshots --json` answered. Raises ValueError if that is no list of snapshots: then nothing is
    known, which is something else than that there are none.
    """
    for line in answer.splitlines():  # some versions say something before it
        if line.startswith(b"["):
            return [_snapshot(one) for one in json.loads(line)]
    raise ValueError("no list")


def sort_out(identity: Identity, snapshots: Iterable[Snapshot], *, adopted: bool) -> Sorted:
    """Who owns what. `adopted`: the adoption is over, and what has no tag by now is somebody else's.

    Only what is older than the plan's first tagged backup can be from before there were such tags.
    """
    unique = {one.id: one for one in snapshots if one.host == identity.host}
    ordered = sorted(unique.values(), key=lambda one: one.time)
    own = [one for one in ordered if identity.tag in one.tags]
    begun = min((one.time for one in own if one.original is None), default=None)
    adoptable, left_over, not_ours = [], [], []
    for one in ordered:
        if identity.tag in one.tags:
            continue
        if any(_is_copy(copy, one, identity.tag) for copy in own):
            left_over.append(one)
        elif exact_paths(one.paths) != identity.paths or not one.paths:
            continue
        elif adopted or identity.twins or not one.tags <= identity.user_tags or (begun and one.time >= begun):
            not_ours.append(one)
        else:
            adoptable.append(one)
    return Sorted(tuple(own), tuple(adoptable), tuple(left_over), tuple(not_ours))


def newest(found: Sorted) -> Snapshot | None:
    """The plan's latest snapshot, one that is still to be adopted included."""
    mine = (*found.own, *found.adoptable)
    return max(mine, key=lambda one: one.time, default=None)


def by_id(found: Sorted, wanted: str) -> str | None:
    """What restic is to be asked for: the id of the plan's newest for `latest`, None if it has none; for the id
    that a snapshot had before it was adopted, its id now; any other id as it is.
    """
    if wanted == "latest":
        latest = newest(found)
        return None if latest is None else latest.id
    former = {one.id for one in found.own if (one.original or "").startswith(wanted)}
    return former.pop() if len(former) == 1 and not any(one.id.startswith(wanted) for one in found.own) else wanted


def whose(answer: Iterable[Snapshot], wanted: str, host: str, *, anybodys: bool) -> str:
    """The full id of the snapshot that restic found for `wanted`. Raises NotOurs, whose words are for the operator.

    restic itself passes over `--host` where it is given an id. `anybodys`: this host's file allows those of others.
    """
    matching = {one.id: one for one in answer if one.id.startswith(wanted)}
    if not matching:
        raise NotOurs(f"there is no snapshot {wanted} in this repository")
    if len(matching) > 1:
        raise NotOurs(f"several snapshots begin with {wanted}: give more of the id")
    (found,) = matching.values()
    if found.host != host and not anybodys:
        raise NotOurs(
            f"snapshot {wanted} was made by host {excerpt(found.host, 100)}, not by {host}; agent.toml can allow "
            "that with `snapshots_of_other_hosts = true` at the repository"
        )
    return found.id


def removal(answer: bytes) -> frozenset[str] | None:
    """The ids that `forget --json` lists as removed: what the policy says, not what was done. None without a list."""
    for line in answer.splitlines():
        if line.startswith(b"["):
            try:
                groups = json.loads(line)
            except ValueError:
                return None
            return frozenset(
                str(one["id"])
                for group in groups
                if isinstance(group, Mapping)
                for one in group.get("remove") or ()
                if isinstance(one, Mapping) and one.get("id")
            )
    return None


def _is_copy(copy: Snapshot, of: Snapshot, tag: str) -> bool:
    """Whether `copy` is what `restic tag --add` made of the other: with the plan's tag, and equal in all else."""
    return (
        copy.original == (of.original or of.id)
        and (copy.tree, copy.time, copy.paths) == (of.tree, of.time, of.paths)
        and copy.tags - {tag} == of.tags
    )


def _snapshot(found: Any) -> Snapshot:
    """Raises ValueError."""
    if not isinstance(found, Mapping):
        raise ValueError("no snapshot")
    identifier, original = found.get("id"), found.get("original")
    if not isinstance(identifier, str) or len(identifier) != 64 or not _HEX.issuperset(identifier):
        raise ValueError("a snapshot without an id")
    time = datetime.fromisoformat(str(found.get("time")))
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    return Snapshot(
        id=identifier,
        time=time,
        host=str(found.get("hostname") or ""),
        paths=_texts(found.get("paths")),
        tags=frozenset(_texts(found.get("tags"))),
        tree=str(found.get("tree") or ""),
        original=original if isinstance(original, str) and original else None,
        size=_number(found.get("summary"), "total_bytes_processed"),
        files=_number(found.get("summary"), "total_files_processed"),
        added=_number(found.get("summary"), "data_added"),
        program=str(found["program_version"])[:200] if found.get("program_version") else None,
    )


def _number(summary: Any, name: str) -> int | None:
    size = summary.get(name) if isinstance(summary, Mapping) else None
    return size if isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 63 else None


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, Sequence) and not isinstance(found, str) else ()
