"""The ntfy channel and real servers: what they store of our messages is what was meant."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from rmactors.common import clock
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.tls import shared_ssl_context
from rmactors.server.channels.ntfy.kind import RESERVED_TOPICS
from rmactors.server.channels.registry import make_channel
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.ntfyservers import VERSIONS, Ntfy, ntfy_server

TRUST: ssl.SSLContext = shared_ssl_context()
LOOPBACK = OutboundPolicy.parse("loopback")


@pytest.fixture(scope="module", params=list(VERSIONS))
def ntfy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ntfy]:
    with ntfy_server(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture(params=list(VERSIONS))
def folder(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def tell(ntfy: Ntfy, topic: str, *notifications: Notification, path: str = "") -> list[Attempt]:
    """How sending these ends, one after the other on one channel."""

    async def main() -> list[Attempt]:
        config = {"server_url": ntfy.url + path, "topic": topic}
        channel = make_channel(spec("ntfy", **config), LOOPBACK, TRUST, "https://rm.example.org", clock.now)
        found = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
        return found

    return trio.run(main)


def verdicts(attempts: list[Attempt]) -> list[str]:
    return [attempt.verdict for attempt in attempts]


def test_a_phone_shows_title_text_tags_and_buttons(ntfy: Ntfy) -> None:
    act = "https://rm.example.org/act/token;a,b=?"
    host, link = 'näs1 ☃, "quoted"', "https://rm.müller.example/alerts/x"
    critical = replace(RAISE, severity="critical", host_name=host, link=link, act_link=act)
    assert verdicts(tell(ntfy, "shown", critical)) == ["delivered"]
    [message] = ntfy.messages("shown")
    assert message["title"] == f"[critical] {host} backup_failed"
    assert (message["message"], message["priority"]) == (RAISE.message, 5)
    assert message["tags"] == ["critical", "backup_failed", "rotating_light"]
    assert message["click"] == link
    assert [(each["action"], each["label"], each["url"]) for each in message["actions"]] == [
        ("view", "View the alert", link),
        ("view", "Acknowledge or silence", act),
    ]


@pytest.mark.parametrize("filler", ["x", "ä", "😀"])
def test_the_longest_message_is_text_and_no_file(ntfy: Ntfy, filler: str) -> None:
    topic = f"long-{ord(filler)}"
    assert verdicts(tell(ntfy, topic, replace(RAISE, message=filler * 5000))) == ["delivered"]
    [message] = ntfy.messages(topic)
    assert message["message"].endswith("…")
    assert "attachment" not in message


@pytest.mark.parametrize("character", ['"', "\\", "<", "\u2028", "\n", "�"])
def test_an_answer_that_is_much_longer_than_the_message_is_still_read(ntfy: Ntfy, character: str) -> None:
    message = "a" + character * 4000 + "z"
    assert verdicts(tell(ntfy, "escaped", replace(RAISE, message=message))) == ["delivered"]


def test_a_lower_limit_of_a_server_without_files(folder: str, tmp_path: Path) -> None:
    with ntfy_server(folder, tmp_path, message_size_limit="1k") as ntfy:
        attempts = tell(ntfy, "t", *[replace(RAISE, message="x" * 5000)] * 2)
        assert verdicts(attempts) == ["delivered", "delivered"]
        assert [len(message["message"].encode()) for message in ntfy.messages("t")] == [1023, 1023]


def test_a_lower_limit_of_a_server_that_would_make_a_file_of_it(folder: str, tmp_path: Path) -> None:
    files = {"attachment_cache_dir": str(tmp_path / "files"), "message_size_limit": "1k"}
    with ntfy_server(folder, tmp_path, **files) as ntfy:
        assert verdicts(tell(ntfy, "t", replace(RAISE, message="x" * 5000))) == ["delivered"]
        told = ntfy.messages("t")
        assert "attachment" not in told[-1]
        assert told[-1]["message"].endswith("x…")


def lives(ntfy: Ntfy, topic: str) -> dict[str, list[str]]:
    """By sequence, what is shown one after the other in one place; without sequences each message has its own."""
    found: dict[str, list[str]] = {}
    for message in ntfy.messages(topic):
        found.setdefault(message.get("sequence_id", message["id"]), []).append(message["title"].partition("failed")[2])
    return found


def test_an_alert_is_one_notification_that_changes(tmp_path: Path) -> None:
    with ntfy_server("ntfy-sid", tmp_path) as ntfy:
        assert set(verdicts(tell(ntfy, "t", RAISE, ACKNOWLEDGEMENT, RESOLUTION))) == {"delivered"}
        assert lives(ntfy, "t") == {ALERT: ["", " (acknowledged)", " (resolved)"]}


def test_what_must_be_heard_and_a_group_are_notifications_of_their_own(tmp_path: Path) -> None:
    worse, reminder = replace(RAISE, again=True, delivery_id="W1"), replace(REMINDER, delivery_id="R1")
    with ntfy_server("ntfy-sid", tmp_path) as ntfy:
        tell(ntfy, "t", RAISE, worse, reminder, GROUP, RESOLUTION)
        assert set(lives(ntfy, "t")) == {ALERT, "W1", "R1", DELIVERY}


def test_a_server_that_knows_no_sequences_shows_each_message(tmp_path: Path) -> None:
    with ntfy_server("ntfy", tmp_path) as ntfy:
        assert set(verdicts(tell(ntfy, "t", RAISE, ACKNOWLEDGEMENT, RESOLUTION))) == {"delivered"}
        assert len(lives(ntfy, "t")) == 3


@pytest.mark.parametrize("topic", ["backups", "other"])
def test_an_address_that_names_a_topic_is_dead_and_says_what_to_change(ntfy: Ntfy, topic: str) -> None:
    [attempt] = tell(ntfy, topic, RAISE, path="/backups")
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert attempt.error is not None
    assert attempt.error.endswith("give the address alone, such as https://ntfy.example.org")


def test_the_topics_that_the_form_refuses_are_those_that_the_server_reserves(ntfy: Ntfy) -> None:
    script = ntfy.client.get(f"{ntfy.url}/config.js").text
    reserved = script.partition('"disallowed_topics": [')[2].partition("]")[0].replace('"', "").split(",")
    assert sorted(name.strip() for name in reserved) == sorted(RESERVED_TOPICS)
