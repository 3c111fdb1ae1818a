"""What pages say of the room that the server has."""

import logging
from dataclasses import dataclass
from pathlib import Path

from rmactors.common.disk import free_space
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.texts import _

_log = logging.getLogger(__name__)


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
