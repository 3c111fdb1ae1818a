"""What a push service says in its answers. Pure."""

from typing import Final

import httpx

from rmactors.server.channels.answers import Judgement, judge_http

_GONE: Final = (404, 410)


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`; but a subscription that is not there any more never comes back."""
    if answer.status_code in _GONE:
        said = "the browser's subscription has ended: turn notifications on there again, or delete this channel"
        return Judgement("dead", f"{answer.status_code}: {said}")
    return judge_http(answer, body, at)
