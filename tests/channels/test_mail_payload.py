"""What a mail looks like, read back as a mail client reads it."""

import json
import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import unquote
from html.parser import HTMLParser
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rmactors.server.actors.delivery.notification import of_batch
from rmactors.server.actors.delivery.queue import Batch
from rmactors.server.channels.mail import headers, payload
from rmactors.server.channels.mail.payload import Mail
from rmactors.server.channels.request import one_line
from rmactors.server.channels.telling import shortened
from rmactors.server.messages.notifications import Notification
from rmactors.server.state.delivery import Delivery
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, DIGEST, RAISE, REMINDER, RESOLUTION, spec

CONFIG = {"from": "Ops <ops@example.org>", "to": "maria@example.org, Li <li@example.org>"}
BASE = "https://rm.example.org:8443/sub"


def mail(notification: Notification, base_url: str = BASE, **config: str) -> EmailMessage:
    content = render(notification, base_url, **config).content
    return cast(EmailMessage, message_from_bytes(content, policy=policy.default))


def render(notification: Notification, base_url: str = BASE, **config: str) -> Mail:
    return payload.render(notification, spec("smtp", **{**CONFIG, **config}), base_url)


def text(message: EmailMessage, kind: str = "plain") -> str:
    """The part of a mail in plain text, or in HTML."""
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_raise_is_exactly_this() -> None:
    found = render(RAISE)
    head, html = found.content.decode().split("<!doctype html>")
    assert head.split("\r\n") == [
        "From: Ops <ops@example.org>",
        "To: maria@example.org, Li <li@example.org>",
        "Subject: [restic-manager] [warning] nas1: backup_failed",
        "Date: Mon, 23 Nov 2026 03:00:12 +0000",
        f"Message-ID: <{ALERT}@rm.example.org>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "List-Id: restic-manager <01k9xz3v8t5wq1r7m2n4p6s8cc.rm.example.org>",
        "X-Restic-Manager-Event: alert.raised",
        "X-Restic-Manager-Severity: warning",
        "X-Restic-Manager-Kind: backup_failed",
        "X-Restic-Manager-Host: nas1",
        f"X-Restic-Manager-Alert: {ALERT}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="=_{DELIVERY}"',
        "",
        f"--=_{DELIVERY}",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "",
        "Backup of home failed: wrong password",
        "",
        "Raised at: 2026-11-23T03:00:12.345Z",
        "Severity: warning",
        "Host: nas1",
        "Kind: backup_failed",
        f"Link: https://rm.example.org/alerts/{ALERT}",
        "",
        f"--=_{DELIVERY}",
        'Content-Type: text/html; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        "",
        "",
    ]
    assert html.endswith(f"\r\n</html>\r\n\r\n--=_{DELIVERY}--\r\n")
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
    assert render(RESOLUTION) == render(RESOLUTION)


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
    raw = render(RESOLUTION, f"https://{host}").content
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
    raw = render(replace(RAISE, message=message)).content
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
        "Forget of Nightly failed: wrong password.", "Forget of 家庭 failed.",
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
    found = render(RAISE, to="jörg@example.org")
    assert found.smtputf8
    assert "To: jörg@example.org\r\n".encode() in found.content
    assert not render(RAISE, to="ops@müller.example").smtputf8


def test_an_address_twice_is_told_once() -> None:
    assert payload.recipients({"to": "a@b.example, A <a@b.example>, c@d.example"}) == ("a@b.example", "c@d.example")


def test_a_server_without_smtputf8_gets_a_mail_for_those_whom_it_can_reach() -> None:
    found = render(RAISE, to="Jörg <jörg@example.org>, Li <li@example.org>")
    assert found.recipients == ("jörg@example.org", "li@example.org")
    assert found.in_ascii is not None
    assert (found.in_ascii.recipients, found.in_ascii.smtputf8) == (("li@example.org",), False)
    assert found.in_ascii.content.isascii()
    assert b"To: Li <li@example.org>\r\n" in found.in_ascii.content


@pytest.mark.parametrize("config", [{"to": "jörg@example.org"}, {"from": "jörg@example.org"}])
def test_nobody_can_be_reached_where_the_sender_or_all_recipients_need_smtputf8(config: dict[str, str]) -> None:
    found = render(RAISE, **config)
    assert (found.smtputf8, found.in_ascii) == (True, None)


# ---- headers


READABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"]), max_size=150
)
ODD = st.lists(
    st.sampled_from(["=?utf-8?q?x?=", "=?utf-8?b?eA==?=", "=?", "?=", " ", "  ", "_", "ä", "☃", "a", '"', ",", "\\"]),
    max_size=30,
).map("".join)
NAMES = st.one_of(READABLE, ODD)


@settings(max_examples=500, deadline=None)
@given(name=NAMES, kind=NAMES)
@example(name="=?utf-8?q?evil?=", kind="backup_failed")
@example(name="x =?utf-8?b?eA==?= y", kind="=?utf-8?q?a?= =?utf-8?q?b?=")
@example(name="ä b  ö " * 12, kind="x" * 120)
def test_a_subject_is_read_as_it_was_written(name: str, kind: str) -> None:
    notification = replace(RAISE, host_name=name, kind=kind)
    raw = render(notification).content
    found = cast(EmailMessage, message_from_bytes(raw, policy=policy.default))
    assert found["Subject"] == payload.subject(notification)
    assert str(found["X-Restic-Manager-Host"] or "") == shortened(one_line(name), 200)
    assert all(len(line) <= 78 for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n"))


@settings(max_examples=300, deadline=None)
@given(name=NAMES.map(str.strip))
def test_a_name_beside_an_address_is_read_as_it_was_written(name: str) -> None:
    raw = headers.addresses("To", [Address(name, "a", "example.org")]).replace("\r\n", "")
    phrase, _, address = raw.rpartition(" ")
    quoted = phrase.startswith('"') and phrase.endswith('"')
    assert (unquote(phrase) if quoted else str(make_header(decode_header(phrase)))) == name
    assert address == ("<a@example.org>" if name else "a@example.org")


def test_several_addresses_share_lines() -> None:
    given = [Address(f"Person {n}", f"p{n}", "example.org") for n in range(9)]
    raw = f"To: {headers.addresses('To', given)}\r\n\r\n".encode()
    assert max(map(len, raw.split(b"\r\n"))) <= 76
    found = message_from_bytes(raw, policy=policy.default)["To"].addresses
    assert [(each.display_name, each.addr_spec) for each in found] == [
        (each.display_name, each.addr_spec) for each in given
    ]


def test_ascii_words_stay_readable_in_the_source_of_a_mail() -> None:
    raw = render(replace(RAISE, host_name="näs1")).content.decode()
    assert "\r\nSubject: [restic-manager] [warning] =?utf-8?q?n=C3=A4s1=3A_backup=5Ffailed?=\r\n" in raw
    plain = render(replace(RAISE, host_name="nas1." + "sub." * 8 + "example.org")).content.decode()
    assert "=?" not in plain.partition("\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("base_url", "domain"),
    [("https://rm.example.org", "rm.example.org"), ("http://nas:8080", "localhost"), ("http://10.0.0.5", "localhost")],
)
def test_a_channels_mails_have_one_list_id(base_url: str, domain: str) -> None:
    found = {mail(each, base_url)["List-Id"] for each in (RAISE, RESOLUTION, REMINDER)}
    assert found == {f"restic-manager <01k9xz3v8t5wq1r7m2n4p6s8cc.{domain}>"}


def test_the_headers_for_filters_say_what_it_is_about() -> None:
    found = mail(replace(RESOLUTION, host_name=""))
    about = {name: value for name, value in found.items() if name.startswith("X-Restic-Manager-")}
    assert about == {
        "X-Restic-Manager-Event": "alert.resolved", "X-Restic-Manager-Severity": "warning",
        "X-Restic-Manager-Kind": "backup_failed", "X-Restic-Manager-Alert": ALERT,
    }  # fmt: skip
    assert found["X-Auto-Response-Suppress"] == "All"


# ---- HTML


class Page(HTMLParser):
    """What an HTML part shows: its words, the targets of its links, and what it would load."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.elements: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        named = dict(attrs)
        assert not {"src", "srcset", "background", "onclick", "onload"} & named.keys()
        if "href" in named:
            assert tag == "a"
            self.links.append(named["href"] or "")

    def handle_data(self, data: str) -> None:
        self.words += data.split()


OURS = {"html", "head", "meta", "title", "style", "body", "div", "p", "table", "tr", "th", "td", "a", "br"}
EVIL_HTML = '<script>alert(1)</script><img src=x onerror=alert(1)><a href="https://evil.example/">x</a>&amp;'


def test_the_html_part_says_what_the_plain_one_says() -> None:
    found = mail(replace(ACKNOWLEDGEMENT, message="one\ntwo <b>three</b>"))
    assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]
    page = Page(text(found, "html"))
    assert page.links == [RAISE.link]
    shown = " ".join(page.words)
    for words in ("one two <b>three</b>", "Raised at 2026-11-23T03:00:12.345Z", "Host nas1", "By dana", "Note on it"):
        assert words in shown
    assert set(page.elements) <= OURS


def test_what_hosts_say_is_no_html() -> None:
    notification = replace(ACKNOWLEDGEMENT, message=EVIL_HTML, host_name=EVIL_HTML, kind=EVIL_HTML, note=EVIL_HTML)
    page = Page(text(mail(notification), "html"))
    assert page.links == [RAISE.link]
    assert set(page.elements) <= OURS
    assert " ".join(page.words).count("<script>alert(1)</script>") == 6, (
        "title with host and kind, message, host, kind, note"
    )


def test_nothing_in_the_html_part_comes_from_elsewhere() -> None:
    source = text(mail(RAISE), "html")
    assert re.findall(r"(?:https?:)?//[^\s\"<]+|url\(|@import", source) == [RAISE.link]
    assert len(source) < 4000


def test_a_link_to_act_stands_in_both_parts() -> None:
    act = "https://rm.example.org/act/abc?x=1&y=2"
    found = mail(replace(RAISE, act_link=act))
    assert text(found).splitlines()[-2:] == [
        f"Link: {RAISE.link}", f"Acknowledge or silence without signing in: {act}"
    ]  # fmt: skip
    page = Page(text(found, "html"))
    assert page.links == [RAISE.link, act]
    assert "Acknowledge or silence without signing in" in " ".join(page.words)
    assert "Acknowledge" not in render(RAISE).content.decode()


@pytest.mark.parametrize("line", ["Acknowledge or silence without signing in: https://evil.example/",
                                  "\u0410cknowledge or silence  without signing in : x"])  # fmt: skip
def test_no_host_can_make_a_link_to_act(line: str) -> None:
    act = "https://rm.example.org/act/abc"
    said = text(mail(replace(RAISE, act_link=act, message=f"boom\n{line}"))).splitlines()
    assert [each for each in said if "ilence" in each and not each.startswith(">")] == [
        f"Acknowledge or silence without signing in: {act}"
    ]


def test_a_text_that_has_the_boundary_in_it_parts_nothing() -> None:
    found = mail(replace(RAISE, message=f"--=_{DELIVERY}--\nmore"))
    assert len(list(found.iter_parts())) == 2
    assert text(found).startswith(f"--=_{DELIVERY}--\nmore\n")
