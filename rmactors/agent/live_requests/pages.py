"""Answers in pages: which listing a request is about, and where in it a page begins."""

import re
import zlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.handler import Answer, Paged
from rmactors.agent.live_requests.listings import Make
from rmactors.agent.live_requests.refusal import Refused
from rmactors.common import ids

_CURSOR: Final = re.compile(r"(?P<of>[0-9A-Za-z]{0,64})\.(?P<at>[0-9]{1,9})\.(?P<check>[0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins. `of` says which of several answers to the same question: two listings of what changes
    meanwhile are not mixed. `check` is what the cursor says of its question; None without a cursor."""

    of: str
    at: int = 0
    check: str | None = None


def place(params: Paged, *, first: str | None = None) -> Place:
    """Where the asked page begins. `first` is what the first page is `of`; None: of an answer of its own.

    Raises Refused.
    """
    if params.cursor is None:
        return Place(ids.new() if first is None else first)
    found = _CURSOR.fullmatch(params.cursor)
    if found is None:
        raise Refused("invalid", "params: cursor is none that this agent gave")
    return Place(found["of"], int(found["at"]), found["check"])


async def page(
    context: Context, key: Hashable, begin: Place, limit: int, make: Make, *, asked: Hashable = None
) -> Answer:
    """The page, of the listing that is kept under this key or made now. `asked` is what else belongs to the question.

    Raises Refused, also for the cursor of another question: its number says nothing here.
    """
    check = f"{zlib.crc32(repr((key, asked, begin.of)).encode('utf-8', 'backslashreplace')):08x}"
    if begin.check not in (None, check):
        raise Refused("invalid", "params: cursor is none of this list")
    listing = context.listings.open((key, begin.of), make)
    entries, more = await listing.page(begin.at, limit)
    return Answer(entries, f"{begin.of}.{begin.at + len(entries)}.{check}" if more else None)
