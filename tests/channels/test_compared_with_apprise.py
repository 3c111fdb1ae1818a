"""Second opinion: what Apprise sends to the same receivers, field by field, and what it calls a success.

A field that only one of us has stands in a table with the reason, and a new one fails the test. Apprise's requests end
at its HTTP adapter, so nothing leaves this machine.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from rmactors.server.channels.discord import answers as discord_answers
from rmactors.server.channels.discord.payload import payload as discord
from rmactors.server.channels.slack import answers as slack_answers
from rmactors.server.channels.slack.payload import payload as slack
from rmactors.server.channels.teams import answers as teams_answers
from rmactors.server.channels.teams.payload import CONTENT_TYPE
from rmactors.server.channels.teams.payload import payload as teams
from rmactors.server.channels.telegram import answers as telegram_answers
from rmactors.server.channels.telegram.payload import payload as telegram
from tests.channels.notifications import LATER, RAISE
from tests.channels.strict_discord import ID
from tests.channels.strict_discord import TOKEN as DISCORD_TOKEN
from tests.channels.strict_teams import SIG
from tests.channels.strict_telegram import CHAT
from tests.channels.strict_telegram import TOKEN as BOT_TOKEN

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")

HEADLINE, TEXT = "[warning] nas1: backup_failed", RAISE.message


@dataclass(frozen=True)
class Case:
    """One receiver: Apprise's URL for it, our payload, and the fields that differ, each with its reason."""

    url: str
    ours: dict[str, Any]
    only_theirs: dict[str, str]
    only_ours: dict[str, str]
    says: Callable[[dict[str, Any]], list[str]]
    """Where title and text stand in Apprise's."""
    content_type: str = "application/json"


CASES = {
    "slack": Case(
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?image=no&blocks=yes",
        slack(RAISE),
        {"attachments[].blocks[].text.emoji": "the default is the same"},
        {
            "text": "what a lock screen shows; with blocks alone it shows nothing",
            "unfurl_links": "an address that a host quotes is not fetched by Slack",
            "unfurl_media": "nor a picture at it",
            "blocks[].type": "the header stands above the coloured bar, the rest beside it",
            "blocks[].text.type": "likewise",
            "blocks[].text.text": "likewise",
            "attachments[].blocks[].text.verbatim": "names and addresses of a host's text become no links",
            "attachments[].blocks[].elements[].verbatim": "likewise",
        },
        lambda sent: [each["text"]["text"] for each in sent["attachments"][0]["blocks"][:2]],
    ),
    "discord": Case(
        f"discord://{ID}/{DISCORD_TOKEN}/?image=no&format=markdown",
        discord(RAISE),
        {
            "tts": "false is the default",
            "wait": "it belongs into the query of the URL, where ours is; in the body it is overlooked",
            "avatar_url": "the webhook has its own",
            "embeds[].author.name": "the sender's name is there already",
            "embeds[].author.url": "likewise",
        },
        {
            "allowed_mentions.parse": "without it, a host could call @everyone",
            "embeds[].fields[].name": "facts",
            "embeds[].fields[].value": "facts",
            "embeds[].fields[].inline": "facts",
            "embeds[].timestamp": "shown in each reader's own zone",
        },
        lambda sent: [sent["embeds"][0]["title"], sent["embeds"][0]["description"]],
    ),
    "teams": Case(
        f"workflow://ab.westeurope.logic.azure.com:443/0123456789abcdef0123456789abcdef/{SIG}/?image=no",
        teams(RAISE),
        {"attachments[].content.body[].id": "unused",
         "attachments[].content.body[].weight": "ours has it on the container's text",
         "attachments[].content.body[].size": "likewise"},
        {
            **{
                f"attachments[].content.body[].{name}": "a bar in the colour of the severity"
                for name in ("bleed", "items[].type", "items[].text", "items[].weight", "items[].size", "items[].wrap")
            },
            "attachments[].content.body[].facts[].title": "facts",
            "attachments[].content.body[].facts[].value": "facts",
            "attachments[].content.actions[].type": "the links",
            "attachments[].content.actions[].title": "the links",
            "attachments[].content.actions[].url": "the links",
        },
        lambda sent: [each["text"] for each in sent["attachments"][0]["content"]["body"]],
        CONTENT_TYPE,
    ),
    "telegram": Case(
        f"tgram://{BOT_TOKEN}/{CHAT}/?detect=no",
        telegram(RAISE, {"chat_id": str(CHAT), "bot_token": BOT_TOKEN}),
        {"disable_web_page_preview": "its name before Bot API 7.0"},
        {"link_preview_options.is_disabled": "its name since"},
        lambda sent: sent["text"].split("\r\n"),
    ),
}  # fmt: skip


@dataclass
class Sink:
    """What Apprise sent; `answer` is what it gets."""

    answer: tuple[int, bytes] = (200, b"ok")
    sent: list[Any] = field(default_factory=list)

    def notify(self, url: str) -> bool:
        from apprise import Apprise

        sender = Apprise()
        assert sender.add(url)
        return bool(sender.notify(title=HEADLINE, body=TEXT, notify_type="warning", body_format="text"))


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    from apprise.plugins.base import NotifyBase
    from requests import PreparedRequest, Response
    from requests.adapters import HTTPAdapter

    found = Sink()

    def send(_: HTTPAdapter, request: PreparedRequest, **__: Any) -> Response:
        found.sent.append(request)
        response = Response()
        response.status_code, response._content = found.answer
        response.url = str(request.url)
        return response

    monkeypatch.setattr(HTTPAdapter, "send", send)
    monkeypatch.setattr(NotifyBase, "request_rate_per_sec", 0)
    return found


def paths(value: Any, at: str = "") -> set[str]:
    """Every field that a payload has, wherever in a list it stands."""
    match value:
        case dict():
            return {path for name, below in value.items() for path in paths(below, f"{at}.{name}".lstrip("."))}
        case list() if value:
            return {path for below in value for path in paths(below, f"{at}[]")}
        case _:
            return {at}


@pytest.mark.parametrize("kind", CASES)
def test_what_is_sent_differs_from_apprise_only_where_a_reason_says_so(kind: str, sink: Sink) -> None:
    case = CASES[kind]
    sink.notify(case.url)
    [request] = sink.sent
    theirs = json.loads(request.body)
    assert request.method == "POST"
    assert request.headers["Content-Type"].partition(";")[0] == case.content_type.partition(";")[0]
    assert paths(theirs) - paths(case.ours) == set(case.only_theirs)
    assert paths(case.ours) - paths(theirs) == set(case.only_ours)
    said = [text.replace("\\", "").removeprefix("<b>").removesuffix("</b>") for text in case.says(theirs)]
    assert said == [HEADLINE, TEXT]


OK = b'{"ok": true, "result": {}}'
JUDGED: list[tuple[str, int, bytes, bool, str]] = [
    ("slack", 200, b"ok", True, ""),
    ("slack", 200, b"hello", False, ""),
    ("slack", 204, b"", False, ""),
    ("slack", 404, b"no_service", False, ""),
    ("discord", 200, b"{}", True, ""),
    ("discord", 204, b"", True, ""),
    ("discord", 202, b"", False, ""),
    ("discord", 200, b"<html>", False, "a captive portal's page is no message"),
    ("teams", 202, b"", True, ""),
    ("teams", 200, b"", True, ""),
    ("teams", 204, b"", False, ""),
    ("telegram", 200, OK, True, ""),
    ("telegram", 200, b'{"ok": false, "description": "no"}', False, "a refusal, whatever its status"),
    ("telegram", 403, b'{"ok": false, "description": "no"}', False, ""),
]
"""Receiver, answer, whether we call it a success, and why Apprise does not agree."""
JUDGES = {
    "slack": slack_answers.judge,
    "discord": discord_answers.judge,
    "teams": teams_answers.judge,
    "telegram": telegram_answers.judge,
}


@pytest.mark.parametrize(("kind", "status", "body", "success", "why_not_theirs"), JUDGED)
def test_a_success_is_one_to_both_unless_a_reason_says_so(
    kind: str, status: int, body: bytes, success: bool, why_not_theirs: str, sink: Sink
) -> None:
    sink.answer = status, body
    assert (JUDGES[kind](httpx.Response(status), body, LATER).verdict == "delivered") is success
    assert (sink.notify(CASES[kind].url) is success) is (not why_not_theirs)
