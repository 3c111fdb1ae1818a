"""What Discord answers. Pure.

https://discord.com/developers/docs/topics/opcodes-and-status-codes and
https://discord.com/developers/docs/topics/rate-limits
"""

from typing import Any, Final

import httpx

from rmactors.server.channels.answers import Judgement, json_object, judge_http, later, not_of, own_refusal, text_of

_HINTS: Final = {
    10003: "the channel or thread was deleted: make a webhook in another one, and store its URL here",
    10015: "the webhook was deleted: make a new one in Discord, and store its URL here",
    50027: "the URL is wrong or not complete: copy it again from Discord",
    50083: "the thread is closed: open it, or store a URL without thread_id",
    220001: "this channel is a forum: put ?thread_id= and the id of a thread at the end of the URL",
}  # fmt: skip


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """Taken is 204, or 200 with the message. An error with a code is Discord's own; 429 says how long in its body."""
    status, found = answer.status_code, json_object(body)
    if status == 204 or (status == 200 and body[:1] in (b"", b"{")):  # of a long message only the beginning was read
        return Judgement("delivered")
    if status == 429 and "retry_after" in found:
        return later(answer, text_of(found.get("message")), found["retry_after"], at)
    code = found.get("code")
    if 400 <= status < 500 and status not in (408, 425, 429) and isinstance(code, int) and code:
        said = "; ".join(filter(None, [text_of(found.get("message")), *_faults(found.get("errors"))]))
        return own_refusal(answer, f"{said} ({code})".lstrip() + (f": {_HINTS[code]}" if code in _HINTS else ""))
    judged = judge_http(answer, body, at)
    return not_of("Discord", answer) if judged.verdict == "delivered" else judged


def _faults(errors: Any) -> list[str]:
    """`embeds.0.title: Must be 256 or fewer in length.` of each field at fault."""
    found, waiting = [], [("", errors)]
    while waiting:
        path, each = waiting.pop()
        if not isinstance(each, dict):
            continue
        listed = each.get("_errors")
        if isinstance(listed, list):
            said = [text_of(one.get("message")) for one in listed if isinstance(one, dict)]
            found += [f"{path}: {one}" for one in said if one]
        waiting += [(f"{path}.{name}".lstrip("."), below) for name, below in each.items() if name != "_errors"]
    return found
