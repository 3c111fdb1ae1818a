"""The Matrix channel against a real Synapse, for whom wants to try: it is too large to be installed for every run.

python3 -m venv DIR && DIR/bin/pip install matrix-synapse
SYNAPSE=DIR/bin/synapse_homeserver python -m pytest tests/channels/test_real_synapse.py
"""

import json
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from harness.ports import free_port
from harness.processes import eventually
from harness.tools import running
from rmactors.common import clock
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, RAISE, RESOLUTION, spec

PROGRAM = os.environ.get("SYNAPSE")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs SYNAPSE, the path of a synapse_homeserver")

BURST = 60
"""Messages at once of an account; after that, one in a hundred seconds."""


@dataclass
class Account:
    """Somebody on the homeserver."""

    url: str
    token: str
    user: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = httpx.request(
            method, f"{self.url}/_matrix/client/v3{path}", json=body, timeout=60,
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def new_room(self, guest: "Account") -> str:
        room: str = self.call("POST", "/createRoom", {"preset": "private_chat", "invite": [guest.user]})["room_id"]
        return room

    def messages(self, room: str) -> list[dict[str, Any]]:
        """Their contents, the oldest first."""
        found = self.call("GET", f"/rooms/{quote(room, safe='')}/messages?dir=b&limit=100")["chunk"]
        return [event["content"] for event in reversed(found) if event["type"] == "m.room.message"]


@pytest.fixture(scope="module")
def homeserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("synapse"), free_port()
    config = {
        "server_name": "hs.test", "pid_file": str(folder / "pid"), "report_stats": False, "trusted_key_servers": [],
        "listeners": [
            {"port": port, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["client"]}]}
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "db")}},
        "signing_key_path": str(folder / "key"), "media_store_path": str(folder / "media"),
        "macaroon_secret_key": "m", "form_secret": "f",
        "enable_registration": True, "enable_registration_without_verification": True,
        "rc_registration": {"per_second": 1000, "burst_count": 1000},
        "rc_message": {"per_second": 0.01, "burst_count": BURST},
    }  # fmt: skip
    (folder / "homeserver.yaml").write_text(json.dumps(config))  # JSON is YAML
    assert PROGRAM is not None
    url = f"http://127.0.0.1:{port}"
    with running([PROGRAM, "-c", str(folder / "homeserver.yaml"), "--generate-keys"], folder):
        eventually((folder / "key").exists, 60, lambda: "no signing key was made")
    with running([PROGRAM, "-c", str(folder / "homeserver.yaml")], folder) as log:

        def answers() -> bool:
            try:
                return httpx.get(f"{url}/_matrix/client/versions").status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, 120, log.read_text)
        yield url


def account(url: str, name: str) -> Account:
    body = {"username": name, "password": f"{name}-and-more", "auth": {"type": "m.login.dummy"}}
    found = httpx.post(f"{url}/_matrix/client/v3/register", json=body, timeout=60).json()
    return Account(url, found["access_token"], found["user_id"])


async def sent(bot: Account, room: str, trust: ssl.SSLContext, *notifications: Notification) -> list[Attempt]:
    made = spec("matrix", homeserver_url=bot.url, room_id=room, access_token=bot.token)
    channel = make_channel(made, OutboundPolicy.parse("loopback"), trust, "https://rm.example.org")
    attempts = [await channel.send(notification) for notification in notifications]
    await channel.aclose()
    return attempts


async def test_an_invited_bot_that_has_joined_is_heard(homeserver: str, system_trust: ssl.SSLContext) -> None:
    maria, bot = account(homeserver, "maria1"), account(homeserver, "bot1")
    room = maria.new_room(bot)
    assert ":" not in room, "version 12 is the default: an id without a colon"
    [invited] = await sent(bot, room, system_trust, RAISE)
    assert (invited.verdict, invited.in_doubt) == ("dead", False)
    assert "invite the bot into the room and let it join" in (invited.error or "")

    bot.call("POST", f"/rooms/{quote(room, safe='')}/join", {})
    other = replace(RAISE, message="raised, and more")
    ends = [replace(each, delivery_id=f"01K9{each.event}") for each in (ACKNOWLEDGEMENT, RESOLUTION)]
    attempts = await sent(bot, room, system_trust, RAISE, RAISE, other, *ends)
    assert [attempt.error for attempt in attempts] == [None] * 5
    shown = maria.messages(room)
    assert [each["msgtype"] for each in shown] == ["m.text", "m.text", "m.notice", "m.notice"], "a retry is shown once"
    assert shown[1]["body"].splitlines()[1] == "raised, and more"
    assert shown[0]["formatted_body"].startswith("<strong>[warning] nas1: backup_failed</strong>")


async def test_the_longest_messages_fit_into_an_event(homeserver: str, system_trust: ssl.SSLContext) -> None:
    maria, bot = account(homeserver, "maria2"), account(homeserver, "bot2")
    room = maria.new_room(bot)
    bot.call("POST", f"/rooms/{quote(room, safe='')}/join", {})
    hostile = [
        replace(RESOLUTION, delivery_id=f"01K{number}", message="m" + filler * 70_000 + "m", note=filler * 5000)
        for number, filler in enumerate(["x", '"', "&", "ü", "😀", "\n", "\\", "\x00"])
    ]
    attempts = await sent(bot, room, system_trust, *hostile)
    assert [attempt.error for attempt in attempts] == [None] * len(hostile)
    assert len(maria.messages(room)) == len(hostile)


async def test_an_upgraded_room_and_an_old_token_are_said(homeserver: str, system_trust: ssl.SSLContext) -> None:
    maria, bot = account(homeserver, "maria3"), account(homeserver, "bot3")
    room = maria.new_room(bot)
    bot.call("POST", f"/rooms/{quote(room, safe='')}/join", {})
    maria.call("POST", f"/rooms/{quote(room, safe='')}/upgrade", {"new_version": "11"})
    [closed] = await sent(bot, room, system_trust, RAISE)
    assert closed.verdict == "dead"
    assert "of a room that was upgraded, use the new id" in (closed.error or "")
    bot.call("POST", "/logout", {})
    [gone] = await sent(bot, room, system_trust, RAISE)
    assert (gone.verdict, gone.status_code) == ("dead", 401)
    assert "log the bot in again" in (gone.error or "")


async def test_too_many_messages_wait_as_long_as_the_homeserver_says(
    homeserver: str, system_trust: ssl.SSLContext
) -> None:
    maria, bot = account(homeserver, "maria4"), account(homeserver, "bot4")
    room = maria.new_room(bot)
    bot.call("POST", f"/rooms/{quote(room, safe='')}/join", {})
    many = [replace(RAISE, delivery_id=f"01K{number}") for number in range(BURST + 10)]
    attempts = await sent(bot, room, system_trust, *many)
    refused = [attempt for attempt in attempts if attempt.verdict != "delivered"]
    assert refused
    assert {attempt.status_code for attempt in refused} == {429}
    assert all(attempt.retry_at is not None and attempt.retry_at > clock.now() for attempt in refused)
