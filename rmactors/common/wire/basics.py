"""The protocol's numbers, and the types of which frames of both directions are made. Pure."""

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from rmactors.common import bounds

PROTOCOL: Final = 1
MAX_FRAME_BYTES: Final = 1 << 20
PATH: Final = "/ws/agent"
MARK: Final = "X-Restic-Manager"
"""Header of every HTTP answer of the server's, so that agents know it from one of a proxy in between."""
MARK_OF_AGENTS: Final = "agents"
MARK_OF_PAGES: Final = "pages"
"""Its value, by port."""

CLOSE_BAD_MESSAGE: Final = 1008
CLOSE_GOING_AWAY: Final = 1001
CLOSE_BINARY: Final = 1003
CLOSE_REPLACED: Final = 4001
CLOSE_PROTOCOL: Final = 4002
CLOSE_REVOKED: Final = 4003

ANOTHER_INSTANCE: Final = "another_instance"
"""Code of the `error` before CLOSE_REPLACED where the connection that won is another process's."""

ID_PATTERN: Final = r"\A[0-9A-HJKMNP-TV-Z]{26}\Z"

Id = Annotated[str, Meta(pattern=ID_PATTERN)]
Seq = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Time = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(extra={"fit": bounds.name})]
"""One line; what is longer than 200 characters is cut, so that nothing else of the frame is lost."""
Count = Annotated[int, Meta(extra={"fit": bounds.count})]
ExitCode = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]

Version = Annotated[int, Meta(ge=0, le=1 << 31)]


class Frame(Struct, tag_field="type", frozen=True, omit_defaults=False):
    """A message with a `type`. Unknown fields are ignored, so that either end can be newer."""


class ProtocolRange(Struct, frozen=True):
    min: Version
    max: Version


def utc_now() -> datetime:
    return datetime.now(UTC)
