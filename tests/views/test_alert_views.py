"""Alerts as the list and the timeline say them."""

import dataclasses
from typing import Any

import pytest

from rmactors.common import clock
from rmactors.server.store.queries.alerts import AlertFilter, AlertRow, Counts, TimelineEntry
from rmactors.server.web.views import alert_filters, alerts
from rmactors.server.web.views.timeline import timeline
from rmactors.server.web.views.times import Moment

NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")
MOMENT = Moment(NOW)
ROW = AlertRow(
    "A" * 26, "H" * 26, "nas1", "check_failed", "", "critical", "The repository is damaged", 4, None,
    NOW - 6 * clock.HOUR, NOW - 22 * clock.SECOND, None, None, None, None, None, None,
)  # fmt: skip
COUNTS = Counts(3, 1, 12)


def changed(**values: Any) -> AlertRow:
    return dataclasses.replace(ROW, **values)


def test_what_was_seen_in_the_last_minute_is_still_happening() -> None:
    silent = changed(kind="agent_offline")
    assert alerts.line(silent, MOMENT).still_happening
    long_ago = dataclasses.replace(silent, last_seen_at=NOW - 61 * clock.SECOND)
    assert not alerts.line(long_ago, MOMENT).still_happening
    resolved = dataclasses.replace(silent, resolved_at=NOW, resolved_by="rule")
    assert not alerts.line(resolved, MOMENT).still_happening


def test_a_run_that_failed_is_over() -> None:
    line = alerts.line(changed(kind="backup_failed"), MOMENT)
    assert (line.still_happening, line.seen_word) == (False, "last failed")
    assert alerts.line(changed(kind="agent_offline"), MOMENT).seen_word == "last seen"


def test_a_line_says_who_took_it_on_and_how_it_ended() -> None:
    taken = changed(acknowledged_at=NOW - clock.HOUR, acknowledged_by="dana", acknowledged_note="Disk ordered")
    line = alerts.line(taken, MOMENT)
    assert (line.acknowledged, line.note) == ("acknowledged by dana 1 h ago", "Disk ordered")
    assert (line.may_acknowledge, line.may_resolve) == (False, True)
    line = alerts.line(dataclasses.replace(taken, resolved_at=NOW - clock.MINUTE, resolved_by="rule"), MOMENT)
    assert (line.resolved, line.may_resolve) == ("resolved automatically 1 min ago", False)


def test_one_occurrence_is_not_counted_aloud() -> None:
    assert alerts.line(ROW, MOMENT).occurrences == "4 times"
    assert alerts.line(changed(occurrences=1), MOMENT).occurrences == ""


def test_an_alert_seen_once_has_no_second_time_to_tell() -> None:
    assert alerts.line(changed(last_seen_at=ROW.created_at), MOMENT).last_seen is None


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"status": "all", "severity": "critical"}, {"status": "all", "severity": "critical"}),
        ({"status": "nonsense", "kind": "nonsense", "sort": "size"}, {}),
        ({"host": "nas", "q": " disk "}, {"host": "nas", "q": "disk"}),
        (
            {"host_id": "nas", "q": "  ", "tag": "prod", "sort": "oldest"},
            {"host": "nas", "tag": "prod", "sort": "oldest"},
        ),
    ],
)
def test_a_url_becomes_a_filter_and_unknown_words_are_passed_over(
    given: dict[str, str], wanted: dict[str, Any]
) -> None:
    usual: dict[str, Any] = {"anywhere": True, "sort": "severity"}
    assert alert_filters.filter_of(alert_filters.asked(given)) == AlertFilter(**{**usual, **wanted})


def test_the_one_host_that_is_named_is_found_by_its_id() -> None:
    wanted = alert_filters.filter_of(alert_filters.asked({"host": "nas1"}), "H" * 26)
    assert (wanted.host_id, wanted.host) == ("H" * 26, None)


def test_a_filter_becomes_a_url_without_what_is_usual() -> None:
    assert alert_filters.asked({"status": "open", "sort": "severity"}).href() == "/alerts"
    assert (
        alert_filters.asked({"severity": "critical", "status": "all"}).href() == "/alerts?status=all&severity=critical"
    )


def test_the_lede_counts_whatever_the_filter_is() -> None:
    shown = alerts.alert_list([], COUNTS, alert_filters.asked({"q": "x"}), MOMENT)
    assert shown.lede == "3 open, 1 acknowledged, 12 resolved in the last 24 hours."


def test_no_open_alerts_and_no_matches_are_two_things() -> None:
    nothing = alerts.alert_list([], COUNTS, alert_filters.asked({}), MOMENT).empty
    no_match = alerts.alert_list([], COUNTS, alert_filters.asked({"q": "x"}), MOMENT).empty
    assert nothing is not None
    assert no_match is not None
    assert (nothing[0], no_match[0]) == ("No open alerts", "No matches")
    assert alerts.alert_list([ROW], COUNTS, alert_filters.asked({}), MOMENT).empty is None


def test_the_sheet_of_alerts_has_a_cell_for_each_column() -> None:
    cells = dict(zip(alerts.SHEET, alerts.cells(changed(subject="plan:etc")), strict=True))
    assert (cells["host"], cells["about"], cells["status"], cells["resolved_at"]) == ("nas1", "etc", "open", "")
    ended = alerts.cells(changed(resolved_at=NOW, resolved_by="rule"))
    assert dict(zip(alerts.SHEET, ended, strict=True))["resolved_at"] == "2026-11-23T12:00:00.000Z"


EVENTS = [
    (TimelineEntry(NOW, "raised", message="2 packs are missing"), "Raised  | 2 packs are missing"),
    (
        TimelineEntry(NOW, "worsened", by="rule", message="2 packs are missing"),
        "Got worse (sent again) | 2 packs are missing",
    ),
    (TimelineEntry(NOW, "worsened", by="rule", message=ROW.message), "Got worse (sent again) | "),
    (TimelineEntry(NOW, "acknowledged", by="dana", note="on it"), "Acknowledged by dana | “on it”"),
    (
        TimelineEntry(NOW, "raised", by="rule", message=ROW.message, reason="lost"),
        "Raised because the end of a run was not reported | ",
    ),
    (
        TimelineEntry(NOW, "worsened", by="rule", message=ROW.message, reason="got_worse"),
        "Got worse because a run failed after one that was partial (sent again) | ",
    ),
    (TimelineEntry(NOW, "resolved", by="rule"), "Resolved automatically | "),
    (
        TimelineEntry(NOW, "resolved", by="rule", reason="recovered"),
        "Resolved automatically because a later run was good | ",
    ),
    (TimelineEntry(NOW, "resolved", by="dana", reason="resolved_by_hand"), "Resolved by dana | "),
    (TimelineEntry(NOW, "resolved", by="rule", reason="invented_later"), "Resolved automatically | "),
    (TimelineEntry(NOW, "silenced", channel_name="ops"), "Silenced for ops | "),
    (TimelineEntry(NOW, "unsilenced", channel_name="ops"), "Released to ops when the silence ended | "),
    (TimelineEntry(NOW, "reminded", channel_name="ops"), "Reminder to ops | "),
    (TimelineEntry(NOW, "escalated", channel_name="ops"), "Escalated to ops: nobody had acknowledged it | "),
    (TimelineEntry(NOW, "superseded", channel_name="ops"), "Combined with the resolved notification to ops | "),
    (
        TimelineEntry(NOW, "delivered", channel_name="ops", attempt=1, status_code=204, latency_ms=38.2),
        "Delivered to ops | 204 in 38 ms",
    ),
    (
        TimelineEntry(NOW, "attempt_failed", channel_name="phone", attempt=3, latency_ms=5000.0, error="timed out"),
        "Delivery to phone failed (3 attempts, retrying) | timed out · after 5.0 s",
    ),
    (
        TimelineEntry(NOW, "dead", channel_name="phone", delivery_id="D", attempt=1, status_code=410, latency_ms=9.0),
        "Not delivered to phone | 410 in 9 ms",
    ),
    (TimelineEntry(NOW, "delivered"), "Delivered to a deleted channel | "),
    (TimelineEntry(NOW, "invented_later", by="dana"), "Invented_later by dana | "),
]


@pytest.mark.parametrize(("entry", "text"), EVENTS, ids=[entry.event for entry, _text in EVENTS])
def test_each_event_of_a_timeline_is_a_sentence(entry: TimelineEntry, text: str) -> None:
    found = timeline([entry], changed(resolved_at=NOW, resolved_by="rule"), MOMENT)[0]
    assert f"{found.strong} {found.rest} | {found.sub}" == text


def test_attempts_of_one_message_are_one_entry_and_those_of_another_stay() -> None:
    def tried(delivery: str, attempt: int, event: str = "attempt_failed") -> TimelineEntry:
        return TimelineEntry(NOW, event, channel_name=delivery, delivery_id=delivery, attempt=attempt, error="no")

    entries = [tried("phone", 1), tried("mail", 1), tried("phone", 2), tried("phone", 3), tried("mail", 2, "delivered")]
    said = [f"{each.strong} {each.rest}" for each in timeline(entries, ROW, MOMENT)[:-1]]
    assert said == ["Delivery to phone failed (3 attempts, retrying)", "Delivered to mail"]


def test_what_was_not_delivered_can_be_sent_again_from_the_timeline() -> None:
    entry = TimelineEntry(NOW, "dead", channel_name="phone", delivery_id="D")
    assert timeline([entry], ROW, MOMENT)[0].delivery_id == "D"


def test_the_timeline_of_an_open_alert_ends_with_now() -> None:
    last = timeline([], changed(kind="agent_offline"), MOMENT)[-1]
    assert (last.at.words, last.strong, last.sub) == ("now", "Still happening", "last seen 20 s ago, 4 times")
    last = timeline([], ROW, MOMENT)[-1]
    assert (last.strong, last.sub) == ("Not resolved yet", "last failed 20 s ago, 4 times")
