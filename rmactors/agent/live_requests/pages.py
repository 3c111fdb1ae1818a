"""Answers in pages: which listing a request is about, and where in it a page begins."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.handler import Answer, Paged
from rmactors.agent.live_requests.listings import Make
from rmactors.agent.live_requests.refusal import Refused
from rmactors.common import ids

_CURSOR: Final = re.compile(r"(?P<of>[0-9A-Za-z]{0,64})\.(?P<at>[0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins. `of` says which of several answers to the same question: two listings of what changes
    meanwhile are not mixed."""

    of: str
    at: int = 0


def place(params: Paged, *, first: str | None = None) -> Place:
    """Where the asked page begins. `first` is what the first page is `of`; None: of an answer of its own.

    Raises Refused.
    """
    if params.cursor is None:
        return Place(ids.new() if first is None else first)
    found = _CURSOR.fullmatch(params.cursor)
    if found is None:
        raise Refused("invalid", "params: cursor is none that this agent gave")
    return Place(found["of"], int(found["at"]))


async def page(context: Context, key: Hashable, begin: Place, limit: int, make: Make) -> Answer:
    """The page, of the listing that is kept under this key or made now. Raises Refused."""
    listing = context.listings.open((key, begin.of), make)
    entries, more = await listing.page(begin.at, limit)
    return Answer(entries, f"{begin.of}.{begin.at + len(entries)}" if more else None)
