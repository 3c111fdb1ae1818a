"""Which hosts a list shows, in which order: one selection for pages, CSV and API.

A search reads the index `hosts_listed` alone; what a host shows besides is read for the hosts of one page.
"""

# ruff: noqa: S608 - what is put into the SQL here are our own words; values are always bound

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from rmactors.common.vocabulary import HostStatus
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import columns, placeholders, read, tuples

HostSort = Literal["name", "-name", "last_backup", "-last_backup", "status", "-status", "alerts", "-alerts"]
API_SORTS: Final[tuple[HostSort, ...]] = ("name", "-name", "last_backup", "-last_backup", "status")
STATUSES: Final[tuple[HostStatus, ...]] = ("offline", "never_seen", "reports_only", "online")
"""In the order in which they are sorted: what may need somebody comes first."""
STATE_WORDS: Final[Mapping[str, HostStatus]] = {
    "offline": "offline", "silent": "offline", "online": "online", "never seen": "never_seen",
    "reports only": "reports_only", "never_seen": "never_seen", "reports_only": "reports_only",
}  # fmt: skip
"""What a search for a state may be typed as."""
_SEARCHED: Final = ("h.name_key", "lower(h.hostname)", "lower(h.tags)")
_LEAST_TYPED: Final = 3
"""Letters of such a word that are enough."""
_MOST_WORDS: Final = 8
_ALL: Final = (1 << 63) - 1
_UNRESOLVED: Final = "resolved = 0 AND acknowledged_at IS NULL"
_RANK: Final = (
    "CASE WHEN h.first_hello_at IS NULL THEN CASE WHEN h.first_report_at IS NULL THEN 1 ELSE 2 END"
    " WHEN coalesce(nullif(h.last_seen_at, 0), h.first_hello_at) >= ? THEN 3 ELSE 0 END"
)
"""The place of a host's status in `STATUSES`; bound to since when it must have been heard from to be online."""


@dataclass(frozen=True, slots=True)
class HostFilter:
    """What a list of hosts is narrowed to. Each word of `q` is a part of the name, of the machine's own name or of a
    tag, or the beginning of a word for a state. `alerts`: those with open alerts only."""

    q: str = ""
    tag: str = ""
    status: HostStatus | None = None
    alerts: bool = False

    @property
    def everything(self) -> bool:
        return not (self.q or self.tag or self.status or self.alerts)


EVERY_HOST: Final = HostFilter()


@dataclass(frozen=True, slots=True)
class Selected:
    """Hosts by id, in order. `matching` is how many there are on all pages; `after` the sort key of the last one here,
    None at the end."""

    ids: list[str]
    matching: int
    after: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class TagCount:
    """How many hosts have a tag."""

    tag: str
    hosts: int


class SheetRow(NamedTuple):
    """A host as a sheet has it. `tags` is a JSON list as text; times in microseconds, 0 for never."""

    id: str
    name: str
    hostname: str
    tags: str
    first_hello_at: int | None
    first_report_at: int | None
    last_seen_at: int | None
    last_backup_at: int
    last_good_backup_at: int
    agent_version: str
    restic_version: str | None
    open_alerts: int


_KEYS: Final[Mapping[str, str]] = {
    "name": "h.name_key, h.id",
    "last_backup": "h.last_backup_at, h.id",
    "status": f"{_RANK}, h.name_key, h.id",
}
_SHAPES: Final[Mapping[str, tuple[type, ...]]] = {
    "name": (str, str), "last_backup": (int, str), "status": (int, str, str),
}  # fmt: skip


def key_shape(sort: str) -> tuple[type, ...]:
    """The types in the sort key of an order."""
    return _SHAPES[sort.removeprefix("-")]


def select(
    db: Database,
    wanted: HostFilter,
    sort: HostSort,
    heard_since: int,
    limit: int,
    *,
    skip: int = 0,
    after: tuple[Any, ...] | None = None,
) -> Selected:
    """Past `skip` hosts, or past the sort key `after`. A host is online if it was heard from since `heard_since`."""
    where, bound = _where(wanted, heard_since)
    if sort.endswith("alerts"):
        return _by_alerts(db, where, bound, limit, skip, troubled_first=sort.startswith("-"))
    by, descending = sort.removeprefix("-"), sort.startswith("-")
    key, key_bound = _KEYS[by], [heard_since] if by == "status" else []
    past, past_bound = "", []
    if after is not None:
        marks = ", ".join("CAST(? AS BIGINT)" if kind is int else "?" for kind in _SHAPES[by])
        past = f" AND ({key}) {'<' if descending else '>'} ({marks})"
        past_bound = [*key_bound, *after]
    index = "INDEXED BY hosts_listed" if by == "name" else ""
    once = bool(wanted.q) and after is None  # a search looks at every host: one look finds and counts them
    rows = db.execute(
        f"SELECT {key} FROM hosts h {index} WHERE {where}{past} ORDER BY {_ordered(by, descending)} LIMIT ? OFFSET ?",
        (*key_bound, *bound, *past_bound, _ALL if once else limit + 1, 0 if once else skip),
    )
    found = tuples(rows).fetchall()
    matching = len(found) if once else _count(db, where, bound)
    if once:
        found = found[skip : skip + limit + 1]
    more = found[limit - 1] if len(found) > limit else None
    return Selected([row[-1] for row in found[:limit]], matching, more)


def _ordered(by: str, descending: bool) -> str:
    """By number of the column in the SELECT, so that what it is made of is bound once."""
    way = " DESC" if descending else ""
    return ", ".join(f"{n}{way}" for n in range(1, len(_SHAPES[by]) + 1))


def _by_alerts(db: Database, where: str, bound: list[Any], limit: int, skip: int, *, troubled_first: bool) -> Selected:
    """Those with critical alerts first, then those with most, then all others by name; or the other way round."""
    troubled = [
        row[0]
        for row in db.execute(
            "SELECT h.id FROM (SELECT host_id,"
            " max(CASE severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END) AS worst,"
            f" count(*) AS many FROM alerts INDEXED BY alerts_open_of_hosts WHERE {_UNRESOLVED}"
            f" GROUP BY host_id) a JOIN hosts h ON h.id = a.host_id WHERE {where}"
            f" ORDER BY {'worst DESC, many DESC' if troubled_first else 'worst, many'}, h.name_key, h.id",
            bound,
        )
    ]
    matching = _count(db, where, bound)

    def calm(most: int, past: int) -> list[str]:
        if most <= 0:
            return []
        rows = db.execute(
            f"SELECT h.id FROM hosts h WHERE {where} AND NOT EXISTS (SELECT 1 FROM alerts INDEXED BY"
            f" alerts_open_of_hosts WHERE host_id = h.id AND {_UNRESOLVED}) ORDER BY h.name_key, h.id LIMIT ? OFFSET ?",
            (*bound, most, max(0, past)),
        )
        return [row[0] for row in rows]

    if troubled_first:
        first = troubled[skip : skip + limit]
        return Selected([*first, *calm(limit - len(first), skip - len(troubled))], matching)
    quiet = matching - len(troubled)
    last = troubled[max(0, skip - quiet) : max(0, skip + limit - quiet)]
    return Selected([*calm(min(limit, quiet - skip), skip), *last], matching)


def sheet(db: Database, wanted: HostFilter, sort: HostSort, heard_since: int, limit: int) -> list[SheetRow]:
    """All hosts that the filter finds, at most `limit`."""
    ids = select(db, wanted, sort, heard_since, limit).ids
    found: dict[str, SheetRow] = {}
    for some in batched(ids):
        rows = db.execute(
            f"SELECT {columns(SheetRow).removesuffix('open_alerts')} (SELECT count(*) FROM alerts INDEXED BY"
            f" alerts_open_of_hosts WHERE host_id = hosts.id AND {_UNRESOLVED})"
            f" FROM hosts WHERE id IN ({placeholders(some)})",
            some,
        )
        found |= {row.id: row for row in read(SheetRow, rows)}
    return [found[host_id] for host_id in ids]


def batched(ids: Sequence[str], size: int = 500) -> Iterator[list[str]]:
    """Some at a time: a database takes so many values at once."""
    for begin in range(0, len(ids), size):
        yield list(ids[begin : begin + size])


def tag_counts(db: Database) -> list[TagCount]:
    """Every tag in use, by name. Hosts have few sets of tags: each is read once."""
    found: dict[str, int] = {}
    for text, many in db.execute("SELECT tags, count(*) FROM hosts WHERE deleted_at IS NULL GROUP BY tags"):
        for tag in tags_in(text):
            found[tag] = found.get(tag, 0) + many
    return [TagCount(tag, found[tag]) for tag in sorted(found)]


def grouped(
    db: Database, wanted: HostFilter, heard_since: int, limit: int, skip: int
) -> tuple[list[tuple[str, str]], Selected, dict[str, int]]:
    """(tag, host) of one page of the hosts by tag and then by name, the hosts on it, and how many each tag has. A host
    with several tags comes under each of them; those without any come last, under an empty one."""
    where, bound = _where(wanted, heard_since)
    rows = db.execute(
        f"SELECT h.id, h.tags FROM hosts h INDEXED BY hosts_listed WHERE {where} ORDER BY h.name_key", bound
    ).fetchall()
    under: dict[str, list[str]] = {}
    for host_id, text in rows:
        for tag in tags_in(text) or ("",):
            if not wanted.tag or tag == wanted.tag:
                under.setdefault(tag, []).append(host_id)
    order = sorted(under, key=lambda tag: (not tag, tag))
    places = [(tag, host_id) for tag in order for host_id in under[tag]]
    shown = places[skip : skip + limit]
    selected = Selected(list(dict.fromkeys(host_id for _tag, host_id in shown)), len(rows))
    return shown, selected, {tag: len(hosts) for tag, hosts in under.items()}


@lru_cache(maxsize=4096)
def tags_in(text: str) -> tuple[str, ...]:
    """The tags in a host's JSON list."""
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(dict.fromkeys(str(tag) for tag in found)) if isinstance(found, list) else ()


def ids_of(host: str | None, tag: str | None) -> tuple[str, list[Any]]:
    """A SELECT of the hosts that have this in their name and this tag, and what it is bound to; empty for all."""
    conditions, bound = list[str](), list[Any]()
    if host:
        conditions.append("name_key LIKE ? ESCAPE '\\'")
        bound.append(literal(host.casefold()))
    if tag:
        conditions.append(tag_condition("tags"))
        bound.append(tag_text(tag))
    if not conditions:
        return "", []
    return f"SELECT id FROM hosts WHERE deleted_at IS NULL AND {' AND '.join(conditions)}", bound


def host_named(db: Database, text: str) -> tuple[str, str] | None:
    """(id, name) of the host that has exactly this id, also of a deleted one, or this name."""
    row = db.execute(
        "SELECT id, name FROM hosts WHERE id = ? UNION ALL"
        " SELECT id, name FROM hosts WHERE deleted_at IS NULL AND name_key = ? LIMIT 1",
        (text, text.casefold()),
    ).fetchone()
    return (row[0], row[1]) if row is not None else None


def literal(text: str) -> str:
    """A pattern for LIKE with `ESCAPE '\\'` that finds this text anywhere."""
    escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def tag_condition(column: str) -> str:
    """That a host's JSON list has this tag, in upper and lower case as it is; bound to `tag_text`."""
    return f"replace({column}, ?, '') <> {column}"


def tag_text(tag: str) -> str:
    """What `tag_condition` is bound to: the tag as it stands in a JSON list. Its quotes are of no other tag."""
    return json.dumps(tag)


def _where(wanted: HostFilter, heard_since: int) -> tuple[str, list[Any]]:
    conditions, bound = ["h.deleted_at IS NULL"], list[Any]()
    if wanted.tag:
        conditions.append(tag_condition("h.tags"))
        bound.append(tag_text(wanted.tag))
    if wanted.status is not None:
        conditions.append(f"{_RANK} = ?")
        bound += [heard_since, STATUSES.index(wanted.status)]
    if wanted.alerts:
        conditions.append(f"EXISTS (SELECT 1 FROM alerts WHERE host_id = h.id AND {_UNRESOLVED})")
    for word in words_of(wanted.q):
        found, its = _named(word, heard_since)
        conditions.append(found)
        bound += its
    return " AND ".join(conditions), bound


def _named(word: str, heard_since: int) -> tuple[str, list[Any]]:
    """That a host goes by this word."""
    pattern, in_json = literal(word), literal(json.dumps(word)[1:-1])
    condition = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in _SEARCHED)
    bound: list[Any] = [pattern, pattern, in_json]
    if len(word) >= _LEAST_TYPED:
        for status in dict.fromkeys(status for text, status in STATE_WORDS.items() if text.startswith(word)):
            condition += f" OR {_RANK} = ?"
            bound += [heard_since, STATUSES.index(status)]
    return f"({condition})", bound


def words_of(q: str) -> list[str]:
    """The words that are looked for, in lower case."""
    text = q.casefold().strip()
    if text in STATE_WORDS:  # of two words, too
        return [text]
    return text.split()[:_MOST_WORDS]


def _count(db: Database, where: str, bound: list[Any]) -> int:
    found: int = db.execute(f"SELECT count(*) FROM hosts h WHERE {where}", bound).fetchone()[0]
    return found
