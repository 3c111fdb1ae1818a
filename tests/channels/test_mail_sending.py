"""The mail channel against real servers: plain, STARTTLS and implicit TLS, sign-in, refusals, and bad manners."""

import base64
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from harness.certificates import Authority
from rmactors.server.channels.mail import helo, session
from rmactors.server.channels.mail.send import DEADLINE_SECONDS, SmtpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.messages.notifications import Attempt
from tests.actors.works import until
from tests.channels.mailservers import Post, dialogue, mail_server, scripted_server
from tests.channels.notifications import ALERT, RAISE, RESOLUTION, spec
from tests.channels.receivers import receiving

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
"""What the test server has to say of itself."""

BASE = "https://rm.example.org"
LOOPBACK = OutboundPolicy.parse("loopback")
MARIA, LI, KIM = "maria@example.org", "li@example.org", "kim@example.org"


async def send(
    port: int,
    trust: ssl.SSLContext,
    *,
    encryption: str = "none",
    host: str = "127.0.0.1",
    allow: OutboundPolicy = LOOPBACK,
    recipients: tuple[str, ...] = (),
    seconds: float = 5.0,
    **config: Any,
) -> Attempt:
    settings = {"host": host, "port": port, "encryption": encryption, "from": "ops@example.org", "to": MARIA, **config}
    channel = SmtpChannel(spec("smtp", **settings), allow, trust, BASE, seconds)
    attempt = await channel.send(RAISE, recipients)
    await channel.aclose()
    return attempt


async def test_a_mail_arrives_as_it_was_rendered(system_trust: ssl.SSLContext) -> None:
    with mail_server() as post:
        attempt = await send(post.port, system_trust, to=f"{MARIA}, Li <{LI}>")
    assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 250, None)
    [mail] = post.mails
    assert (mail.mail_from, mail.rcpt_tos) == ("ops@example.org", [MARIA, LI])
    assert isinstance(mail.content, bytes)
    found = message_from_bytes(mail.content, policy=policy.default)
    assert found["Subject"] == "[restic-manager] [warning] nas1: backup_failed"
    assert found["Message-ID"] == f"<{ALERT}@rm.example.org>"
    assert RAISE.message in found.as_string()


async def test_the_registry_makes_one_that_sends(system_trust: ssl.SSLContext) -> None:
    with mail_server() as post:
        settings = {"host": "127.0.0.1", "port": post.port, "encryption": "none", "from": "a@b.example", "to": MARIA}
        channel = make_channel(spec("smtp", **settings), LOOPBACK, system_trust, BASE)
        attempts = [await channel.send(notification) for notification in (RAISE, RESOLUTION)]
        await channel.aclose()
    assert [attempt.verdict for attempt in attempts] == ["delivered", "delivered"]
    assert b"In-Reply-To: <" + ALERT.encode() in (post.mails[1].content or b"")


class TestEncryption:
    async def test_starttls(self, authority: Authority) -> None:
        with mail_server(starttls=authority.server) as post:
            attempt = await send(post.port, authority.trusting(), encryption="starttls")
        assert (attempt.verdict, post.tls) == ("delivered", [True])

    async def test_implicit_tls(self, authority: Authority) -> None:
        with mail_server(tls=authority.server) as post:
            attempt = await send(post.port, authority.trusting(), encryption="tls", host="localhost")
        assert (attempt.verdict, post.tls) == ("delivered", [True])

    @pytest.mark.parametrize("encryption", ["starttls", "tls"])
    async def test_a_certificate_nobody_vouches_for_ends_it_before_the_password(
        self, encryption: str, authority: Authority, system_trust: ssl.SSLContext
    ) -> None:
        how = {encryption: authority.server}
        with mail_server(accounts={"ops": "hunter2"}, **how) as post:  # type: ignore[arg-type]
            attempt = await send(post.port, system_trust, encryption=encryption, username="ops", password="hunter2")
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert "the certificate is not trusted" in (attempt.error or "")
        assert (post.logins, post.mails) == ([], [])

    @pytest.mark.parametrize("encryption", ["starttls", "tls"])
    async def test_a_certificate_for_another_host_ends_it(self, encryption: str, authority: Authority) -> None:
        how = {encryption: authority.wrong_name}
        with mail_server(**how) as post:  # type: ignore[arg-type]
            attempt = await send(post.port, authority.trusting(), encryption=encryption)
        assert attempt.verdict == "retry"
        assert post.mails == []

    async def test_tls_older_than_1_2_is_refused(self, authority: Authority) -> None:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.load_cert_chain(authority.folder / "here.pem")
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with mail_server(tls=old) as post:
            attempt = await send(post.port, authority.trusting(), encryption="tls")
        assert attempt.verdict == "retry"
        assert (attempt.error or "").startswith("TLS with 127.0.0.1 failed")

    async def test_no_alpn_of_http_is_offered_though_the_context_is_shared_with_http(
        self, authority: Authority
    ) -> None:
        """Exim refuses a client that offers a protocol which is not SMTP."""
        shared = authority.trusting()
        async with receiving(tls=authority.server) as receiver:
            hook = make_channel(spec("webhook", url=receiver.url()), LOOPBACK, shared, BASE)
            told = await hook.send(RAISE)
            await hook.aclose()
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(authority.folder / "here.pem")
        server.set_alpn_protocols(["http/1.1"])
        with mail_server(tls=server) as post:
            attempt = await send(post.port, shared, encryption="tls")
        assert [told.verdict, attempt.verdict] == ["delivered", "delivered"]
        assert post.alpn == [None]


class TestTheOtherPort:
    """One port speaks TLS from the start, the other one after STARTTLS. Who mixes them up is told what to set."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A greeting is waited for half a second of the thirty of an attempt: a busy machine has the rest."""
        monkeypatch.setattr(session, "_GREETING_SHARE", 0.02)

    @pytest.mark.parametrize(("encryption", "trusted"), [("starttls", True), ("none", False)])
    async def test_a_server_that_waits_for_tls(
        self, encryption: str, trusted: bool, authority: Authority, system_trust: ssl.SSLContext
    ) -> None:
        trust = authority.trusting() if trusted else system_trust
        with mail_server(tls=authority.server) as post:
            attempt = await send(
                post.port, trust, encryption=encryption, username="ops", password="hunter2", seconds=30
            )
        assert (attempt.verdict, post.logins) == ("retry", [])
        assert attempt.error == (f"127.0.0.1 speaks TLS from the start on port {post.port}: set the encryption to tls")

    async def test_a_server_that_does_not_speak_tls_yet(self, authority: Authority) -> None:
        with mail_server(starttls=authority.server) as post:
            attempt = await send(post.port, authority.trusting(), encryption="tls")
        assert attempt.verdict == "retry"
        assert attempt.error == (
            f"127.0.0.1 does not speak TLS from the start on port {post.port}: set the encryption to starttls, or the"
            " port to one that does, which is 465 as a rule"
        )

    async def test_a_server_that_says_nothing_at_all(self, system_trust: ssl.SSLContext) -> None:
        def deaf(connection: socket.socket, heard: list[bytes]) -> None:
            heard.append(connection.recv(4096))
            connection.sendall(b"what\r\n")

        with scripted_server(deaf) as (port, heard):
            attempt = await send(port, system_trust, encryption="starttls", seconds=30)
            await threads_gone()
        assert (attempt.verdict, attempt.error) == ("retry", f"127.0.0.1 does not say anything on port {port}")
        assert heard[0].startswith(b"\x16"), "a client hello, when it had been waited for"


class TestNameInEhlo:
    @pytest.mark.parametrize(
        ("base", "config", "name"),
        [
            ("https://rm.example.org:8443", {}, "rm.example.org"),
            ("https://rm.müller.example", {}, "rm.xn--mller-kva.example"),
            ("http://nas:8080", {"helo_name": "mail.example.org"}, "mail.example.org"),
            ("https://rm.example.org", {"helo_name": "[192.0.2.1]"}, "[192.0.2.1]"),
            ("https://rm.example.org", {"helo_name": "[ipv6:2001:db8:0::1]"}, "[IPv6:2001:db8::1]"),
        ],
    )
    async def test_what_is_set_else_the_base_urls_host(
        self, base: str, config: dict[str, str], name: str, system_trust: ssl.SSLContext
    ) -> None:
        assert await self.said(base, system_trust, **config) == name

    @pytest.mark.parametrize(
        "base", ["http://nas:8080", "http://rm_server", "http://localhost", "http://192.168.1.5:80"]
    )
    async def test_a_base_url_without_a_full_name_is_not_what_goes_out(
        self, base: str, system_trust: ssl.SSLContext
    ) -> None:
        assert await self.said(base, system_trust) == (helo.machine_name() or "[127.0.0.1]")

    async def said(self, base: str, trust: ssl.SSLContext, **config: str) -> str:
        """What the server hears behind EHLO."""
        with mail_server() as post:
            settings = {
                "host": "127.0.0.1",
                "port": post.port,
                "encryption": "none",
                "from": KIM,
                "to": MARIA,
                **config,
            }
            channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, trust, base)
            assert (await channel.send(RAISE)).verdict == "delivered"
        [name] = post.names
        return name


class TestStrippedStarttls:
    """Whatever goes wrong with STARTTLS, no credential and no mail is sent."""

    @pytest.mark.parametrize(
        ("replies", "verdict", "said"),
        [
            # a middlebox took it out
            ((b"250-mail\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n",), "retry", "does not offer STARTTLS"),
            # offered and refused, for now and for good
            ((b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", b"454 not now\r\n"), "retry", "454 not now"),
            ((b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", b"502 no\r\n"), "dead", "502 no"),
            # agreed to, with an answer in clear behind it that must not be taken for one under TLS
            (
                (b"250-mail\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", b"220 go\r\n250 injected\r\n"),
                "retry",
                "no answer within 0.5 s",
            ),
        ],
    )
    async def test_ends_the_attempt_before_any_credential(
        self, replies: tuple[bytes, ...], verdict: str, said: str, system_trust: ssl.SSLContext
    ) -> None:
        with scripted_server(dialogue(b"220 hi\r\n", *replies)) as (port, heard):
            seconds = 0.5 if "within" in said else 30
            attempt = await send(
                port, system_trust, encryption="starttls", username="ops", password="hunter2", seconds=seconds
            )
        everything = b"".join(heard)
        assert attempt.verdict == verdict
        assert said in (attempt.error or "")
        for secret in (b"hunter2", base64.b64encode(b"hunter2"), b"AUTH", b"MAIL FROM"):
            assert secret not in everything


class TestSignIn:
    async def test_over_starttls(self, authority: Authority) -> None:
        with mail_server(starttls=authority.server, accounts={"ops": "hunter2"}) as post:
            attempt = await send(
                post.port, authority.trusting(), encryption="starttls", username="ops", password="hunter2"
            )
        assert attempt.verdict == "delivered"
        assert post.logins == [("ops", "hunter2")]

    async def test_with_letters_beyond_ascii(self, authority: Authority) -> None:
        with mail_server(tls=authority.server, accounts={"jörg": "pässword"}) as post:
            attempt = await send(
                post.port, authority.trusting(), encryption="tls", username="jörg", password="pässword"
            )
        assert attempt.verdict == "delivered"
        assert post.logins == [("jörg", "pässword")]

    async def test_a_wrong_password_is_dead_and_not_repeated_in_the_error(self, authority: Authority) -> None:
        with mail_server(starttls=authority.server, accounts={"ops": "hunter2"}) as post:
            attempt = await send(
                post.port, authority.trusting(), encryption="starttls", username="ops", password="letmein"
            )
        assert (attempt.verdict, attempt.status_code) == ("dead", 535)
        assert "letmein" not in (attempt.error or "")
        assert post.mails == []

    async def test_in_clear_only_where_no_encryption_is_asked_for(self, system_trust: ssl.SSLContext) -> None:
        with mail_server(accounts={"ops": "hunter2"}) as post:
            attempt = await send(post.port, system_trust, username="ops", password="hunter2")
        assert attempt.verdict == "delivered"

    async def test_a_server_that_knows_no_sign_in_is_told_apart(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            attempt = await send(post.port, system_trust, username="ops", password="hunter2")
        assert attempt.verdict == "retry"
        assert attempt.error == (
            "127.0.0.1 offers no way to sign in, but a user name is set: clear it, or use the port for mail programs,"
            " which is 587 or 465 as a rule"
        )

    async def test_a_server_that_repeats_the_password_does_not_get_it_into_the_log(
        self, system_trust: ssl.SSLContext
    ) -> None:
        token = base64.b64encode(b"\0ops\0hunter2")
        replies = (b"220 hi\r\n", b"250-mail\r\n250 AUTH PLAIN\r\n", b"535 what is " + token + b" or hunter2\r\n")
        with scripted_server(dialogue(*replies)) as (port, _):
            attempt = await send(port, system_trust, username="ops", password="hunter2", seconds=30)
        assert attempt.verdict == "dead"
        assert attempt.error == "535 what is •••• or ••••: check the user name and the password"

    @pytest.mark.parametrize(("mechanisms", "used"), [(("PLAIN", "LOGIN"), "PLAIN"), (("LOGIN",), "LOGIN")])
    async def test_with_one_mechanism_which_carries_letters_beyond_ascii(
        self, mechanisms: tuple[str, ...], used: str, authority: Authority
    ) -> None:
        with mail_server(tls=authority.server, accounts={"jörg": "pässwörd ☃"}, mechanisms=mechanisms) as post:
            config = {"encryption": "tls", "username": "jörg"}
            good = await send(post.port, authority.trusting(), password="pässwörd ☃", **config)
            bad = await send(post.port, authority.trusting(), password="wröng", **config)
        assert (good.verdict, bad.verdict, bad.status_code) == ("delivered", "dead", 535)
        assert post.logins == [("jörg", "pässwörd ☃"), ("jörg", "wröng")], "each password once"
        assert post.mechanisms_used == [used, used]
        assert "wröng" not in (bad.error or "")

    async def test_a_password_that_has_no_room_in_the_first_line(self, authority: Authority) -> None:
        password = "long " * 100
        with mail_server(tls=authority.server, accounts={"ops": password}) as post:
            config = {"encryption": "tls", "username": "ops", "password": password}
            attempt = await send(post.port, authority.trusting(), **config)
        assert (attempt.verdict, post.logins) == ("delivered", [("ops", password)])

    @pytest.mark.parametrize(
        ("offered", "answers", "verdict", "said"),
        [
            ("XOAUTH2 OAUTHBEARER", (), "retry", "takes tokens alone (XOAUTH2 OAUTHBEARER) and no password"),
            ("GSSAPI NTLM", (), "retry", "offers no way to sign in that fits (GSSAPI NTLM)"),
            ("PLAIN", (b"503 5.5.1 Error: authentication not enabled",), "dead", "503 5.5.1 Error: authentication not"
             " enabled: it may want encryption before the password; set the encryption to starttls"),
            ("PLAIN", (b"538 5.7.11 Encryption required",), "dead", "set the encryption to starttls"),
            ("PLAIN", (b"454 4.7.0 Temporary authentication failure",), "retry", "454 4.7.0 Temporary"),
            ("PLAIN", (b"334 ",), "retry", "334"),
            ("LOGIN", (b"535 5.7.8 no",), "dead", "535 5.7.8 no: check the user name and the password"),
            ("LOGIN", (b"334 VXNlcm5hbWU6", b"334 UGFzc3dvcmQ6", b"535 what is aHVudGVyMg=="), "dead",
             "535 what is ••••: check"),
            ("CRAM-MD5", (b"334 !!",), "retry", "signing in at 127.0.0.1 by CRAM-MD5 does not work"),
            ("CRAM-MD5", (b"334 PDFAeD4=", b"535 what is 74c17aa2cf35ca60de5c5b2264b813b3"), "dead",
             "535 what is ••••: check"),
            ("CRAM-MD5 PLAIN", (b"535 5.7.8 no",), "dead", "535 5.7.8 no"),
        ],
    )  # fmt: skip
    async def test_what_servers_say_to_it(
        self, offered: str, answers: tuple[bytes, ...], verdict: str, said: str, system_trust: ssl.SSLContext
    ) -> None:
        replies = (b"220 hi", f"250-mail\r\n250 AUTH {offered}".encode(), *answers)
        with scripted_server(dialogue(*(reply + b"\r\n" for reply in replies))) as (port, heard):
            attempt = await send(port, system_trust, username="ops", password="hunter2", seconds=30)
        assert attempt.verdict == verdict
        assert said in (attempt.error or "")
        assert not any(line.startswith(b"MAIL") for line in heard)
        assert sum(line.startswith(b"AUTH") for line in heard) == min(1, len(answers))
        if offered.startswith("CRAM-MD5"):
            assert b"AUTH CRAM-MD5\r\n" in heard, "in clear, the one that does not show the password comes first"

    async def test_a_server_that_wants_encryption_first(self, authority: Authority) -> None:
        with mail_server(starttls=authority.server, accounts={"ops": "hunter2"}) as post:
            attempt = await send(post.port, authority.trusting(), username="ops", password="hunter2")
            unsigned = await send(post.port, authority.trusting())
        assert attempt.error == (
            "127.0.0.1 lets nobody sign in without encryption, but a user name is set: set the encryption to starttls"
        )
        assert (attempt.verdict, unsigned.verdict, post.logins) == ("retry", "dead", [])
        assert (unsigned.error or "").endswith(": set the encryption to starttls")

    async def test_a_wrong_password_is_sent_once_a_minute_however_many_mails_there_are(
        self, authority: Authority
    ) -> None:
        attempts: list[Attempt] = []
        with mail_server(starttls=authority.server, accounts={"ops": "hunter2"}) as post:
            settings = {"host": "127.0.0.1", "port": post.port, "from": KIM, "to": MARIA, "username": "ops",
                        "password": "letmein"}  # fmt: skip
            channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, authority.trusting(), BASE)

            async def one() -> None:
                attempts.append(await channel.send(RAISE))

            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(one)
        assert {(attempt.verdict, attempt.status_code) for attempt in attempts} == {("dead", 535)}
        assert post.logins == [("ops", "letmein")]
        assert (attempts[-1].error or "").endswith("(said a moment ago, and asked once a minute)")

    async def test_a_right_one_after_a_while_is_used_by_all_at_once(
        self, authority: Authority, mock_clock: MockClock
    ) -> None:
        attempts: list[str] = []
        with mail_server(starttls=authority.server, accounts={"ops": "old"}) as post:
            settings = {"host": "127.0.0.1", "port": post.port, "from": KIM, "to": MARIA, "username": "ops",
                        "password": "new"}  # fmt: skip
            channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, authority.trusting(), BASE)
            assert (await channel.send(RAISE)).verdict == "dead"
            post.accounts = {"ops": "new"}
            assert (await channel.send(RAISE)).verdict == "dead"
            mock_clock.jump(60)

            async def one() -> None:
                attempts.append((await channel.send(RAISE)).verdict)

            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(one)
        assert attempts == ["delivered"] * 8
        assert len(post.logins) == 9


class TestRecipients:
    async def test_refused_for_good_are_named_and_the_others_have_it(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.refuse = {LI: "550 no such user"}
            attempt = await send(post.port, system_trust, to=f"{MARIA},{LI}")
        assert (attempt.verdict, attempt.status_code) == ("delivered", 250)
        assert attempt.error == f"{LI} refused for good (550 no such user)"
        assert post.mails[0].rcpt_tos == [MARIA]

    async def test_refused_for_now_are_tried_again_alone(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.refuse = {LI: "450 greylisted", KIM: "550 gone"}
            first = await send(post.port, system_trust, to=f"{MARIA},{LI},{KIM}")
            post.refuse = {KIM: "550 gone"}
            second = await send(post.port, system_trust, to=f"{MARIA},{LI},{KIM}", recipients=first.recipients_left)
        assert (first.verdict, first.status_code, first.recipients_left) == ("retry", 450, (LI,))
        assert first.others_have_it
        assert first.error == f"{KIM} refused for good (550 gone); {LI} refused for now (450 greylisted)"
        assert (second.verdict, second.error) == ("delivered", None)
        assert [mail.rcpt_tos for mail in post.mails] == [[MARIA], [LI]]

    async def test_all_refused_for_good_is_dead(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.refuse = {MARIA: "550 no", LI: "553 never"}
            attempt = await send(post.port, system_trust, to=f"{MARIA},{LI}")
        assert (attempt.verdict, attempt.status_code, attempt.recipients_left) == ("dead", 550, ())
        assert post.mails == []

    async def test_all_refused_for_now_is_tried_again_for_all(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.refuse = {MARIA: "451 later", LI: "452 full"}
            attempt = await send(post.port, system_trust, to=f"{MARIA},{LI}")
        assert (attempt.verdict, attempt.status_code, attempt.recipients_left) == ("retry", 451, ())

    async def test_none_took_it_yet_some_may(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.refuse = {MARIA: "550 no", LI: "450 later"}
            attempt = await send(post.port, system_trust, to=f"{MARIA},{LI}")
        assert (attempt.verdict, attempt.status_code, attempt.recipients_left) == ("retry", 450, (LI,))

    async def test_a_failed_attempt_for_those_left_keeps_them(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.data_reply = "451 disk full"
            attempt = await send(post.port, system_trust, to=f"{MARIA},{LI}", recipients=(LI,))
        assert (attempt.verdict, attempt.recipients_left) == ("retry", (LI,))

    async def test_those_who_are_left_and_refused_again_say_nothing_of_the_server(
        self, system_trust: ssl.SSLContext
    ) -> None:
        with mail_server() as post:
            post.refuse = {LI: "452 full"}
            attempt = await send(post.port, system_trust, to=f"{MARIA},{LI}", recipients=(LI,))
        assert (attempt.verdict, attempt.recipients_left, attempt.others_have_it) == ("retry", (LI,), True)

    @pytest.mark.parametrize(
        ("to", "recipients", "refuse"),
        [
            # the only one, and everybody: other alerts would fare the same
            (MARIA, (), {MARIA: "450 greylisted"}),
            (f"{MARIA},{LI}", (), {MARIA: "450 greylisted", LI: "450 greylisted"}),
            (f"{MARIA},{LI}", (), {MARIA: "550 no", LI: "450 greylisted"}),
            # the server goes away, for every recipient alike
            (f"{MARIA},{LI}", (LI,), {LI: "421 closing"}),
            (f"{MARIA},{LI}", (), {LI: "421 closing"}),
        ],
    )
    async def test_what_may_be_so_for_every_mail_is_a_failing_channel(
        self, to: str, recipients: tuple[str, ...], refuse: dict[str, str], system_trust: ssl.SSLContext
    ) -> None:
        with mail_server() as post:
            post.refuse = refuse
            attempt = await send(post.port, system_trust, to=to, recipients=recipients)
        assert (attempt.verdict, attempt.others_have_it, post.mails) == ("retry", False, [])

    async def test_those_no_longer_in_the_config_are_not_told(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            await send(post.port, system_trust, to=f"{MARIA},{LI}", recipients=(LI, "gone@example.org"))
        assert [mail.rcpt_tos for mail in post.mails] == [[LI]]


class TestReplies:
    @pytest.mark.parametrize(
        ("reply", "verdict"), [("451 later", "retry"), ("552 too big", "dead"), ("421 closing", "retry")]
    )
    async def test_after_the_mail(self, reply: str, verdict: str, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            post.data_reply = reply
            attempt = await send(post.port, system_trust)
        assert (attempt.verdict, attempt.status_code, attempt.error) == (verdict, int(reply[:3]), reply)

    @pytest.mark.parametrize(
        ("replies", "verdict", "code"),
        [
            ((b"421 too busy\r\n",), "retry", 421),
            ((b"554 go away\r\n",), "dead", 554),
            ((b"220 hi\r\n", b"250 mail\r\n", b"530 5.7.0 Must issue a STARTTLS command first\r\n"), "dead", 530),
            ((b"220 hi\r\n", b"250 mail\r\n", b"250 ok\r\n", b"421 closing\r\n"), "retry", 421),
            ((b"HTTP/1.1 400 Bad Request\r\n",), "retry", None),
            ((b"\xff\xfe\xfd\r\n",), "retry", None),
        ],
    )
    async def test_before_the_mail(
        self, replies: tuple[bytes, ...], verdict: str, code: int | None, system_trust: ssl.SSLContext
    ) -> None:
        with scripted_server(dialogue(*replies, then=b"250 ok\r\n")) as (port, _):
            attempt = await send(port, system_trust)
        assert (attempt.verdict, attempt.status_code) == (verdict, code)
        assert attempt.error
        assert attempt.error.isprintable()

    async def test_a_server_without_smtputf8_cannot_take_such_addresses(self, system_trust: ssl.SSLContext) -> None:
        with mail_server(smtputf8=False) as post:
            attempt = await send(post.port, system_trust, to="jörg@example.org")
        assert (attempt.verdict, post.mails) == ("dead", [])
        assert attempt.error == (
            "127.0.0.1 takes no mail addresses with letters beyond ASCII before the @ (SMTPUTF8): jörg@example.org"
            " cannot be reached through it"
        )

    async def test_those_whom_it_can_reach_have_the_mail_and_the_other_one_is_named(
        self, system_trust: ssl.SSLContext
    ) -> None:
        with mail_server(smtputf8=False) as post:
            post.refuse = {LI: "450 later"}
            attempt = await send(post.port, system_trust, to=f"jörg@example.org, {MARIA}, {LI}")
            again = await send(
                post.port, system_trust, to=f"jörg@example.org, {MARIA}, {LI}", recipients=("jörg@example.org",)
            )
        assert (attempt.verdict, attempt.recipients_left, attempt.others_have_it) == ("retry", (LI,), True)
        assert attempt.error == (
            "jörg@example.org refused for good (127.0.0.1 takes no mail addresses with letters beyond ASCII before the"
            " @ (SMTPUTF8)); li@example.org refused for now (450 later)"
        )
        [mail] = post.mails
        assert mail.rcpt_tos == [MARIA]
        assert isinstance(mail.content, bytes)
        assert mail.content.isascii()
        assert message_from_bytes(mail.content, policy=policy.default)["To"] == f"{MARIA}, {LI}"
        assert again.verdict == "dead"

    async def test_it_cannot_take_a_mail_from_such_a_sender(self, system_trust: ssl.SSLContext) -> None:
        with mail_server(smtputf8=False) as post:
            attempt = await send(post.port, system_trust, **{"from": "jörg@example.org"})
        assert (attempt.verdict, post.mails) == ("dead", [])
        assert (attempt.error or "").endswith("and the sender is one: give another sender, or use another mail server")

    async def test_a_domain_beyond_ascii_needs_nothing_of_the_server(self, system_trust: ssl.SSLContext) -> None:
        with mail_server(smtputf8=False) as post:
            attempt = await send(post.port, system_trust, to="ops@müller.example", **{"from": "rm@faß.example"})
        assert attempt.verdict == "delivered"
        [mail] = post.mails
        assert (mail.mail_from, mail.rcpt_tos) == ("rm@xn--fa-hia.example", ["ops@xn--mller-kva.example"])

    async def test_a_server_with_smtputf8_takes_them(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            attempt = await send(post.port, system_trust, to="jörg@müller.example")
        assert attempt.verdict == "delivered"
        assert post.mails[0].rcpt_tos == ["jörg@xn--mller-kva.example"]


class TestTroubleOnTheWay:
    async def test_a_refused_connection(self, system_trust: ssl.SSLContext) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            attempt = await send(port, system_trust)
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert attempt.error == f"cannot connect to 127.0.0.1 port {port}: Connection refused"

    async def test_a_forbidden_address_is_dead(self, system_trust: ssl.SSLContext) -> None:
        with mail_server() as post:
            attempt = await send(post.port, system_trust, host="localhost", allow=OutboundPolicy.parse("external"))
        assert attempt.verdict == "dead"
        assert "RM_OUTBOUND_ALLOW does not allow localhost" in (attempt.error or "")

    @pytest.mark.parametrize("encryption", ["none", "tls", "starttls"])
    @pytest.mark.parametrize("after", [0, 1, 2])
    async def test_a_black_hole_is_left_at_the_deadline_with_its_thread(
        self, encryption: str, after: int, system_trust: ssl.SSLContext
    ) -> None:
        """The server accepts and falls silent, at once or after some replies: also in the middle of a TLS handshake."""
        replies = (b"220 hi\r\n", b"250-mail\r\n250 STARTTLS\r\n")[:after]
        silent = (*replies, b"220 go ahead\r\n") if encryption == "starttls" and after == 2 else replies
        with scripted_server(dialogue(*silent, b"")) as (port, _):
            began = time.monotonic()
            attempt = await send(port, system_trust, encryption=encryption, seconds=0.2)
            took = time.monotonic() - began
            await threads_gone()
        assert attempt.verdict == "retry"
        assert took < 15, "the server would have been silent forever"

    async def test_a_server_that_drips_its_greeting_is_left_at_the_deadline(self, system_trust: ssl.SSLContext) -> None:
        def drip(connection: socket.socket, heard: list[bytes]) -> None:
            while True:
                connection.sendall(b"2")
                time.sleep(0.02)

        with scripted_server(drip) as (port, _):
            attempt = await send(port, system_trust, seconds=0.2)
            await threads_gone()
        assert (attempt.verdict, attempt.error) == ("retry", "no answer within 0.2 s")

    @pytest.mark.parametrize("flood", [b"250-and another thing\r\n", b"250-" + b"x" * 100_000 + b"\r\n"])
    async def test_a_reply_without_an_end_is_not_read_to_its_end(
        self, flood: bytes, system_trust: ssl.SSLContext
    ) -> None:
        poured = [0]

        def pour(connection: socket.socket, heard: list[bytes]) -> None:
            connection.sendall(b"220 hi\r\n")
            connection.recv(4096)
            while True:
                connection.sendall(flood)
                poured[0] += len(flood)

        with scripted_server(pour) as (port, _):
            attempt = await send(port, system_trust)
            await threads_gone()
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert attempt.error == "the server's reply does not come to an end"
        assert poured[0] < 20_000_000, "what the sockets' buffers take, and no more"

    async def test_a_mail_that_was_taken_is_delivered_though_the_goodbye_hangs(
        self, system_trust: ssl.SSLContext
    ) -> None:
        with scripted_server(takes_a_mail) as (port, _):
            attempt = await send(port, system_trust, seconds=30)
        assert (attempt.verdict, attempt.status_code) == ("delivered", 250)

    async def test_a_goodbye_that_drips_is_not_heard_out(self, system_trust: ssl.SSLContext) -> None:
        drops = 0

        def drips(connection: socket.socket, heard: list[bytes]) -> None:
            nonlocal drops
            takes_a_mail(connection, heard, b"250 queued\r\n", hangs=False)
            while True:
                connection.sendall(b"2")
                drops += 1
                time.sleep(0.1)

        with scripted_server(drips) as (port, _):
            attempt = await send(port, system_trust, seconds=60)
            await threads_gone()
        assert (attempt.verdict, attempt.status_code) == ("delivered", 250)
        assert drops < 400, "it would drip for all of the time for an attempt"

    async def test_who_waits_for_a_turn_has_the_whole_time_from_then_on(self, system_trust: ssl.SSLContext) -> None:
        """One channel talks in few threads. Four that the server lets hang use up their time, not the fifth's."""
        conversations = itertools.count()

        def talk(connection: socket.socket, heard: list[bytes]) -> None:
            if next(conversations) < 4:
                while connection.recv(4096):
                    pass
            else:
                takes_a_mail(connection, heard)

        attempts: list[Attempt] = []
        with scripted_server(talk) as (port, _):
            settings = {"host": "127.0.0.1", "port": port, "encryption": "none", "from": KIM, "to": MARIA}
            channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, system_trust, BASE, 3.0)

            async def one() -> None:
                attempts.append(await channel.send(RAISE))

            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(one)
        assert [attempt.error for attempt in attempts] == ["no answer within 3 s"] * 4 + [None]
        assert attempts[-1].verdict == "delivered"

    async def test_a_server_that_goes_away_with_the_mail_is_tried_again_and_that_is_said(
        self, system_trust: ssl.SSLContext
    ) -> None:
        def takes_it_and_goes(connection: socket.socket, heard: list[bytes]) -> None:
            takes_a_mail(connection, heard, b"", hangs=False)

        with scripted_server(takes_it_and_goes) as (port, _):
            attempt = await send(port, system_trust)
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert attempt.error == "the server closed the connection when it had the whole mail, which may have arrived"

    async def test_a_slow_server_delays_no_other_channel(self, system_trust: ssl.SSLContext) -> None:
        ended: list[str] = []
        with scripted_server(dialogue(b"")) as (hole, _), mail_server() as post:

            async def to(port: int, name: str) -> None:
                await send(port, system_trust, seconds=10)
                ended.append(name)

            async with trio.open_nursery() as slow:
                for _ in range(20):
                    slow.start_soon(to, hole, "the hole")
                async with trio.open_nursery() as others:
                    for _ in range(5):
                        others.start_soon(to, post.port, "the good one")
                slow.cancel_scope.cancel()
            await threads_gone()
        assert ended == ["the good one"] * 5

    async def test_a_cancelled_send_lets_its_thread_go(self, system_trust: ssl.SSLContext) -> None:
        with scripted_server(dialogue(b"")) as (port, _):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send, port, system_trust)
                with trio.fail_after(30):
                    while talking() != 1:  # noqa: ASYNC110 - the start of a thread sets no event
                        await trio.sleep(0.01)
                nursery.cancel_scope.cancel()
            await threads_gone()
        assert talking() == 0


class TestWholeMails:
    """The server has it all and thinks about it for longer than everything before may take. The clock jumps there."""

    @pytest.fixture
    def mock_clock(self) -> MockClock:
        return MockClock(rate=1.0)

    @pytest.fixture
    def post(self) -> Iterator[Post]:
        with mail_server() as post:
            post.ponders = lambda _: True
            yield post

    async def sent(
        self, post: Post, trust: ssl.SSLContext, clock: MockClock, overdue: Callable[[], None] | None, **config: Any
    ) -> Attempt:
        settings = {"host": "127.0.0.1", "port": post.port, "encryption": "none", "from": KIM, "to": MARIA, **config}
        channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, trust, BASE)
        attempts: list[Attempt] = []

        async def one() -> None:
            attempts.append(await channel.send(RAISE, overdue=overdue))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await until(lambda: len(post.pondered) == 1)
            clock.jump(DEADLINE_SECONDS)
        return attempts[0]

    @pytest.mark.parametrize("how", ["none", "starttls", "tls"])
    async def test_its_answer_is_waited_for(self, how: str, authority: Authority, mock_clock: MockClock) -> None:
        secured = {how: authority.server} if how != "none" else {}
        with mail_server(**secured) as post:  # type: ignore[arg-type]
            post.ponders, post.refuse = lambda _: True, {LI: "450 greylisted"}
            attempt = await self.sent(
                post, authority.trusting(), mock_clock, post.answer, encryption=how, to=f"{MARIA},{LI}"
            )
        assert (attempt.verdict, attempt.status_code, attempt.recipients_left) == ("retry", 450, (LI,))
        assert [mail.rcpt_tos for mail in post.mails] == [[MARIA]]

    @pytest.mark.parametrize(("reply", "verdict"), [("451 later", "retry"), ("554 a virus", "dead")])
    async def test_a_late_refusal_is_one(
        self, reply: str, verdict: str, post: Post, system_trust: ssl.SSLContext, mock_clock: MockClock
    ) -> None:
        post.data_reply = reply
        attempt = await self.sent(post, system_trust, mock_clock, post.answer)
        assert (attempt.verdict, attempt.error) == (verdict, reply)

    @pytest.mark.parametrize("reply", ["250 OK", "451 later"])
    async def test_an_answer_in_time_is_not_overdue(self, reply: str, system_trust: ssl.SSLContext) -> None:
        overdue: list[bool] = []
        with mail_server() as post:
            post.data_reply = reply
            settings = {"host": "127.0.0.1", "port": post.port, "encryption": "none", "from": KIM, "to": MARIA}
            channel = SmtpChannel(spec("smtp", **settings), LOOPBACK, system_trust, BASE)
            attempt = await channel.send(RAISE, overdue=lambda: overdue.append(True))
        assert (attempt.status_code, overdue) == (int(reply[:3]), [])

    async def test_a_test_send_does_not_wait_and_says_what_that_means(
        self, post: Post, system_trust: ssl.SSLContext, mock_clock: MockClock
    ) -> None:
        attempt = await self.sent(post, system_trust, mock_clock, None)
        await threads_gone()
        assert (attempt.verdict, attempt.status_code) == ("retry", None)
        assert attempt.error == "the server has the whole mail, and no answer within 10 s: it may arrive"


def takes_a_mail(
    connection: socket.socket, heard: list[bytes], answer: bytes = b"250 queued\r\n", hangs: bool = True
) -> None:
    """A proper server up to the mail, which then hangs at the goodbye, or goes away."""
    with connection.makefile("rb") as lines:
        for reply in (b"220 hi\r\n", b"250 mail\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            connection.sendall(reply)
            heard.append(lines.readline())
        while lines.readline() != b".\r\n":
            pass
        connection.sendall(answer)
        while hangs and lines.readline():
            pass


def talking() -> int:
    """How many threads are in a mail conversation."""
    return sum("deliver" in thread.name for thread in threading.enumerate())


async def threads_gone() -> None:
    """Wait until no thread is in a mail conversation any more. Fails after 30 s."""
    with trio.fail_after(30):
        while talking():  # noqa: ASYNC110 - the end of a thread sets no event
            await trio.sleep(0.01)
