"""What only ntfy says in its answers. Pure."""

from typing import Final

import httpx

from rmactors.common import clock
from rmactors.server.channels.answers import Judgement, json_object, judge_http

DAILY_QUOTA: Final = 42908


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`; but a daily quota that is used up is there again at 00:00 UTC."""
    judged = judge_http(answer, body, at)
    if judged.verdict == "retry" and json_object(body).get("code") == DAILY_QUOTA:
        midnight = (at // clock.DAY + 1) * clock.DAY
        return Judgement("retry", judged.error, midnight)
    return judged
