"""What messages to chats have in common."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.common.vocabulary import Event, Severity
from rmactors.server.channels.chat import colour, headline, links, text
from rmactors.server.channels.telling import utf16
from tests.channels.chats import ACT, ACTABLE, notifications
from tests.channels.notifications import ACKNOWLEDGEMENT, DIGEST, GROUP, OF_HOSTS, RAISE, REMINDER, RESOLUTION


@pytest.mark.parametrize(
    ("severity", "event", "head", "colours"),
    [
        ("critical", "alert.raised", "🔴 [critical] nas1: backup_failed", 0xD32F2F),
        ("warning", "alert.raised", "🟠 [warning] nas1: backup_failed", 0xF57C00),
        ("info", "alert.test", "🔵 [info] nas1: backup_failed", 0x1976D2),
        ("critical", "alert.reminder", "🔴 Reminder: [critical] nas1: backup_failed", 0xD32F2F),
        ("critical", "alert.acknowledged", "👀 [critical] nas1: backup_failed (acknowledged)", 0x757575),
        ("critical", "alert.resolved", "✅ [critical] nas1: backup_failed (resolved)", 0x388E3C),
    ],
)
def test_sign_and_colour_say_how_bad_it_is_or_that_it_is_over(
    severity: Severity, event: Event, head: str, colours: int
) -> None:
    notification = replace(RAISE, severity=severity, event=event)
    assert (headline(notification, 150), colour(notification)) == (head, colours)


@given(notifications, st.integers(100, 300), st.sampled_from([len, utf16, lambda text: 2 * utf16(text)]))
def test_a_headline_fits_and_is_one_line(notification: object, most: int, size: object) -> None:
    assert callable(size)
    found = headline(notification, most, size)  # type: ignore[arg-type]
    assert size(found) <= most
    assert found.isprintable()


def test_a_headline_keeps_its_end() -> None:
    assert headline(replace(RESOLUTION, host_name="😀" * 200), 100).endswith("… (resolved)")


@given(notifications, st.integers(1500, 4000))
def test_a_text_fits_and_is_never_empty(notification: object, most: int) -> None:
    found = text(notification, most, lambda text: 5 * utf16(text))  # type: ignore[arg-type]
    assert found.strip()
    assert 5 * utf16(found) <= most


def test_a_message_is_printable_and_keeps_its_lines() -> None:
    assert (
        text(replace(RAISE, message="first\x1b[2J\r\nsecond\u202e\x00"), 1500, len)
        == "first\ufffd[2J\nsecond\ufffd\ufffd"
    )


def test_a_group_names_twenty_in_shorter_lines_where_these_do_not_fit_and_counts_the_rest() -> None:
    member = replace(GROUP.group[0], message="x" * 500)
    many = replace(GROUP, message="40 alerts:\n- and so on", group=(member,) * 40)
    for most, longest in ((9000, 200), (3000, 120), (1500, 60)):
        found = text(many, most, len).split("\n")
        assert found[0] == "40 alerts:"
        assert found[1:-1] == [("• [warning] backup_failed: " + "x" * 500)[: longest - 1] + "…"] * 20
        assert found[-1] == "… and 20 more"


def test_a_long_group_over_hosts_keeps_what_is_still_open_in_shorter_lines() -> None:
    named = ["- [warning] nas1: check_failed: " + "x" * 300] * 10
    message = "\n".join(
        ["40 alerts of 40 hosts are resolved:", *named, "and 30 more", "1 is still open", "- [info] web7: y"]
    )
    found = text(replace(GROUP, group_count=40, message=message), 1500, len).split("\n")
    assert found[1:11] == [named[0][:119] + "…"] * 10
    assert found[-3:] == ["and 30 more", "1 is still open", "- [info] web7: y"]


def test_a_group_over_hosts_is_told_as_it_counts_and_names_itself() -> None:
    assert text(OF_HOSTS, 1500, len) == OF_HOSTS.message
    assert headline(OF_HOSTS, 200) == "✅ [critical] 39 hosts: multiple (resolved)"


def test_a_small_group_is_named_whole() -> None:
    assert text(GROUP, 1500, len).count("\n") == 2


def test_the_link_of_a_digest_opens_the_dashboard() -> None:
    assert links(DIGEST) == [("Open the dashboard", "https://rm.example.org/")]


def test_links_lead_to_the_alert_or_what_a_test_is_about_and_to_the_page_to_act_on() -> None:
    assert links(ACKNOWLEDGEMENT) == [("Open the alert", RAISE.link)]
    assert links(replace(REMINDER, event="alert.test")) == [("Open the channel", RAISE.link)]
    assert links(ACTABLE) == [("Open the alert", RAISE.link), ("Acknowledge or silence", ACT)]
