"""Why a request gets no answer: a word for the server, a sentence for people."""

import logging
import traceback
from typing import Final, Literal

from rmactors.common.text import excerpt

log = logging.getLogger(__name__)

Code = Literal["not_allowed", "not_found", "invalid", "busy", "failed"]
_LONGEST: Final = 1_000


class Refused(Exception):
    """`not_allowed` by the agent's file, `not_found` here, `invalid` as asked, `busy` with others, or `failed`."""

    def __init__(self, code: Code, words: str) -> None:
        self.code: Code = code
        self.words = excerpt(words, _LONGEST)
        super().__init__(self.words)


def internal_error(error: Exception) -> Refused:
    """A bug. It goes into the log without the words of the error: names of files may be in them."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("a request failed in the agent itself: %s\n%s", type(error).__name__, where)
    return Refused("failed", "an internal error of the agent; see its log")
