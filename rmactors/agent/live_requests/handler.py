"""What answers one kind of request: the form of its parameters, and the function that answers."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
import trio
from msgspec import Meta, Struct

from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.refusal import Refused

LONGEST_SECONDS: Final = 600.0
"""The server has long gone by then, if it did not say so."""
PAGE: Final = 500
LARGEST_PAGE: Final = 2_000

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Cursor = Annotated[str, Meta(max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=LARGEST_PAGE)]
"""Entries of a page. One whose entries are long may have fewer."""
SnapshotId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{4,64}\Z")]
Path = Annotated[str, Meta(pattern=r"\A/[^\x00]*\Z", max_length=4096)]
"""Absolute. Any other character may stand in the name of a file."""


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a kind; one that it does not know is refused."""


class Paged(Params, frozen=True, kw_only=True):
    """For a kind whose answer comes in pages. `cursor` is the `next_cursor` of the page before."""

    cursor: Cursor | None = None
    limit: Limit = PAGE


@dataclass(frozen=True, slots=True)
class Answer:
    """`items` are JSON values, one an entry. `next_cursor` asks for what follows; None if that was all."""

    items: Sequence[bytes]
    next_cursor: str | None = None


P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True)
class Handler(Generic[P]):
    """`answer` raises Refused for what cannot be answered. It may be cancelled at any time, and restic with it; it is
    after `seconds`."""

    params: type[P]
    answer: Callable[[Context, P], Awaitable[Answer]]
    seconds: float = LONGEST_SECONDS

    async def __call__(self, context: Context, params: Mapping[str, Any]) -> Answer:
        """Raises Refused."""
        read = _read(self.params, params)
        with trio.move_on_after(self.seconds):
            return await self.answer(context, read)
        raise Refused("failed", f"no answer within {self.seconds:.0f} s")


def _read(form: type[P], params: Mapping[str, Any]) -> P:
    try:
        return msgspec.convert(dict(params), form)
    except msgspec.ValidationError as error:
        raise Refused("invalid", f"params: {_in_words(str(error))}") from None


_MUST: Final = {
    "path": "must be an absolute path of at most 4,096 characters",
    "pattern": "must have 1 to 1,000 characters",
    "snapshot": "must be `latest`, or at least 4 digits of an id",
    "from": "must be at least 4 digits of a snapshot's id",
    "to": "must be at least 4 digits of a snapshot's id",
    "limit": f"must be a number from 1 to {LARGEST_PAGE}",
}
_WRONG: Final = re.compile(r"- at `\$\.(?P<field>[a-z_]+)")


def _in_words(error: str) -> str:
    """msgspec's message for people, who need not know patterns."""
    found = _WRONG.search(error)
    if found is not None and found["field"] in _MUST:
        return f"{found['field']} {_MUST[found['field']]}"
    words = error.replace("Object contains unknown field", "this kind of request has no parameter")
    return words.replace("Object missing required field", "missing").replace("$.", "")
