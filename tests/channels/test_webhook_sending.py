"""The webhook channel against a real listener: every answer, every way to have none.

Deadlines are shortened through the constructor; nothing is patched.
"""

import gc
import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from harness.certificates import Authority
from rmactors import __version__
from rmactors.common import clock
from rmactors.server.channels.base import Channel, Surroundings
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.channels.webhook import kind as webhook
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import DELIVERY, LATER, RAISE, spec
from tests.channels.receivers import Script, cuts, hangs, receiving, replies, sends

BASE = "https://rm.example.org"
LOOPBACK = OutboundPolicy.parse("loopback")


def channel(url: str, trust: ssl.SSLContext, policy: OutboundPolicy = LOOPBACK, **config: str) -> Channel:
    return make_channel(spec("webhook", url=url, **config), policy, trust, BASE, lambda: LATER)


async def send_once(channel: Channel, notification: Notification = RAISE) -> Attempt:
    attempt = await channel.send(notification)
    await channel.aclose()
    return attempt


async def test_the_request_arrives_as_it_was_rendered(system_trust: ssl.SSLContext) -> None:
    async with receiving() as receiver:
        hook = channel(
            receiver.url("/ops?room=1"), system_trust,
            bearer_token="s3cret", header_name="X-Team", header_value="bäckups", signing_secret="k",
        )  # fmt: skip
        attempt = await send_once(hook)
    assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 204, None)
    assert attempt.latency_ms > 0
    [request] = receiver.requests
    assert request.line == "POST /ops?room=1 HTTP/1.1"
    assert request.names == [
        "Host", "User-Agent", "Content-Type", "Idempotency-Key", "Authorization", "X-Team", "webhook-id",
        "webhook-timestamp", "webhook-signature", "Content-Length",
    ]  # fmt: skip
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["user-agent"] == f"restic-manager/{__version__}"
    assert request.headers["x-team"] == "bäckups"
    assert request.headers["idempotency-key"] == request.headers["webhook-id"] == DELIVERY
    assert list(json.loads(request.body))[:9] == [
        "event", "alert_id", "severity", "kind", "host_id", "host_name", "message", "raised_at", "link",
    ]  # fmt: skip


async def test_sends_one_after_another_share_a_connection(system_trust: ssl.SSLContext) -> None:
    async with receiving(replies("200 OK", b'{"ok":true}')) as receiver:
        hook = channel(receiver.url(), system_trust)
        attempts = [await hook.send(replace(RAISE, delivery_id=str(number))) for number in range(5)]
        await hook.aclose()
    assert {attempt.verdict for attempt in attempts} == {"delivered"}
    assert [request.headers["idempotency-key"] for request in receiver.requests] == ["0", "1", "2", "3", "4"]
    assert receiver.connections == 1


async def test_a_connection_that_the_receiver_closed_is_not_used_again(system_trust: ssl.SSLContext) -> None:
    async with receiving(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", then_close=True)) as receiver:
        hook = channel(receiver.url(), system_trust)
        first = await hook.send(RAISE)
        await trio.testing.wait_all_tasks_blocked()
        second = await hook.send(RAISE)
        await hook.aclose()
    assert [first.verdict, second.verdict] == ["delivered", "delivered"]
    assert receiver.connections == 2


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("200 OK", "delivered"), ("202 Accepted", "delivered"),
        ("301 Moved Permanently", "dead"), ("307 Temporary Redirect", "dead"),
        ("400 Bad Request", "dead"), ("401 Unauthorized", "dead"), ("404 Not Found", "dead"), ("410 Gone", "dead"),
        ("408 Request Timeout", "retry"), ("425 Too Early", "retry"), ("429 Too Many Requests", "retry"),
        ("500 Internal Server Error", "retry"), ("502 Bad Gateway", "retry"), ("503 Service Unavailable", "retry"),
    ],
)  # fmt: skip
async def test_each_answer_is_one_attempt_with_its_verdict(
    status: str, verdict: str, system_trust: ssl.SSLContext
) -> None:
    async with receiving(replies(status, b"the receiver's words", location="http://127.0.0.1:1/elsewhere")) as receiver:
        attempt = await send_once(channel(receiver.url(), system_trust))
    assert (attempt.verdict, attempt.status_code) == (verdict, int(status[:3]))
    assert len(receiver.requests) == 1, "redirects are not followed, failures not tried again"
    if verdict == "delivered":
        assert attempt.error is None
    else:
        assert attempt.error is not None
        assert attempt.error.startswith(status)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
async def test_retry_after_is_kept_in_both_forms(status: str, system_trust: ssl.SSLContext) -> None:
    async with receiving(replies(status, retry_after="120")) as receiver:
        hook = channel(receiver.url(), system_trust)
        in_seconds = await hook.send(RAISE)
        receiver.script = replies(status, retry_after="Mon, 23 Nov 2026 04:32:00 GMT")
        as_date = await hook.send(RAISE)
        await hook.aclose()
    assert in_seconds.retry_at == as_date.retry_at == LATER + 120 * clock.SECOND


async def test_what_the_receiver_says_is_told_without_the_secrets(system_trust: ssl.SSLContext) -> None:
    async with receiving(replies("403 Forbidden", b"token s3cret-token is not welcome")) as receiver:
        attempt = await send_once(channel(receiver.url(), system_trust, bearer_token="s3cret-token"))
    assert attempt.error == "403 Forbidden: token •••• is not welcome"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (cuts, "the receiver closed the connection without an answer"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Le", then_close=True), "without an answer"),
        (sends(b"220 mail.example ESMTP\r\n\r\n"), "the receiver does not speak HTTP"),
        (sends(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "the receiver does not speak HTTP"),
        (sends(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), "the receiver does not speak HTTP"),
    ],
)
async def test_half_an_answer_is_none(script: Script, said: str, system_trust: ssl.SSLContext) -> None:
    async with receiving(script) as receiver:
        attempt = await send_once(channel(receiver.url(), system_trust))
    assert (attempt.verdict, attempt.status_code) == ("retry", None)
    assert attempt.error is not None
    assert said in attempt.error
    assert len(receiver.requests) == 1


async def test_informational_answers_are_passed_over(system_trust: ssl.SSLContext) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
    async with receiving(sends(answer)) as receiver:
        attempt = await send_once(channel(receiver.url(), system_trust))
    assert attempt.status_code == 204


async def test_a_refused_connection_is_tried_again_later(system_trust: ssl.SSLContext) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        attempt = await send_once(channel(f"http://127.0.0.1:{port}/", system_trust))
    assert (attempt.verdict, attempt.status_code) == ("retry", None)
    assert attempt.error == f"cannot connect to 127.0.0.1 port {port}: Connection refused"


async def test_a_name_that_nobody_knows_is_tried_again_later(system_trust: ssl.SSLContext) -> None:
    attempt = await send_once(channel("http://nobody.invalid/", system_trust))
    assert attempt.verdict == "retry"
    assert attempt.error is not None
    assert attempt.error.startswith("the host name nobody.invalid cannot be resolved")


def hurried(url: str, trust: ssl.SSLContext) -> Channel:
    """A webhook with a deadline of 0.2 s instead of 5."""
    return webhook.make(spec("webhook", url=url), Surroundings(LOOPBACK, trust, "", lambda: LATER), 0.2)


class TestSlowReceivers:
    async def once(self, script: Script, trust: ssl.SSLContext) -> tuple[Attempt, float]:
        async with receiving(script) as receiver:
            hook = hurried(receiver.url(), trust)
            began = time.monotonic()
            attempt = await hook.send(RAISE)
            took = time.monotonic() - began
            await hook.aclose()
        return attempt, took

    @pytest.mark.parametrize(
        "script",
        [hangs, sends(*(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\n" * 20), pause=0.01)],
        ids=["says nothing", "drips its headers"],
    )
    async def test_one_deadline_ends_it_all(self, script: Script, system_trust: ssl.SSLContext) -> None:
        attempt, took = await self.once(script, system_trust)
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert attempt.error == "no answer within 0.2 s"
        assert took >= 0.2

    @pytest.mark.parametrize(
        ("status", "verdict"), [(b"200 OK", "delivered"), (b"500 Oops", "retry"), (b"404 No", "dead")]
    )
    async def test_a_status_counts_though_its_body_drips(
        self, status: bytes, verdict: str, system_trust: ssl.SSLContext
    ) -> None:
        head = b"HTTP/1.1 " + status + b"\r\nContent-Length: 1000\r\n\r\n"
        attempt, took = await self.once(sends(head, *[b"x"] * 1000, pause=0.01), system_trust)
        assert (attempt.verdict, attempt.status_code) == (verdict, int(status[:3]))
        assert took < 10, "it waited for the whole body, which drips for ten seconds and more"

    async def test_one_that_accepts_and_reads_nothing_is_given_up(self, system_trust: ssl.SSLContext) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            hook = hurried(url, system_trust)
            huge = await hook.send(replace(RAISE, message="x" * 20_000_000))
            await hook.aclose()
        assert huge.error == "no answer within 0.2 s"


async def test_of_a_huge_body_only_the_beginning_is_read(system_trust: ssl.SSLContext) -> None:
    sent = 0

    async def floods(stream: trio.abc.Stream, _: object) -> None:
        nonlocal sent
        await stream.send_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 65536)
            sent += 65536

    async with receiving(floods) as receiver:
        attempt = await send_once(channel(receiver.url(), system_trust))
    assert (attempt.verdict, attempt.status_code) == ("retry", 500)
    assert len(attempt.error or "") < 300
    assert sent < 20_000_000, "the connection is cut, not drained"


async def test_an_answer_before_the_request_was_read_is_heard(system_trust: ssl.SSLContext) -> None:
    """A receiver that refuses a large body answers at once and closes."""

    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some(100)
        await stream.send_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        await stream.send_eof()
        while await stream.receive_some(1 << 20):
            pass

    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, refuse, [listener])
        hook = channel(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/", system_trust)
        attempt = await send_once(hook, replace(RAISE, message="x" * 5_000_000))
        nursery.cancel_scope.cancel()
    assert (attempt.verdict, attempt.status_code) == ("dead", 413)


async def test_many_sends_at_once_are_bounded_in_connections(system_trust: ssl.SSLContext) -> None:
    async with receiving() as receiver:
        hook = channel(receiver.url(), system_trust)
        attempts: list[Attempt] = []

        async def one() -> None:
            attempts.append(await hook.send(RAISE))

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(one)
        await hook.aclose()
    assert [attempt.verdict for attempt in attempts] == ["delivered"] * 100
    assert receiver.connections <= 32


async def test_a_cancelled_send_leaves_the_channel_usable(system_trust: ssl.SSLContext) -> None:
    async with receiving(hangs) as receiver:
        hook = channel(receiver.url(), system_trust)
        with trio.move_on_after(0.05) as scope:
            await hook.send(RAISE)
        receiver.script = replies("204 No Content")
        attempt = await hook.send(RAISE)
        await hook.aclose()
    assert scope.cancelled_caught
    assert attempt.verdict == "delivered"


async def test_a_send_cut_off_at_any_instant_leaves_no_connection_open(system_trust: ssl.SSLContext) -> None:
    """A socket that nobody closed is a warning, and so an error, when it is collected."""
    async with receiving() as receiver:
        for step in range(300):
            hook = channel(receiver.url(), system_trust)
            with trio.move_on_after(step * 0.00002):
                await hook.send(RAISE)
            await hook.aclose()
        gc.collect()
    assert len(receiver.requests) > 0


async def test_proxies_from_the_environment_are_ignored(
    system_trust: ssl.SSLContext, environment: Callable[..., None]
) -> None:
    environment(HTTP_PROXY="http://127.0.0.1:1", http_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    async with receiving() as receiver:
        attempt = await send_once(channel(receiver.url(), system_trust))
    assert os.environ["HTTP_PROXY"] == "http://127.0.0.1:1"
    assert attempt.verdict == "delivered"


class TestTls:
    async def test_a_certificate_that_is_trusted_is_fine_and_the_connection_is_kept(self, authority: Authority) -> None:
        async with receiving(tls=authority.server) as receiver:
            hook = channel(receiver.url(), authority.trusting())
            attempts = [await hook.send(RAISE) for _ in range(3)]
            await hook.aclose()
        assert [attempt.verdict for attempt in attempts] == ["delivered"] * 3
        assert receiver.connections == 1

    async def test_a_name_is_verified_not_the_address_behind_it(self, authority: Authority) -> None:
        async with receiving(tls=authority.server) as receiver:
            attempt = await send_once(channel(f"https://localhost:{receiver.port}/", authority.trusting()))
        assert attempt.verdict == "delivered"

    async def test_an_unknown_authority_ends_it_before_anything_is_sent(
        self, authority: Authority, system_trust: ssl.SSLContext
    ) -> None:
        async with receiving(tls=authority.server) as receiver:
            attempt = await send_once(channel(receiver.url(), system_trust))
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert attempt.error is not None
        assert "the certificate is not trusted: unable to get local issuer certificate" in attempt.error
        assert receiver.requests == []

    async def test_a_certificate_for_another_host_is_refused(self, authority: Authority) -> None:
        async with receiving(tls=authority.wrong_name) as receiver:
            attempt = await send_once(channel(receiver.url(), authority.trusting()))
        assert "the certificate is not trusted" in (attempt.error or "")
        assert receiver.requests == []

    async def test_a_receiver_without_tls_is_told_apart(self, authority: Authority) -> None:
        async def plain(stream: trio.SocketStream) -> None:
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, plain, [listener])
            url = f"https://127.0.0.1:{listener.socket.getsockname()[1]}/"
            attempt = await send_once(channel(url, authority.trusting()))
            nursery.cancel_scope.cancel()
        assert attempt.verdict == "retry"
        assert (attempt.error or "").startswith("TLS with 127.0.0.1 failed")


class TestWhereItMayGo:
    async def test_a_forbidden_address_is_dead_and_nothing_connects(self, system_trust: ssl.SSLContext) -> None:
        policy = OutboundPolicy.parse("external,private")
        async with receiving() as receiver:
            attempt = await send_once(channel(receiver.url(), system_trust, policy))
        assert (attempt.verdict, attempt.status_code) == ("dead", None)
        assert "RM_OUTBOUND_ALLOW does not allow 127.0.0.1, which is loopback" in (attempt.error or "")
        assert receiver.connections == 0

    async def test_a_name_is_judged_by_where_it_leads(self, system_trust: ssl.SSLContext) -> None:
        policy = OutboundPolicy.parse("external,private")
        async with receiving() as receiver:
            attempt = await send_once(channel(f"http://localhost:{receiver.port}/", system_trust, policy))
        assert attempt.verdict == "dead"
        assert "localhost (" in (attempt.error or "")
        assert receiver.connections == 0

    async def test_a_redirect_to_a_forbidden_place_goes_nowhere(self, system_trust: ssl.SSLContext) -> None:
        async with receiving() as inner, receiving(replies("302 Found", location=inner.url())) as receiver:
            attempt = await send_once(channel(receiver.url(), system_trust))
        assert (attempt.verdict, inner.connections) == ("dead", 0)
