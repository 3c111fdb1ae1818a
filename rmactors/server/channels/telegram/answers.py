"""What Telegram's Bot API answers. Pure.

https://core.telegram.org/bots/api#making-requests and https://core.telegram.org/bots/api#responseparameters
"""

import re
from typing import Final

import httpx

from rmactors.server.channels.answers import Judgement, json_object, judge_http, later, not_of, own_refusal, text_of

_OK: Final = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\b')
"""How a success begins: it repeats the message, and of a long one only the beginning is read."""
_WHICH_BOT: Final = "the bot's token is wrong or was revoked: ask BotFather for it, and store it here"
_HINTS: Final = {
    "unauthorized": _WHICH_BOT,
    "not found": _WHICH_BOT,
    "chat not found": "check the chat id; the bot must have been added to the chat, or be written to first",
    "bot was blocked by the user": "unblock the bot in Telegram",
    "bot was kicked": "add the bot to the chat again",
    "bot can't initiate conversation": "write to the bot first",
    "message thread not found": "check the topic's id",
    "topic_closed": "open the topic again, or choose another one",
}  # fmt: skip


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """Taken is 200 with `ok: true`. A refusal with a description is Telegram's own."""
    if answer.status_code == 200 and _OK.match(body):
        return Judgement("delivered")
    found = json_object(body)
    description, parameters = text_of(found.get("description")), found.get("parameters")
    if found.get("ok") is not False or not description:
        judged = judge_http(answer, body, at)
        return not_of("Telegram", answer) if judged.verdict == "delivered" else judged
    parameters = parameters if isinstance(parameters, dict) else {}
    if moved := parameters.get("migrate_to_chat_id"):
        return own_refusal(answer, f"{description}: the group has a new id, store it here: {moved}")
    if answer.status_code == 429 or answer.status_code >= 500:
        return later(answer, description, parameters.get("retry_after"), at)
    return own_refusal(answer, description + _hint(description.lower()))


def _hint(description: str) -> str:
    """What to do about it. `Not Found` alone is about the token."""
    for words, hint in _HINTS.items():
        if words in description and (words != "not found" or description == words):
            return f": {hint}"
    return ""
