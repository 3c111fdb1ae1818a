"""What Pushover says in its answers. Pure. See https://pushover.net/api#response and https://pushover.net/api#limits.

A message is taken where the body says `"status": 1`. A 4xx is about the message or a key, and will be the same again;
429 says that the month's messages are used up, and a header when there are new ones.
"""

import re
from typing import Final

import httpx

from rmactors.common import clock
from rmactors.server.channels.answers import Judgement, json_object, judge_http, later, not_of, own_refusal, texts_of

_RESET: Final = "x-limit-app-reset"


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`, by the status in the body; what Pushover itself refuses is not tried again."""
    judged = judge_http(answer, body, at)
    found = json_object(body)
    status, said = found.get("status"), texts_of(found.get("errors"))
    if answer.status_code == 429:
        return _quota(answer, said, at)
    if answer.status_code >= 500 or type(status) is not int:
        return not_of("Pushover", answer) if judged.verdict == "delivered" else judged
    if judged.verdict == "delivered" and status == 1:
        return judged
    return own_refusal(answer, said or f"Pushover's status is {status}")


def _quota(answer: httpx.Response, said: str, at: int) -> Judgement:
    given = answer.headers.get(_RESET, "").strip()
    seconds = (int(given) * clock.SECOND - at) / clock.SECOND if re.fullmatch(r"[0-9]{1,12}", given) else None
    return later(answer, said or "the application's messages of this month are used up", seconds, at)
