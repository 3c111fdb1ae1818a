"""What a list can be sorted and filtered by, and the addresses that ask for it. Pure. The lists of hosts, jobs, alerts
and repositories go by this: all that narrows one stands in its address.

A list says what it knows as a `ListKind`; `asked` reads an address, and what is not known counts as not given: a page
is no API.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import urlencode

from rmactors.server.web.views.measures import number
from rmactors.server.web.views.texts import _

LONGEST: Final = 200
"""Characters of a text that something is filtered by."""
_MOST_PAGES: Final = 99_999
_NO_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ListKind:
    """What a list at this path knows. `sorts` maps each column to the way that a first click sorts it: `name`, or
    `-name` for the other way round. `words` are filters that take one of some words, `texts` those that take any."""

    path: str
    sorts: Mapping[str, str]
    default: str
    words: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_WORDS)
    texts: tuple[str, ...] = ("q",)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks of a list: `sort` is a column, with `-` in front the other way round; `chosen` the filters
    that are given; `page` counts from 1."""

    kind: ListKind
    sort: str
    chosen: tuple[tuple[str, str], ...] = ()
    page: int = 1

    def get(self, name: str) -> str:
        """The filter, empty if it is not given."""
        return dict(self.chosen).get(name, "")

    @property
    def narrowed(self) -> bool:
        return bool(self.chosen)

    def query(self) -> str:
        """As a query string without the question mark; what is the default is left out."""
        parts = list(self.chosen)
        if self.sort != self.kind.default:
            parts.append(("sort", self.sort))
        if self.page > 1:
            parts.append(("page", str(self.page)))
        return urlencode(parts)

    def href(self, path: str = "") -> str:
        """Its address; or that of another path under the same filters and in the same order."""
        query = self.query()
        return (path or self.kind.path) + (f"?{query}" if query else "")

    def with_filter(self, name: str, value: str) -> "Asked":
        """With this filter so, empty for without it, from the first page on."""
        given = {**dict(self.chosen), name: value}
        return replace(self, chosen=_in_order(self.kind, given), page=1)

    def sorted_by(self, sort: str) -> "Asked":
        """In this order, from the first page on."""
        return replace(self, sort=sort, page=1)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column. `href` sorts by it, empty if that cannot be; `direction` is empty, `ascending` or
    `descending`, as `aria-sort` has it."""

    word: str
    href: str = ""
    direction: str = ""
    classes: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that a filter can be."""

    value: str
    word: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Pages:
    """Where a list goes on: `words` like `Page 2 of 100`, empty where everything is on one page. Addresses are empty
    where there is no such page."""

    words: str
    first: str
    previous: str
    following: str


def asked(kind: ListKind, given: Mapping[str, str]) -> Asked:
    """What an address asks for."""
    sort = given.get("sort", "")
    page = given.get("page", "")
    return Asked(
        kind,
        sort if sort.removeprefix("-") in kind.sorts else kind.default,
        _in_order(kind, given),
        min(max(int(page[:9]), 1), _MOST_PAGES) if page.isascii() and page.isdigit() else 1,
    )


def heads(of: Asked, columns: Sequence[tuple[str, str]]) -> tuple[Head, ...]:
    """(column, word) of each; a column that the list does not sort by has no link."""
    return tuple(_head(of, column, word) for column, word in columns)


def choices(of: Asked, name: str, words: Sequence[tuple[str, str]]) -> tuple[Choice, ...]:
    """(value, word) of a filter; what is chosen and not among them is added."""
    chosen = of.get(name)
    known = [*words] if not chosen or any(value == chosen for value, _word in words) else [*words, (chosen, chosen)]
    return tuple(Choice(value, word, value == chosen) for value, word in known)


def pages(of: Asked, matching: int, size: int) -> Pages:
    """Of so many rows, `size` on a page."""
    count = max(1, -(-matching // size))
    if count == 1 and of.page == 1:
        return Pages("", "", "", "")

    def at(page: int) -> str:
        return replace(of, page=page).href() if 1 <= page <= count and page != of.page else ""

    words = _("Page %(page)s of %(count)s") % {"page": number(of.page), "count": number(count)}
    return Pages(words, at(1), at(min(of.page - 1, count)), at(of.page + 1))


def _head(of: Asked, column: str, word: str) -> Head:
    first = of.kind.sorts.get(column)
    if first is None:
        return Head(word)
    if of.sort.removeprefix("-") != column:
        return Head(word, of.sorted_by(first).href())
    descending = of.sort.startswith("-")
    other = column if descending else f"-{column}"
    return Head(word, of.sorted_by(other).href(), "descending" if descending else "ascending")


def _in_order(kind: ListKind, given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What is known of it, in the list's own order, so that one list has one address."""
    found = []
    for name in (*kind.texts, *kind.words):
        value = given.get(name, "").strip().replace("\0", "")[:LONGEST]
        if value and (name in kind.texts or value in kind.words[name]):
            found.append((name, value))
    return tuple(found)
