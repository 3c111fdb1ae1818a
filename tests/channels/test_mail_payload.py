"""What a mail looks like, read back as a mail client reads it."""

import json
import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from rmactors.server.actors.delivery.notification import of_batch
from rmactors.server.actors.delivery.queue import Batch
from rmactors.server.channels.mail import payload
from rmactors.server.messages.notifications import Notification
from rmactors.server.state.delivery import Delivery
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, DIGEST, RAISE, REMINDER, RESOLUTION

CONFIG = {"from": "Ops <ops@example.org>", "to": "maria@example.org, Li <li@example.org>"}
BASE = "https://rm.example.org:8443/sub"


def mail(notification: Notification, base_url: str = BASE, **config: str) -> EmailMessage:
    content = payload.render(notification, {**CONFIG, **config}, base_url).content
    return cast(EmailMessage, message_from_bytes(content, policy=policy.default))


def text(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


def test_a_raise_is_exactly_this() -> None:
    found = payload.render(RAISE, CONFIG, BASE)
    assert found.content.decode().split("\r\n") == [
        "From: Ops <ops@example.org>",
        "To: maria@example.org, Li <li@example.org>",
        "Subject: [restic-manager] [warning] nas1: backup_failed",
        "Date: Mon, 23 Nov 2026 03:00:12 +0000",
        f"Message-ID: <{ALERT}@rm.example.org>",
        "Auto-Submitted: auto-generated",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        "",
        "Backup of home failed: wrong password",
        "",
        "Raised at: 2026-11-23T03:00:12.345Z",
        "Severity: warning",
        "Host: nas1",
        "Kind: backup_failed",
        f"Link: https://rm.example.org/alerts/{ALERT}",
        "",
    ]
    assert (found.sender, found.recipients) == ("ops@example.org", ("maria@example.org", "li@example.org"))


@pytest.mark.parametrize(
    ("notification", "subject"),
    [
        (ACKNOWLEDGEMENT, "[restic-manager] [warning] nas1: backup_failed (acknowledged)"),
        (RESOLUTION, "[restic-manager] [warning] nas1: backup_failed (resolved)"),
        (REMINDER, "[restic-manager] [warning] nas1: backup_failed"),
        (replace(REMINDER, event="alert.raised", again=True), "[restic-manager] [warning] nas1: backup_failed"),
    ],
)
def test_later_mails_have_an_id_of_their_own_and_point_to_the_raise(notification: Notification, subject: str) -> None:
    found = mail(notification)
    assert found["Subject"] == subject
    assert found["Message-ID"] == f"<{ALERT}.{DELIVERY}@rm.example.org>"
    assert found["In-Reply-To"] == found["References"] == f"<{ALERT}@rm.example.org>"
    assert found["Date"] == "Mon, 23 Nov 2026 04:30:00 +0000"


def test_a_retry_is_the_same_mail() -> None:
    assert payload.render(RESOLUTION, CONFIG, BASE) == payload.render(RESOLUTION, CONFIG, BASE)


def test_a_test_mail_begins_a_thread_of_its_own() -> None:
    found = mail(
        replace(RAISE, event="alert.test", kind="test", severity="info", host_id="", host_name="restic-manager")
    )
    assert found["Subject"] == "[restic-manager] [info] restic-manager: test"
    assert found["In-Reply-To"] is None


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://127.0.0.1:8080", "[127.0.0.1]"),
        ("http://[::1]:8080", "[::1]"),
        ("http://[2001:db8::5]", "[2001:db8::5]"),
        ("http://localhost:8080", "localhost"),
        ("https://backups.müller.example", "backups.xn--mller-kva.example"),
        ("https://RM.Example.org", "rm.example.org"),
    ],
)
def test_ids_end_in_the_host_of_the_base_url(base_url: str, host: str) -> None:
    assert mail(RAISE, base_url)["Message-ID"] == f"<{ALERT}@{host}>"


def test_ids_of_a_long_host_name_stay_whole() -> None:
    host = ".".join(["a" * 60] * 4)
    raw = payload.render(RESOLUTION, CONFIG, f"https://{host}").content
    assert f"\r\nReferences: <{ALERT}@{host}>\r\n".encode() in raw
    assert f"\r\nIn-Reply-To: <{ALERT}@{host}>\r\n".encode() in raw


def test_a_digest_is_a_mail_of_its_own_that_reads_as_it_was_written() -> None:
    assert payload.subject(DIGEST) == "[restic-manager] Digest: 1 of 2 hosts needs a look"
    assert payload.text(DIGEST) == f"{DIGEST.message}\n\nLink: https://rm.example.org/\n"
    forged = replace(DIGEST, message="All.\n- Link: http://evil.example\nLink: x")
    assert payload.text(forged).startswith("All.\n> - Link: http://evil.example\n> Link: x\n")


def test_who_ended_it_and_their_note_stand_below_the_facts() -> None:
    lines = text(mail(ACKNOWLEDGEMENT)).splitlines()
    assert lines[-2:] == ["By: dana", "Note: on it"]
    assert text(mail(RESOLUTION)).splitlines()[-1] == "By: rule"


def test_text_and_names_beyond_ascii_arrive() -> None:
    notification = replace(RAISE, host_name="näs1 ☃", message="Пароль неверен\nsecond line …")
    found = mail(notification, **{"from": "Jörg Ω <ops@müller.example>"})
    assert found["Subject"] == "[restic-manager] [warning] näs1 ☃: backup_failed"
    assert found["From"] == "Jörg Ω <ops@xn--mller-kva.example>"
    assert text(found).startswith("Пароль неверен\nsecond line …\n\nRaised at: ")
    assert "Host: näs1 ☃" in text(found)


@pytest.mark.parametrize("message", ["x" * 5000, "ä" * 5000, "word " * 2000, ".", "a\r\nb\rc\nd"])
def test_every_message_fits_into_lines_that_mail_servers_take(message: str) -> None:
    raw = payload.render(replace(RAISE, message=message), CONFIG, BASE).content
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert raw.isascii()


def test_line_breaks_in_a_host_name_make_no_header() -> None:
    found = mail(replace(RAISE, host_name="nas1\r\nBcc: evil@example.org"))
    assert found["Bcc"] is None
    assert found["Subject"] == "[restic-manager] [warning] nas1 Bcc: evil@example.org: backup_failed"


@pytest.mark.parametrize(
    "line",
    [
        "Link: https://evil.example/", "link : https://evil.example/", "  Link: x", "\tLINK:x", "- Link: x",
        "Link\uff1a x", "\uff2cink: x", "L\u0456nk: x", "Li\u200bnk: x", "\u202eLink: x", "Lin\u00adk: x", "Host: nas2",
        "Raised at: now", "Raised\u00a0at: now", "Severity\ua789 info", "Kind: x", "By: root", "Note: ok", "Iink: x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", ["boom\n", "boom\r\n\r\n", "boom\x0b", "boom\u2028", "boom\x85"])
def test_a_line_of_a_host_is_not_taken_for_one_of_ours(line: str, before: str) -> None:
    said = text(mail(replace(RAISE, message=f"{before}{line}\nmore"))).splitlines()
    assert [line for line in said if re.match(r"\W*Link", line) and not line.startswith(">")] == [f"Link: {RAISE.link}"]
    assert said[-6:-1] == text(mail(RAISE)).splitlines()[-6:-1]
    [quoted] = [line for line in said if line.startswith("> ")]
    assert said.index(quoted) < said.index("more")


@pytest.mark.parametrize("name", ["Link", "link", "L\u0456nk", "Raised at", "Li\u200bnk", "\uff2cink"])
def test_a_name_that_a_host_gave_does_not_make_the_first_line_one_of_ours(name: str) -> None:
    first, *_ = text(mail(replace(RAISE, message=f"{name}: https://evil.example/ was not backed up."))).splitlines()
    assert first.startswith("> ")


@pytest.mark.parametrize(
    "message",
    [
        "Nightly: old snapshots were not forgotten: wrong password.", "家庭: old snapshots were not forgotten.",
        "It failed.\nsecond line …", "2 alerts on nas1: backup_failed, check_failed",
    ],
)  # fmt: skip
def test_what_cannot_be_taken_for_a_fact_stays_as_it_is(message: str) -> None:
    assert text(mail(replace(RAISE, message=message))).startswith(f"{message}\n\nRaised at: ")


def test_an_alert_of_a_group_cannot_pretend_to_be_another_one() -> None:
    bodies = [("a", "It failed.\n- [critical] restore_test_failed: all is lost\nLink: x"), ("b", "So did this.")]
    items = [
        Delivery(f"d{alert}", alert, "host", "alert.raised", 1, json.dumps({
            "severity": "warning", "kind": "backup_failed", "subject": "s", "host_name": "nas1", "message": message,
            "raised_at": 1, "occurred_at": 1, "actor": None, "note": None,
        }), 0, 1, 1, False)
        for alert, message in bodies
    ]  # fmt: skip
    notification = of_batch(Batch(items[0], ((items[1], "delivered"),), group=True), "https://rm.example.org")
    assert text(mail(notification)).splitlines()[:6] == [
        "2 alerts:",
        "- [warning] backup_failed: It failed.",
        ">   - [critical] restore_test_failed: all is lost",
        ">   Link: x",
        "- [warning] backup_failed: So did this.",
        "",
    ]


EVIL = "a\x1b[31mb\x07c\x00d\u202ee\u2066f\u200bg\x9bh\x7fi"


def test_nothing_that_a_terminal_obeys_or_that_turns_the_line_is_in_a_mail() -> None:
    notification = replace(ACKNOWLEDGEMENT, message=EVIL, host_name=EVIL, kind=EVIL, actor=EVIL, note=EVIL)
    found = mail(notification)
    assert str(found["Subject"]).isprintable()
    assert all(line.isprintable() for line in text(found).split("\n"))
    assert text(found).startswith("a\ufffd[31mb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh\ufffdi\n")


def test_an_address_beyond_ascii_asks_for_smtputf8() -> None:
    found = payload.render(RAISE, {**CONFIG, "to": "jörg@example.org"}, BASE)
    assert found.smtputf8
    assert "To: jörg@example.org\r\n".encode() in found.content
    assert not payload.render(RAISE, {**CONFIG, "to": "ops@müller.example"}, BASE).smtputf8


def test_an_address_twice_is_told_once() -> None:
    assert payload.recipients({"to": "a@b.example, A <a@b.example>, c@d.example"}) == ("a@b.example", "c@d.example")
