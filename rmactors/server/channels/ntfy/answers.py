"""What only ntfy says in its answers. Pure."""

from typing import Final

from rmactors.common import clock
from rmactors.server.channels.answers import HttpAnswer, Judgement, json_object, judge_http

DAILY_QUOTA: Final = 42908


def judge(answer: HttpAnswer, at: int) -> Judgement:
    """As `judge_http`; but a daily quota that is used up is there again at 00:00 UTC."""
    judged = judge_http(answer, at)
    if judged.verdict == "retry" and json_object(answer.body).get("code") == DAILY_QUOTA:
        midnight = (at // clock.DAY + 1) * clock.DAY
        return Judgement("retry", judged.error, midnight)
    return judged
