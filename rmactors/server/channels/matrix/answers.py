"""What a Matrix homeserver says in its answers. Pure.

https://spec.matrix.org/latest/client-server-api/#standard-error-response: every refusal of its own has an `errcode`.
A message is taken with a 200 and its `event_id`.
"""

from typing import Any, Final

import httpx

from rmactors.server.channels.answers import Judgement, json_object, judge_http, later, not_of, own_refusal, text_of

_LOG_IN: Final = "log the bot in again, and store its new access token here"
_JOIN: Final = "invite the bot into the room and let it join; of a room that was upgraded, use the new id"
_NOT_THERE: Final = f"the bot is not in this room, or there is none with this id: {_JOIN}"
_MAY_NOT_WRITE: Final = "the bot may not write here: raise its power level; of a room that was upgraded, use the new id"


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """As `judge_http`, with what to do about the refusals that a homeserver has words for."""
    judged = judge_http(answer, body, at)
    found = json_object(body)
    if judged.verdict == "delivered":
        taken = answer.status_code == 200 and isinstance(found.get("event_id"), str)
        return judged if taken else not_of("Matrix", answer)
    code = found.get("errcode")
    if not isinstance(code, str):
        return judged
    said = text_of(found.get("error")) or code
    if answer.status_code == 429 or code == "M_LIMIT_EXCEEDED":
        milliseconds = found.get("retry_after_ms")
        seconds = milliseconds / 1000 if isinstance(milliseconds, int | float) else None
        return later(answer, said, seconds, at)
    if judged.verdict == "retry":
        return judged
    hint = _hint(code, said, found)
    return own_refusal(answer, f"{hint} ({said})" if hint else said)


def _hint(code: str, said: str, found: dict[str, Any]) -> str:
    match code:
        case "M_UNKNOWN_TOKEN" if found.get("soft_logout") is True:
            return f"the access token has expired: {_LOG_IN}"
        case "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN":
            return f"the access token is not valid, or not any more: {_LOG_IN}"
        case "M_FORBIDDEN" if "not in room" in said:
            return _NOT_THERE
        case "M_FORBIDDEN" if "permission" in said or "user_level" in said:
            return _MAY_NOT_WRITE
        case "M_FORBIDDEN":
            return f"the bot may not write in this room: {_JOIN}"
        case "M_UNRECOGNIZED":
            return "there is no client API of Matrix at this address: check the homeserver's address"
        case _:
            return ""
