"""What pages say of the room that the server has."""

import logging
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import trio

from rmactors.common.disk import free_space
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.queries.figures import space
from rmactors.server.store.reader import Reader
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.texts import _

_log = logging.getLogger(__name__)

_ASKED_AFTER: Final = 60.0
"""Seconds that the size of a PostgreSQL's database is shown before it is asked again."""


@dataclass(frozen=True, slots=True)
class Storage:
    """`words` for the menu; `free` and `low` for the warning above every page."""

    words: str
    free: str
    low: bool


def storage(database: Path) -> Storage | None:
    """As it is now; None where it cannot be seen."""
    try:
        found = free_space(database)
    except OSError as error:
        _log.warning("the disk of %s cannot be looked at: %s", database, error)
        return None
    free = size(found.free)
    words = _("Database %(size)s, %(free)s free") % {"size": size(found.database + found.log), "free": free}
    return Storage(words, free, found.low)


class ServerStorage:
    """The same where PostgreSQL has the database: its size. What is free on that machine's disk is not known here."""

    def __init__(self) -> None:
        self._asked_at = -inf
        self._found: Storage | None = None

    async def look(self, reader: Reader) -> Storage | None:
        """None where it cannot be read."""
        now = trio.current_time()
        if now - self._asked_at >= _ASKED_AFTER:
            self._asked_at = now  # before it is known: other pages wait for nothing meanwhile
            try:
                bytes_there, _free = await reader.run(space)
                self._found = Storage(_("Database %(size)s") % {"size": size(bytes_there)}, "", low=False)
            except DatabaseError as error:
                _log.warning("the size of the database cannot be read: %s", error)
                self._found = None
        return self._found
