"""Which repositories a list shows, in which order. There may be one a host: only those of a page are read whole."""

# ruff: noqa: S608 - what is put into the SQL here are our own words; values are always bound

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from rmactors.server.store.database import Database
from rmactors.server.store.queries import repositories as whole
from rmactors.server.store.queries.host_lists import batched, ids_of, literal
from rmactors.server.store.queries.repositories import RepositoryView
from rmactors.server.store.queries.rows import Page, placeholders

Sort = Literal["name", "size", "-size", "growth", "-growth", "last_check", "-last_check"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
UNKNOWN: Final = (1 << 63) - 1
"""The sort key of what is not known: it comes last, whichever way. What was never checked counts as checked longest
ago."""
_FEW: Final = 500
_COLUMN: Final = {"size": "size_bytes", "growth": "growth_bytes"}
_Keyed = list[tuple[int | str, str]]


@dataclass(frozen=True, slots=True)
class RepositoryFilter:
    """What a list of repositories is narrowed to: `q` is a part of a name, a location or the name of a host, `tag` one
    of a host. `ids` are those that it finds, where that is known."""

    q: str = ""
    tag: str = ""
    ids: tuple[str, ...] | None = None


_EVERYTHING: Final = RepositoryFilter()


@dataclass(frozen=True, slots=True)
class Totals:
    """How many the filter finds, how many there are, and of those found: bytes as far as they are known, and which one
    grows most in 30 days, by name."""

    matching: int
    every: int
    bytes: int | None
    fastest: str
    growth: int


def looked_up(db: Database, wanted: RepositoryFilter) -> RepositoryFilter:
    """The same, with what it finds if that is not much: list and totals then need not look for it each."""
    if wanted == _EVERYTHING:
        return wanted
    where, bound = _where(wanted)
    rows = db.execute(f"SELECT id FROM repositories WHERE {where} LIMIT ?", (*bound, _FEW + 1)).fetchall()
    return replace(wanted, ids=tuple(row[0] for row in rows)) if len(rows) <= _FEW else wanted


def listed(
    db: Database, wanted: RepositoryFilter, sort: str, limit: int,
    after: tuple[Any, ...] | None = None, skip: int = 0,
) -> Page[RepositoryView]:  # fmt: skip
    """Some of them with all that is known, past the sort key `after`, or past `skip` of them."""
    by = sort.removeprefix("-")
    if by in _COLUMN:
        keyed = _by_column(db, wanted, _COLUMN[by], limit + 1, after, skip, descending=sort.startswith("-"))
    else:
        every = sorted(_by_name(db, wanted) if by == "name" else _by_check(db, wanted, negative=sort.startswith("-")))
        if sort == "-name":
            every.reverse()
        keyed = [key for key in every if after is None or key > after][skip : skip + limit + 1]
    views = {view.id: view for view in _views(db, [repository_id for _key, repository_id in keyed[:limit]])}
    shown = [views[repository_id] for _key, repository_id in keyed[:limit] if repository_id in views]
    return Page(shown, keyed[limit - 1] if len(keyed) > limit else None)


def totals(db: Database, wanted: RepositoryFilter) -> Totals:
    where, bound = _where(wanted)
    matching, held = db.execute(f"SELECT count(*), sum(size_bytes) FROM repositories WHERE {where}", bound).fetchone()
    every: int = matching
    if wanted != _EVERYTHING:
        every = db.execute("SELECT count(DISTINCT repository_id) FROM repository_uses").fetchone()[0]
    fastest = db.execute(
        f"SELECT id, growth_bytes FROM repositories WHERE {where} AND growth_bytes > 0"
        f" ORDER BY coalesce(-growth_bytes, {UNKNOWN}), id LIMIT 1",
        bound,
    ).fetchone()
    name = whole.first_name(db, fastest[0]) if fastest is not None else ""
    return Totals(matching, every, held, name, fastest[1] if fastest is not None else 0)


_USED: Final = "EXISTS (SELECT 1 FROM repository_uses WHERE repository_id = repositories.id)"


def _where(wanted: RepositoryFilter) -> tuple[str, list[Any]]:
    if wanted.ids is not None:
        return f"id IN ({placeholders(wanted.ids)})", [*wanted.ids]
    conditions, bound = [_USED], list[Any]()
    if wanted.q:
        hosts, hosts_bound = ids_of(wanted.q, None)
        pattern = literal(wanted.q.casefold())
        conditions.append(
            "id IN (SELECT repository_id FROM repository_uses WHERE lower(name) LIKE ? ESCAPE '\\'"
            f" OR lower(location) LIKE ? ESCAPE '\\' OR host_id IN ({hosts}))"
        )
        bound += [pattern, pattern, *hosts_bound]
    if wanted.tag:
        hosts, hosts_bound = ids_of(None, wanted.tag)
        conditions.append(f"id IN (SELECT repository_id FROM repository_uses WHERE host_id IN ({hosts}))")
        bound += hosts_bound
    return " AND ".join(conditions), bound


def _by_column(
    db: Database, wanted: RepositoryFilter, column: str, limit: int,
    after: tuple[Any, ...] | None, skip: int, *, descending: bool,
) -> _Keyed:  # fmt: skip
    """Along an index of just this expression."""
    key = f"coalesce({'-' if descending else ''}{column}, {UNKNOWN})"
    where, bound = _where(wanted)
    past = f" AND ({key}, id) > (?, ?)" if after is not None else ""
    rows = db.execute(
        f"SELECT {key}, id FROM repositories WHERE {where}{past} ORDER BY {key}, id LIMIT ? OFFSET ?",
        (*bound, *(after or ()), limit, skip),
    )
    return [(row[0], row[1]) for row in rows]


def _by_name(db: Database, wanted: RepositoryFilter) -> _Keyed:
    """As the first of its hosts calls each."""
    where, bound = _where(wanted)
    found: dict[str, str] = {}
    for repository_id, name in db.execute(
        "SELECT repository_id, repository_uses.name FROM repository_uses JOIN hosts ON hosts.id = host_id AND"
        f" deleted_at IS NULL WHERE repository_id IN (SELECT id FROM repositories WHERE {where})"
        " ORDER BY hosts.name_key, hosts.id, repository_uses.name",
        bound,
    ):
        found.setdefault(repository_id, name.casefold())
    return [(name, repository_id) for repository_id, name in found.items()]


def _by_check(db: Database, wanted: RepositoryFilter, *, negative: bool) -> _Keyed:
    where, bound = _where(wanted)
    ids = [row[0] for row in db.execute(f"SELECT id FROM repositories WHERE {where}", bound)]
    checked = whole.last_checks(db)
    return [(-checked.get(each, 0) if negative else checked.get(each, 0), each) for each in ids]


def _views(db: Database, ids: list[str]) -> list[RepositoryView]:
    return [view for some in batched(ids) for view in whole.views_of(db, some)]
