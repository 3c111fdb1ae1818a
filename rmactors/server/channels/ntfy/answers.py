"""What only ntfy says in its answers. Pure.

A 200 is not enough: ntfy publishes to whatever topic an address names, and other servers say 200 to anything. So the
message in the answer must be ours.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx

from rmactors.common import clock
from rmactors.server.channels.answers import Judgement, json_object, judge_http, words

DAILY_QUOTA: Final = 42908
NO_ATTACHMENTS: Final = 40014
"""The message is longer than the server's limit, and it may not make a file of it."""
ATTACHMENT_TOO_LARGE: Final = 41301
NO_SUCH_PAGE: Final = 40401

_ADDRESS_ALONE: Final = (
    "The server's address seems to name a topic too: give the address alone, such as https://ntfy.example.org"
)


@dataclass(slots=True)
class Judging:
    """Judges the answer to one message. `too_long` afterwards: the server took it for a file, or refused it as one."""

    topic: str
    sequence_id: str
    too_long: bool = field(default=False, init=False)

    def __call__(self, answer: httpx.Response, body: bytes, at: int) -> Judgement:
        judged, found = judge_http(answer, body, at), json_object(body)
        match judged.verdict, found.get("code"):
            case "delivered", _:
                self.too_long = "attachment" in found
                return self._published(answer, body, found)
            case "retry", code if code == DAILY_QUOTA:  # it is there again at midnight
                return Judgement("retry", judged.error, (at // clock.DAY + 1) * clock.DAY)
            case "dead", code if code == NO_SUCH_PAGE:  # said by ntfy itself, which has a page for each topic
                return Judgement("dead", f"{judged.error}. {_ADDRESS_ALONE}")
            case "dead", code:
                self.too_long = code in (NO_ATTACHMENTS, ATTACHMENT_TOO_LARGE)
        return judged

    def _published(self, answer: httpx.Response, body: bytes, found: dict[str, Any]) -> Judgement:
        if not found and _is_cut(answer, body):
            return Judgement("delivered")
        topic = found.get("topic")
        if found.get("event") != "message" or not isinstance(topic, str):
            said = f"{answer.status_code}, but this is no answer of ntfy: check the server's address"
            return Judgement("dead", said, in_doubt=True)  # a captive portal, perhaps
        if topic != self.topic:
            elsewhere = f"it was published to the topic “{words(topic, most=64)}” instead"
            return Judgement("dead", f"{elsewhere}. {_ADDRESS_ALONE}")
        if found.get("sequence_id", self.sequence_id) != self.sequence_id:
            return Judgement("dead", f"it overwrote an earlier message of the topic. {_ADDRESS_ALONE}")
        return Judgement("delivered")


def _is_cut(answer: httpx.Response, body: bytes) -> bool:
    """Whether a part of the body did not arrive. The status did, so the message was published."""
    if answer.status_code == HTTPStatus.NO_CONTENT:
        return False
    length = answer.headers.get("content-length", "")
    return int(length) > len(body) if length.isascii() and length.isdigit() else body.lstrip()[:1] in (b"", b"{")
