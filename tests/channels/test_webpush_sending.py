"""Web Push against a push service as strict as the standards, behind which a browser decrypts what came."""

import ssl
from dataclasses import replace

import pytest

from harness.certificates import Authority
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.channels.webpush import keys
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, LATER, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.receivers import Script, receiving, replies
from tests.channels.strict_push import PATH, StrictPushService, Subscription

NAMED = OutboundPolicy.parse("127.0.0.0/8")
"""A network that is named counts, the word `loopback` alone does not."""
OWN = keys.own_key(b"the server's")
BASE = "https://rm.example.org"


async def told(
    authority: Authority, *notifications: Notification, script: Script | None = None, own: str = OWN, base: str = BASE
) -> tuple[list[Attempt], StrictPushService]:
    subscription = Subscription(keys.public_text(OWN))
    service = StrictPushService(subscription, LATER)
    async with receiving(script or service, authority.server) as receiver:
        service.origin = receiver.url("")
        made = spec("webpush", **subscription.given(service.origin + PATH), vapid_key=own)
        assert validate("webpush", "ops", made.config, OutboundPolicy.parse("external,127.0.0.0/8")) == []
        channel = make_channel(made, NAMED, authority.trusting(), base, lambda: LATER)
        attempts = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
    return attempts, service


async def test_the_whole_life_of_an_alert_is_taken_and_decrypted(authority: Authority) -> None:
    attempts, service = await told(authority, RAISE, ACKNOWLEDGEMENT, REMINDER, RESOLUTION, GROUP)
    assert [(attempt.verdict, attempt.status_code) for attempt in attempts] == [("delivered", 201)] * 5
    first, *_, last = service.shown
    assert first["title"] == "[warning] nas1: backup_failed"
    assert first["body"] == "Backup of home failed: wrong password"
    assert first["url"] == RAISE.link
    assert [each["event"] for each in service.shown] == [
        "alert.raised", "alert.acknowledged", "alert.reminder", "alert.resolved", "alert.raised",
    ]  # fmt: skip
    assert last["body"].startswith("2 alerts:")


async def test_a_browser_that_was_away_gets_the_resolution_alone_and_a_group_beside_it(authority: Authority) -> None:
    _, service = await told(authority, RAISE, RESOLUTION, GROUP)
    assert [each["title"] for each in service.waiting.values()] == [
        "[warning] nas1: backup_failed (resolved)", "[critical] nas1: multiple",
    ]  # fmt: skip


async def test_the_longest_message_is_taken(authority: Authority) -> None:
    text = '"<ü\n😀' * 5_000
    longest = replace(RAISE, message=text, host_name="ü" * 200, link="https://rm.example.org/alerts/" + "x" * 300)
    attempts, service = await told(authority, longest)
    assert [attempt.verdict for attempt in attempts] == ["delivered"]
    assert service.shown[0]["body"].endswith("…")


async def test_a_link_to_act_is_for_those_who_may_and_is_not_in_it(authority: Authority) -> None:
    _, service = await told(authority, replace(RAISE, act_link="https://rm.example.org/act/secret"))
    assert "secret" not in str(service.shown)


@pytest.mark.parametrize("base", ["http://nas.lan:8080", "https://127.0.0.1:8443", "https://rm.example.org:8443"])
async def test_any_address_of_this_server_gives_a_contact_that_is_taken(base: str, authority: Authority) -> None:
    attempts, _ = await told(authority, RAISE, base=base)
    assert attempts[0].verdict == "delivered"


async def test_each_message_is_signed_for_its_own_service(authority: Authority) -> None:
    """Claims that are used again would name the service of the message before."""
    first, _ = await told(authority, RAISE, RAISE)
    second, _ = await told(authority, RAISE)
    assert {attempt.verdict for attempt in first + second} == {"delivered"}


async def test_another_key_than_the_subscription_was_made_for_is_refused(authority: Authority) -> None:
    attempts, _ = await told(authority, RAISE, own=keys.own_key(b"another"))
    assert (attempts[0].verdict, attempts[0].status_code) == ("dead", 403)


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
async def test_a_subscription_that_has_ended_is_dead_at_once_and_says_what_to_do(
    status: str, authority: Authority
) -> None:
    [attempt], _ = await told(authority, RAISE, script=replies(status))
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert attempt.error is not None
    assert "turn notifications on there again, or delete this channel" in attempt.error


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("200 OK", "delivered"), ("201 Created", "delivered"), ("202 Accepted", "delivered"),
        ("204 No Content", "delivered"), ("400 Bad Request", "dead"), ("413 Payload Too Large", "dead"),
        ("429 Too Many Requests", "retry"), ("500 Internal Server Error", "retry"),
        ("503 Service Unavailable", "retry"),
    ],
)  # fmt: skip
async def test_other_answers_mean_what_they_mean_everywhere(status: str, verdict: str, authority: Authority) -> None:
    [attempt], _ = await told(authority, RAISE, script=replies(status))
    assert attempt.verdict == verdict


async def test_a_pause_that_the_service_asks_for_is_kept(authority: Authority) -> None:
    [attempt], _ = await told(authority, RAISE, script=replies("429 Too Many Requests", retry_after="60"))
    assert attempt.retry_at == LATER + 60_000_000


async def test_the_endpoint_is_a_secret_that_no_error_repeats(authority: Authority) -> None:
    [attempt], service = await told(authority, RAISE, script=replies("400 Bad Request", f"no {PATH} here".encode()))
    assert attempt.error is not None
    assert PATH.rpartition("/")[2] not in attempt.error
    assert service.shown == []


# ---- where it may go


async def test_a_local_address_is_reached_only_where_it_is_named(
    authority: Authority, system_trust: ssl.SSLContext
) -> None:
    subscription = Subscription(keys.public_text(OWN))
    async with receiving(tls=authority.server) as receiver:
        made = spec("webpush", **subscription.given(receiver.url(PATH)), vapid_key=OWN)
        everything = OutboundPolicy.parse("external,private,loopback")
        channel = make_channel(made, everything, authority.trusting(), BASE, lambda: LATER)
        attempt = await channel.send(RAISE)
        await channel.aclose()
        assert (attempt.verdict, attempt.status_code, receiver.connections) == ("dead", None, 0)


def test_what_is_no_subscription_is_refused_field_by_field() -> None:
    good = {**Subscription("").given(f"https://push.example.org{PATH}"), "vapid_key": OWN}
    everything = OutboundPolicy.parse("external,private,loopback")
    assert validate("webpush", "ops", good, everything) == []
    for field, value in (
        ("endpoint", "http://push.example.org/x"), ("endpoint", "https://10.0.0.1/x"), ("endpoint", "https://127.0.0.1/x"),
        ("endpoint", "ftp://x"), ("endpoint", ""), ("p256dh", "AAAA"), ("p256dh", "ü"), ("p256dh", "B" + "A" * 86),
        ("auth", "AAAA"), ("auth", "!"), ("vapid_key", "AAAA"), ("vapid_key", "A" * 43), ("vapid_key", "_" * 43),
    ):  # fmt: skip
        errors = validate("webpush", "ops", {**good, field: value}, everything)
        assert [error.pointer for error in errors] == [f"/config/{field}"], (field, value)


def test_the_preview_shows_what_the_browser_will_be_told_and_no_secret() -> None:
    subscription = Subscription("")
    made = spec("webpush", **subscription.given(f"https://push.example.org{PATH}"), vapid_key=OWN)
    request = preview(made, RAISE, BASE).request
    assert request is not None
    assert request["headers"]["Urgency"] == "normal"
    assert request["headers"]["Content-Encoding"] == "aes128gcm"
    assert '"title":"[warning] nas1: backup_failed"' in request["body"]
    shown = str(request)
    for secret in (PATH.rpartition("/")[2], OWN, subscription.given("")["auth"]):
        assert secret not in shown


def test_urgency_says_whether_a_phone_is_woken() -> None:
    made = spec("webpush", **Subscription("").given(f"https://push.example.org{PATH}"), vapid_key=OWN)

    def urgency(notification: Notification) -> str:
        request = preview(made, notification, BASE).request
        assert request is not None
        return str(request["headers"]["Urgency"])

    assert urgency(replace(RAISE, severity="critical")) == "high"
    assert urgency(replace(RAISE, severity="info")) == "low"
    assert urgency(replace(RESOLUTION, severity="critical")) == "low"
