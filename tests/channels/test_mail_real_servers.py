"""The mail channel and the mail servers that people run: Postfix with a policy service, Dovecot's passwords, Exim."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from harness.certificates import Authority
from rmactors.server.channels.mail import payload
from rmactors.server.channels.mail.send import SmtpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.messages.notifications import Attempt, Notification
from tests.actors.office import open_office
from tests.actors.works import until
from tests.channels.mailprograms import HOST, Exim, Postfix, Programs, dovecot, exim, postfix, programs
from tests.channels.notifications import ACKNOWLEDGEMENT, RAISE, spec

BASE = "https://rm.example.org"
LOOPBACK = OutboundPolicy.parse("loopback")
USER, PASSWORD = "ops", "pässwörd ☃"
SECONDS = 60.0
"""For an attempt: the machine may be busy."""


@pytest.fixture(scope="module")
def made(authority: Authority) -> Iterator[Programs]:
    with programs(authority.folder / "here.pem") as made:
        yield made


@pytest.fixture(scope="module")
def running_postfix(made: Programs) -> Iterator[Postfix]:
    with dovecot(made, {USER: PASSWORD}) as sasl_port, postfix(made, sasl_port) as running:
        yield running


@pytest.fixture
def server(running_postfix: Postfix) -> Iterator[Postfix]:
    yield running_postfix
    running_postfix.policy.actions.clear()


@pytest.fixture(scope="module")
def running_exim(made: Programs) -> Iterator[Exim]:
    with exim(made, USER, PASSWORD) as running:
        yield running


async def send(
    port: int, trust: ssl.SSLContext, *, about: Notification = RAISE, recipients: tuple[str, ...] = (),
    base: str = BASE, seconds: float = SECONDS, **config: Any,
) -> Attempt:  # fmt: skip
    settings = {"host": HOST, "port": port, "encryption": "none", "from": "rm@example.org", **config}
    channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, trust, base, seconds)
    return await channel.send(about, recipients)


async def stored(server: Postfix, user: str, number: int = 1) -> list[Any]:
    """The mails of a user, once so many are there."""
    with trio.fail_after(60):
        while len(found := server.mails(user)) < number:  # noqa: ASYNC110 - a mailbox sets no event
            await trio.sleep(0.02)
    return found


async def logged(made: Programs, line: str) -> str:
    """Postfix' log, once this is in it."""
    with trio.fail_after(60):
        while line not in (found := (made.folder / "postfix.log").read_text()):  # noqa: ASYNC110 - as above
            await trio.sleep(0.02)
    return found


class TestPostfix:
    async def test_a_mail_is_stored_as_it_was_written(self, server: Postfix, system_trust: ssl.SSLContext) -> None:
        names = ["=?utf-8?q?evil?= =?utf-8?b?eA==?=", "näs  1 ☃ " * 8 + "end", "nas1\r\n.\r\nQUIT", "x" * 180]
        for number, name in enumerate(names):
            about = replace(ACKNOWLEDGEMENT, host_name=name, message=f".\n..\n{name}\nПароль неверен")
            attempt = await send(server.plain, system_trust, about=about, to="whole@example.org")
            assert (attempt.verdict, attempt.status_code) == ("delivered", 250), attempt.error
            mail = (await stored(server, "whole", number + 1))[-1]
            assert mail["Subject"] == payload.subject(about)
            plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
            assert plain == payload.text(about)
            assert "Пароль неверен" in mail.get_body(("html",)).get_content()

    @pytest.mark.parametrize("base", [BASE, "http://nas:8080", "http://rm_server", "http://localhost:8080"])
    async def test_its_strict_rules_take_what_this_server_calls_itself(
        self, base: str, server: Postfix, system_trust: ssl.SSLContext
    ) -> None:
        attempt = await send(server.plain, system_trust, base=base, to="helo@example.org")
        assert attempt.verdict == "delivered", attempt.error

    async def test_greylisting_of_one_recipient_leaves_the_others_the_mail(
        self, server: Postfix, system_trust: ssl.SSLContext
    ) -> None:
        to = "maria@example.org, li@example.org"
        server.policy.actions["li@example.org"] = "DEFER_IF_PERMIT Greylisted, see the help page"
        first = await send(server.plain, system_trust, to=to)
        again = await send(server.plain, system_trust, to=to, recipients=first.recipients_left)
        server.policy.actions.clear()
        last = await send(server.plain, system_trust, to=to, recipients=again.recipients_left)
        assert [(one.verdict, one.status_code, one.others_have_it) for one in (first, again, last)] == [
            ("retry", 450, True), ("retry", 450, True), ("delivered", 250, False)
        ]  # fmt: skip
        assert "li@example.org refused for now (450 4.7.1 <li@example.org>: Recipient address" in (first.error or "")
        assert len(await stored(server, "maria")) == len(await stored(server, "li")) == 1

    async def test_a_recipient_beyond_ascii_where_smtputf8_is_off(
        self, server: Postfix, system_trust: ssl.SSLContext
    ) -> None:
        attempt = await send(server.ascii_only, system_trust, to="jörg@example.org, ascii@example.org")
        assert attempt.verdict == "delivered"
        assert (attempt.error or "").startswith("jörg@example.org refused for good")
        [mail] = await stored(server, "ascii")
        assert mail["To"] == "ascii@example.org"

    async def test_a_recipient_beyond_ascii_where_it_is_on(self, server: Postfix, system_trust: ssl.SSLContext) -> None:
        attempt = await send(server.plain, system_trust, to="jörg@example.org, both@example.org")
        assert (attempt.verdict, attempt.error) == ("delivered", None)
        [mail] = await stored(server, "both")
        assert mail["To"] == "jörg@example.org, both@example.org"


async def test_greylisting_of_one_recipient_holds_up_no_alert_of_the_other_one(
    server: Postfix, mock_clock: MockClock, tmp_path: Path, system_trust: ssl.SSLContext
) -> None:
    """No time goes by for the channel, so none of these has waited for a pause."""
    server.policy.actions["grey@example.org"] = "DEFER_IF_PERMIT Greylisted"
    settings = {"host": HOST, "port": server.plain, "encryption": "none", "from": "rm@example.org",
                "to": "grey@example.org, many@example.org", "helo_name": "rm.example.org"}  # fmt: skip
    async with open_office(tmp_path / "rm.db", system_trust) as office:
        await office.save_config(settings, kind="smtp")
        host = office.works.ledger.host()
        for number in range(30):
            await office.raise_(host, f"s{number}")
        await until(lambda: len(server.mails("many")) == 30)
        assert office.works.ledger.rows("SELECT failing_since FROM channels") == [(None,)]
        assert server.mails("grey") == []
        server.policy.actions.clear()
        mock_clock.rate = 1.0
        await office.until_done()
        await until(lambda: len(server.mails("grey")) == 30)


class TestPasswordsOfDovecot:
    @pytest.mark.parametrize(
        ("how", "port", "mechanism"),
        [
            ("starttls", "submission", "PLAIN"),
            ("tls", "smtps", "PLAIN"),
            ("tls", "login_only", "LOGIN"),
            ("none", "clear", "CRAM-MD5"),
        ],
    )
    async def test_a_right_one_beyond_ascii(
        self, how: str, port: str, mechanism: str, server: Postfix, made: Programs, authority: Authority
    ) -> None:
        attempt = await send(
            getattr(server, port), authority.trusting(), encryption=how, username=USER, password=PASSWORD,
            to="in@example.org",
        )  # fmt: skip
        assert attempt.verdict == "delivered", attempt.error
        await logged(made, f"sasl_method={mechanism}, sasl_username={USER}")

    async def test_a_wrong_one_is_asked_about_once(self, server: Postfix, made: Programs, authority: Authority) -> None:
        failures = (made.folder / "postfix.log").read_text().count("authentication failed")
        attempt = await send(
            server.submission, authority.trusting(), encryption="starttls", username=USER, password="hunter2",
            to="in@example.org",
        )  # fmt: skip
        assert (attempt.verdict, attempt.status_code) == ("dead", 535)
        assert (attempt.error or "").endswith(": check the user name and the password")
        log = await logged(made, "disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 auth=0/1 commands=3/4")
        assert log.count("authentication failed") == failures + 1

    async def test_one_that_would_be_read_on_the_way_is_not_sent(
        self, server: Postfix, system_trust: ssl.SSLContext
    ) -> None:
        attempt = await send(server.submission, system_trust, username=USER, password=PASSWORD, to="a@example.org")
        assert (attempt.verdict, attempt.error) == (
            "retry",
            "127.0.0.1 lets nobody sign in without encryption, but a user name is set: set the encryption to starttls",
        )


class TestTheOtherPortOfPostfix:
    async def test_starttls_where_tls_comes_first(self, server: Postfix, system_trust: ssl.SSLContext) -> None:
        attempt = await send(server.smtps, system_trust, encryption="starttls", to="a@example.org", seconds=5.0)
        assert attempt.error == f"127.0.0.1 speaks TLS from the start on port {server.smtps}: set the encryption to tls"

    async def test_tls_where_starttls_comes_first(self, server: Postfix, authority: Authority) -> None:
        attempt = await send(server.submission, authority.trusting(), encryption="tls", to="a@example.org")
        assert "does not speak TLS from the start" in (attempt.error or "")


class TestExim:
    async def test_it_takes_the_mail_and_the_name(self, running_exim: Exim, authority: Authority) -> None:
        for base in (BASE, "http://rm_server"):
            attempt = await send(running_exim.port, authority.trusting(), encryption="starttls", username=USER,
                                 password=PASSWORD, base=base, to='"Jörg, der Admin" <a@example.org>',
                                 about=replace(RAISE, message="x" * 5000))  # fmt: skip
            assert attempt.verdict == "delivered", attempt.error
        assert all("X-Restic-Manager-Event: alert.raised" in mail for mail in running_exim.queued())
        assert len(running_exim.queued()) == 2

    async def test_a_wrong_password(self, running_exim: Exim, authority: Authority) -> None:
        attempt = await send(running_exim.port, authority.trusting(), encryption="starttls", username=USER,
                             password="hunter2", to="a@example.org")  # fmt: skip
        assert (attempt.verdict, attempt.status_code) == ("dead", 535)

    async def test_greylisting(self, running_exim: Exim, authority: Authority) -> None:
        attempt = await send(running_exim.port, authority.trusting(), to="grey@example.org, maria@example.org")
        assert (attempt.verdict, attempt.recipients_left, attempt.others_have_it) == (
            "retry", ("grey@example.org",), True
        )  # fmt: skip

    async def test_a_recipient_beyond_ascii_where_smtputf8_is_off(
        self, running_exim: Exim, authority: Authority
    ) -> None:
        attempt = await send(running_exim.port, authority.trusting(), to="jörg@example.org, maria@example.org")
        assert attempt.verdict == "delivered"
        assert (attempt.error or "").startswith("jörg@example.org refused for good (127.0.0.1 takes no mail addresses")
