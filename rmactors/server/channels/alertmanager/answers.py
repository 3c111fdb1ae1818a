"""What Alertmanager says in its answers. Pure.

It takes an alert with an empty 200. A 422 takes nothing of a request, a 400 what is valid of it: requests have one
alert.
"""

import json
from dataclasses import replace

import httpx

from rmactors.server.channels.answers import Judgement, judge_http, not_of


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`, with what the usual refusals mean; a page in the place of Alertmanager is no delivery."""
    judged = judge_http(answer, body, at)
    status = answer.status_code
    if judged.verdict == "delivered":
        if "html" not in answer.headers.get("content-type", "") and not body.lstrip().startswith(b"<"):
            return judged
        return not_of("Alertmanager", answer)
    match status:
        case 401 | 403:
            hint = "check user name and password, or the token"
        case 404 | 405 | 410:
            hint = "there is no API v2 of Alertmanager at this address: check its path"
        case 400:  # a JSON text
            return replace(judged, error=f"400 Bad Request: {_text(body)}")
        case _:
            return judged
    return replace(judged, error=f"{judged.error} ({hint})")


def _text(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, str) else body.decode(errors="replace")
