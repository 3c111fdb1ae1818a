"""What Slack's incoming webhooks answer: one word. Pure.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors and
https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
"""

from typing import Final

import httpx

from rmactors.server.channels.answers import Judgement, judge_http, not_of, own_refusal

_MAKE_ANOTHER: Final = "make a new webhook in Slack, and store its URL here"
_OF_THE_WEBHOOK: Final = {
    "no_service": f"the webhook was removed or switched off: {_MAKE_ANOTHER}",
    "no_service_id": f"the URL is not complete: {_MAKE_ANOTHER}",
    "no_active_hooks": f"the webhook was switched off: {_MAKE_ANOTHER}",
    "no_team": f"the workspace is not there: {_MAKE_ANOTHER}",
    "team_disabled": "the workspace was switched off",
    "invalid_token": f"the URL is wrong, or the webhook was removed: {_MAKE_ANOTHER}",
    "channel_not_found": f"the channel is not there: {_MAKE_ANOTHER}",
    "channel_is_archived": f"the channel was archived: bring it back, or {_MAKE_ANOTHER}",
    "posting_to_general_channel_denied": f"this channel is not for everybody to write to: {_MAKE_ANOTHER}",
    "action_prohibited": "an administrator of the workspace does not allow it",
    "user_not_found": f"the person it belongs to is not there: {_MAKE_ANOTHER}",
}  # fmt: skip
_OF_THE_MESSAGE: Final = frozenset({
    "invalid_payload", "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "too_many_attachments",
    "no_text", "missing_text_or_fallback_or_attachments", "msg_too_long",
})  # fmt: skip


def judge(answer: httpx.Response, body: bytes, at: int) -> Judgement:
    """Taken is 200 and `ok`. A word that Slack documents is Slack's own; all else is judged as of any receiver."""
    word = body[:100].decode(errors="replace").strip()
    if answer.status_code == 200 and word == "ok":
        return Judgement("delivered")
    if word in _OF_THE_WEBHOOK:
        return own_refusal(answer, f"{word}: {_OF_THE_WEBHOOK[word]}")
    if word in _OF_THE_MESSAGE:
        return own_refusal(answer, f"{word}: Slack does not take this message")
    judged = judge_http(answer, body, at)
    return not_of("Slack", answer) if judged.verdict == "delivered" else judged
