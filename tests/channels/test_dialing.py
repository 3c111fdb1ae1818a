"""Connections go to the address that was judged, and to no other: two listeners on two loopback addresses.

127.0.0.1 stands for what is forbidden, 127.0.0.2 for what is allowed. The resolver is ours, as a hostile name
server is an attacker's.
"""

import socket
import ssl
import time
from collections.abc import Iterator

import httpx
import pytest
import trio

from harness.ports import free_port
from rmactors.server.channels.answers import judge_http
from rmactors.server.channels.mail.payload import Mail
from rmactors.server.channels.mail.session import MailOutcome, MailServer, MailSession
from rmactors.server.channels.net.dialing import ConnectFailed, Dialer
from rmactors.server.channels.net.egress import ForbiddenAddress, OutboundPolicy
from rmactors.server.channels.net.http_client import HttpEndpoint
from rmactors.server.channels.net.transport import GuardedTransport
from rmactors.server.channels.request import make_request
from tests.channels.receivers import receiving, replies
from tests.each_step import left_open

POLICY = OutboundPolicy.parse("127.0.0.2")


class Listeners:
    """The same port on both addresses."""

    def __init__(self) -> None:
        self.port = free_port()
        self.allowed = socket.create_server(("127.0.0.2", self.port))
        self.forbidden = socket.create_server(("127.0.0.1", self.port))

    def reached(self) -> list[str]:
        """Which of the two somebody connected to."""
        found = []
        for name, listener in (("allowed", self.allowed), ("forbidden", self.forbidden)):
            listener.settimeout(0)
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            found.append(name)
        return found


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    made = Listeners()
    yield made
    made.allowed.close()
    made.forbidden.close()


class NameServer:
    """Answers each question with the next of its answers."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0)


async def test_a_name_that_changes_after_it_was_judged_gains_nothing(listeners: Listeners) -> None:
    names = NameServer(["127.0.0.2"], ["127.0.0.1"])
    stream = await Dialer("hooks.example", listeners.port, POLICY, None, names).open()
    await stream.aclose()
    assert names.asked == 1
    assert listeners.reached() == ["allowed"]


async def test_of_several_addresses_only_the_allowed_ones_are_tried(listeners: Listeners) -> None:
    stream = await Dialer("hooks.example", listeners.port, POLICY, None, NameServer(["127.0.0.1", "127.0.0.2"])).open()
    await stream.aclose()
    assert listeners.reached() == ["allowed"]


@pytest.mark.parametrize("answer", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"])
async def test_a_name_that_leads_only_to_forbidden_places_is_refused(answer: str, listeners: Listeners) -> None:
    with pytest.raises(ForbiddenAddress, match=r"RM_OUTBOUND_ALLOW .*hooks\.example"):
        await Dialer("hooks.example", listeners.port, POLICY, None, NameServer([answer])).open()
    assert listeners.reached() == []


@pytest.mark.parametrize(
    ("host", "answer", "in_doubt"),
    [
        ("hooks.example", ["0.0.0.0"], True),
        ("hooks.example", ["::", "0.0.0.0"], True),
        ("hooks.example", ["169.254.169.254", "0.0.0.0"], True),
        ("hooks.example", ["127.0.0.1"], False),
        ("hooks.example", ["169.254.169.254"], False),
        ("0.0.0.0", [], False),  # no name server said so
        ("0", [], False),
    ],
)
async def test_nobodys_address_may_be_the_answer_of_a_name_server_that_blocks_the_name(
    host: str, answer: list[str], in_doubt: bool, listeners: Listeners, system_trust: ssl.SSLContext
) -> None:
    """It is never connected to. But tomorrow the name may lead to the receiver again."""
    url = httpx.URL(f"http://{host}:{listeners.port}/")
    hook = HttpEndpoint(url, POLICY, system_trust, lambda: 0, resolve=NameServer(answer))
    attempt = await hook.send(make_request(url, [], b""), judge_http)
    assert (attempt.verdict, attempt.status_code, attempt.in_doubt) == ("dead", None, in_doubt)
    assert ("a name server that blocks a name answers so" in (attempt.error or "")) is in_doubt
    assert listeners.reached() == []


async def test_each_connection_is_judged_again(listeners: Listeners) -> None:
    dialer = Dialer("hooks.example", listeners.port, POLICY, None, NameServer(["127.0.0.2"], ["127.0.0.1"]))
    await (await dialer.open()).aclose()
    with pytest.raises(ForbiddenAddress):
        await dialer.open()
    assert listeners.reached() == ["allowed"]


async def test_where_one_address_refuses_the_next_one_is_used(listeners: Listeners) -> None:
    policy = OutboundPolicy.parse("loopback")
    names = NameServer(["127.0.0.3", "127.0.0.2"])
    stream = await Dialer("hooks.example", listeners.port, policy, None, names).open()
    await stream.aclose()
    assert listeners.reached() == ["allowed"]


async def test_a_name_server_that_never_answers_holds_nobody_longer_than_the_deadline() -> None:
    def stuck(host: str, port: int) -> list[str]:
        time.sleep(0.3)
        return []

    with trio.move_on_after(0.05) as scope:
        await Dialer("hooks.example", 80, POLICY, None, stuck).open()
    assert scope.cancelled_caught


async def test_a_malformed_name_is_a_failure_not_a_crash() -> None:
    with pytest.raises(ConnectFailed):
        await Dialer("a" * 70 + ".example", 80, POLICY, None).open()


def deliver(names: NameServer, port: int, trust: ssl.SSLContext) -> MailOutcome:
    server = MailServer("mail.example", port, "none", None, None, "rm.example.org")
    session = MailSession(server, POLICY, trust, time.monotonic() + 0.2, names)
    return session.deliver(Mail("a@b.example", ("c@d.example",), b"", False), ["c@d.example"])


def test_mail_goes_to_the_judged_address_alone_as_well(listeners: Listeners, system_trust: ssl.SSLContext) -> None:
    names = NameServer(["127.0.0.1", "127.0.0.2"], ["127.0.0.1"])
    deliver(names, listeners.port, system_trust)
    assert names.asked == 1
    assert listeners.reached() == ["allowed"]


def test_mail_to_a_forbidden_address_is_dead(listeners: Listeners, system_trust: ssl.SSLContext) -> None:
    outcome = deliver(NameServer(["127.0.0.1"]), listeners.port, system_trust)
    assert (outcome.verdict, outcome.in_doubt) == ("dead", False)
    assert "RM_OUTBOUND_ALLOW does not allow mail.example (127.0.0.1)" in (outcome.error or "")
    assert listeners.reached() == []


def test_mail_to_a_server_whose_name_is_blocked_may_go_out_later(
    listeners: Listeners, system_trust: ssl.SSLContext
) -> None:
    outcome = deliver(NameServer(["0.0.0.0"]), listeners.port, system_trust)
    assert (outcome.verdict, outcome.in_doubt, outcome.left) == ("dead", True, ("c@d.example",))
    assert listeners.reached() == []


async def test_a_whole_client_of_httpx_can_stand_over_the_guarded_connections(
    listeners: Listeners, system_trust: ssl.SSLContext
) -> None:
    async with receiving(replies("302 Found", b"elsewhere", location="http://127.0.0.1:1/")) as receiver:
        transport = GuardedTransport(httpx.URL(receiver.url()), OutboundPolicy.parse("loopback"), system_trust)
        async with httpx.AsyncClient(transport=transport) as client:
            answers = [await client.post(receiver.url(), content=b"x") for _ in range(2)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(302, "elsewhere")] * 2
    assert receiver.connections == 1
    url = httpx.URL(f"http://hooks.example:{listeners.port}/")
    transport = GuardedTransport(url, POLICY, system_trust, NameServer(["127.0.0.1"]))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(ForbiddenAddress):
            await client.get(url)
    assert listeners.reached() == []


async def test_a_connection_that_is_given_up_at_any_moment_is_closed() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        dialer = Dialer("two", listener.getsockname()[1], POLICY, None, lambda *_: ["127.0.0.2", "127.0.0.2"])

        async def connect() -> None:
            await trio.aclose_forcefully(await dialer.open())

        assert await left_open(connect) == []


async def test_a_message_that_is_given_up_at_any_moment_leaves_no_connection_open(system_trust: ssl.SSLContext) -> None:
    async with receiving(replies(204)) as receiver:
        url = httpx.URL(receiver.url())

        async def one(transport: GuardedTransport) -> None:
            response = await transport.handle_async_request(httpx.Request("POST", url, content=b"{}"))
            try:
                await response.aread()
            finally:
                await response.aclose()

        async def send() -> None:
            transport = GuardedTransport(url, OutboundPolicy.parse("127.0.0.1"), system_trust)
            try:
                for _ in range(2):
                    async with trio.open_nursery() as nursery:
                        for _ in range(3):
                            nursery.start_soon(one, transport)
            finally:
                await transport.aclose()

        assert await left_open(send) == []
