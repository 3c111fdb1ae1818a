"""What Gotify says in its answers. Pure.

Success is a 200 with the message as it was stored: a page of something else that stands at this address is none.
"""

import re
from typing import Final

import httpx

from rmactors.server.channels.answers import Judgement, json_object, judge_http, not_of, own_refusal, text_of

_STORED: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*[0-9]+\s*,\s*"appid"\s*:')
"""The beginning of a stored message. The rest of a long one is not read."""
_OTHER_CREDENTIAL: Final = "use the token of an application, not that of a client"


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`; but a success must be Gotify's, and what Gotify itself refuses is not tried again."""
    judged = judge_http(answer, body, at)
    if judged.verdict == "delivered":
        return judged if answer.status_code == 200 and _STORED.match(body) else not_of("Gotify", answer)
    found = json_object(body)
    if judged.verdict == "retry" or not isinstance(found.get("errorCode"), int):
        return judged
    said = text_of(found.get("errorDescription")) or text_of(found.get("error")) or "it gives no reason"
    return own_refusal(answer, f"{_OTHER_CREDENTIAL} ({said})" if answer.status_code in (401, 403) else said)
