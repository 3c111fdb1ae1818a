"""What holds for chats as for any channel over HTTP: where they may go, and that a retry is the same message."""

import ssl
from typing import Any

import pytest
import trio
import trio.testing

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from tests.channels.chats import BASE, LOOPBACK
from tests.channels.notifications import DELIVERY, LATER, RAISE, spec
from tests.channels.receivers import Script, receiving, replies
from tests.channels.strict_discord import PATH as DISCORD_PATH
from tests.channels.strict_discord import StrictDiscord
from tests.channels.strict_slack import PATH as SLACK_PATH
from tests.channels.strict_slack import StrictSlack
from tests.channels.strict_teams import PATH as TEAMS_PATH
from tests.channels.strict_teams import QUERY, StrictTeams
from tests.channels.strict_telegram import CHAT, TOKEN, StrictTelegram

CHATS: dict[str, tuple[type[Script], dict[str, Any]]] = {
    "slack": (StrictSlack, {"webhook_url": "{here}" + SLACK_PATH}),
    "discord": (StrictDiscord, {"webhook_url": "{here}" + DISCORD_PATH}),
    "teams": (StrictTeams, {"webhook_url": "{here}" + f"{TEAMS_PATH}?{QUERY}"}),
    "telegram": (StrictTelegram, {"chat_id": str(CHAT), "bot_token": TOKEN, "api_url": "{here}"}),
}


def config_of(kind: str, here: str) -> dict[str, Any]:
    return {name: value.replace("{here}", here) for name, value in CHATS[kind][1].items()}


@pytest.mark.parametrize("kind", CHATS)
async def test_an_address_that_is_not_allowed_is_never_connected_to_and_no_secret_is_in_the_reason(
    kind: str, system_trust: ssl.SSLContext
) -> None:
    external = OutboundPolicy.parse("external")
    async with receiving(replies("200 OK")) as receiver:
        channel = make_channel(spec(kind, **config_of(kind, receiver.url(""))), external, system_trust, BASE)
        attempt = await channel.send(RAISE)
        await channel.aclose()
    assert receiver.connections == 0
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert attempt.error == (
        "RM_OUTBOUND_ALLOW does not allow 127.0.0.1, which is loopback:"
        " add `loopback`, its network or its host name there"
    )


@pytest.mark.parametrize("kind", CHATS)
async def test_a_retry_is_the_same_message_with_the_same_key_on_the_same_connection(
    kind: str, system_trust: ssl.SSLContext
) -> None:
    strict = CHATS[kind][0]()
    async with receiving(replies("500 Internal Server Error", b"once")) as receiver:
        channel = make_channel(
            spec(kind, **config_of(kind, receiver.url(""))), LOOPBACK, system_trust, BASE, lambda: LATER
        )
        verdicts = [(await channel.send(RAISE)).verdict]
        receiver.script = strict
        verdicts += [(await channel.send(RAISE)).verdict]
        await channel.aclose()
    assert verdicts == ["retry", "delivered"]
    first, second = receiver.requests
    assert first == second
    assert first.headers["idempotency-key"] == DELIVERY
    assert receiver.connections == 1


@pytest.mark.parametrize("kind", CHATS)
async def test_one_that_hangs_is_given_up_and_says_nothing_of_its_url(
    kind: str, system_trust: ssl.SSLContext, autojump_clock: trio.testing.MockClock
) -> None:
    async with receiving(_hangs) as receiver:
        channel = make_channel(spec(kind, **config_of(kind, receiver.url(""))), LOOPBACK, system_trust, BASE)
        attempt = await channel.send(RAISE)
        await channel.aclose()
    assert (attempt.verdict, attempt.error) == ("retry", "no answer within 5 s")


async def _hangs(stream: trio.abc.Stream, _: object) -> None:
    await stream.receive_some(1)
