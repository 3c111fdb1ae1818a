"""When a channel is notified, as its form shows it."""

import json
from dataclasses import replace

import pytest

from rmactors.server.channels.registry import KINDS
from rmactors.server.web.views import channels
from rmactors.server.web.views.channel_times import TimesForm, as_typed, times_words
from tests.views.test_fleet_views import CHANNEL


def test_times_of_a_channel_go_through_the_form_and_come_back_as_they_were() -> None:
    quiet = {"timezone": "Europe/Berlin", "from": "22:00", "to": "07:00", "days": ["fri"]}
    row = replace(
        CHANNEL, group_by="all", after_minutes=7.5, quiet_hours=json.dumps(quiet),
        digest='{"cron": "0 8 * * 1", "timezone": "UTC"}',
    )  # fmt: skip
    shown = channels.stored_form(KINDS["webhook"], row, {"url": "https://x.example/"}).times
    typed = {
        "group_by": shown.group_by, "after_minutes": shown.after_minutes, "quiet_hours.from": shown.quiet_from,
        "quiet_hours.to": shown.quiet_to, "quiet_hours.timezone": shown.quiet_zone, "quiet_hours.days.fri": "1",
        "digest.cron": shown.digest_cron, "digest.timezone": shown.digest_zone,
    }  # fmt: skip
    assert channels.typed_form(KINDS["webhook"], typed, []).times == shown
    body = channels.body_of(KINDS["webhook"], typed, [])
    assert (body["group_by"], body["after_minutes"], body["quiet_hours"]) == ("all", 7.5, quiet)
    assert body["digest"] == {"cron": "0 8 * * 1", "timezone": "UTC"}


def test_the_list_says_when_a_channel_is_notified() -> None:
    quiet = {"timezone": "Europe/Berlin", "from": "22:00", "to": "07:00", "days": ["fri", "sat"]}
    digest = '{"cron": "0 8 * * 1", "timezone": "UTC"}'
    row = replace(CHANNEL, after_minutes=90.0, quiet_hours=json.dumps(quiet), digest=digest)
    assert times_words(row) == [
        "what is open after 1 h 30 min", "quiet 22:00 to 07:00, Europe/Berlin (Fri, Sat)",
        "digest on Monday at 08:00, UTC",
    ]  # fmt: skip
    assert times_words(replace(row, quiet_hours=json.dumps(quiet | {"days": []})))[1] == (
        "quiet 22:00 to 07:00, Europe/Berlin"
    )
    assert times_words(CHANNEL) == []


def test_times_are_folded_away_where_none_are_set() -> None:
    assert not channels.new_form(KINDS["webhook"]).times.in_use
    assert not channels.stored_form(KINDS["webhook"], CHANNEL, {}).times.in_use
    assert TimesForm(after_minutes="5").in_use
    assert TimesForm(digest_cron="@daily").in_use


def test_a_form_without_times_has_neither_quiet_hours_nor_a_digest() -> None:
    body = channels.body_of(KINDS["webhook"], {"quiet_hours.timezone": "UTC", "digest.timezone": "UTC"}, [])
    assert (body["quiet_hours"], body["digest"], body["after_minutes"]) == (None, None, 0)


@pytest.mark.parametrize(("number", "text"), [(0.0, "0"), (60, "60"), (1.5, "1.5"), (12345.678, "12345.678")])
def test_a_number_is_shown_as_it_would_be_typed(number: float, text: str) -> None:
    assert as_typed(number) == text
