"""Which runs are due: schedules, marks and the time go in, runs come out."""

from datetime import UTC, datetime

import msgspec

from rmactors.agent.due_runs import definition, due, interval, jitter, reconcile
from rmactors.agent.spool import Mark
from rmactors.common import clock

from .server_double import schedule


def at(text: str) -> int:
    return clock.from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def marked(info: object, slot: str) -> dict[str, Mark]:
    return {info.id: Mark(info.id, definition(info), at(slot))}  # type: ignore[attr-defined, arg-type]


NIGHTLY = schedule("nightly", cron="0 3 * * *")


def test_a_new_schedule_counts_from_now_on() -> None:
    now = at("2026-11-24T12:00")
    fresh, gone = reconcile([NIGHTLY], {}, now)
    assert fresh == [Mark(NIGHTLY.id, definition(NIGHTLY), now)]
    assert gone == []
    assert due([NIGHTLY], {NIGHTLY.id: fresh[0]}, now, "", 0) == ([], at("2026-11-25T03:00"))


def test_a_changed_schedule_counts_from_then_on_and_a_deleted_one_is_forgotten() -> None:
    changed = schedule("nightly", id=NIGHTLY.id, cron="0 4 * * *")
    now = at("2026-11-24T12:00")
    fresh, gone = reconcile([changed], marked(NIGHTLY, "2026-11-20T03:00") | {"old": Mark("old", "", 0)}, now)
    assert [mark.slot for mark in fresh] == [now]
    assert gone == ["old"]


def test_a_slot_runs_once() -> None:
    now = at("2026-11-24T03:00:01")
    runs, _ = due([NIGHTLY], marked(NIGHTLY, "2026-11-23T03:00"), now, "", 0)
    assert [run.slot for run in runs] == [at("2026-11-24T03:00")]
    assert due([NIGHTLY], marked(NIGHTLY, "2026-11-24T03:00"), now, "", 0)[0] == []


def test_after_a_week_asleep_one_run_catches_up() -> None:
    runs, look = due([NIGHTLY], marked(NIGHTLY, "2026-11-17T03:00"), at("2026-11-24T09:00"), "", 0)
    assert [run.slot for run in runs] == [at("2026-11-24T03:00")]
    assert look == at("2026-11-25T03:00")


def test_external_and_disabled_schedules_never_run_here() -> None:
    for info in (schedule(mode="external"), schedule(enabled=False)):
        assert due([info], marked(info, "2020-01-01T00:00"), at("2026-11-24T03:00"), "", 0) == ([], None)


def test_a_schedule_that_this_version_cannot_read_disturbs_no_other() -> None:
    strange = schedule(cron="every tuesday")
    marks = marked(strange, "2026-11-17T03:00") | marked(NIGHTLY, "2026-11-23T03:00")
    runs, _ = due([strange, NIGHTLY], marks, at("2026-11-24T03:00"), "", 0)
    assert [run.schedule.name for run in runs] == ["nightly"]


def test_a_mark_from_a_clock_that_was_years_ahead_is_set_back() -> None:
    now = at("2026-11-24T12:00")
    fresh, _ = reconcile([NIGHTLY], marked(NIGHTLY, "2040-01-01T00:00"), now)
    assert [mark.slot for mark in fresh] == [now]


def test_jitter_delays_always_by_the_same_and_less_than_a_tenth_of_the_interval() -> None:
    shift = jitter(NIGHTLY.id, "host", clock.seconds(15))
    assert shift == jitter(NIGHTLY.id, "host", clock.seconds(15))
    assert len({jitter(NIGHTLY.id, f"host{n}", clock.seconds(15)) for n in range(50)}) > 40
    slot = at("2026-11-24T03:00")
    marks = marked(NIGHTLY, "2026-11-23T03:00")
    assert due([NIGHTLY], marks, slot + shift - 1, "host", 15) == ([], slot + shift)
    assert [run.slot for run in due([NIGHTLY], marks, slot + shift, "host", 15)[0]] == [slot]
    minutely = schedule(cron="* * * * *")
    _, look = due([minutely], marked(minutely, "2026-11-24T03:00"), slot, "host", 600)
    assert look is not None
    assert 0 <= look - at("2026-11-24T03:01") <= 6 * clock.SECOND


# ---- intervals


DAILY = schedule("laptop", cron="", every_hours=24.0)


def test_an_interval_counts_from_the_end_of_the_last_run_and_has_no_slot() -> None:
    marks = marked(DAILY, "2026-11-23T08:10")
    assert due([DAILY], marks, at("2026-11-24T08:09"), "host", 15) == ([], at("2026-11-24T08:10"))
    now = at("2026-11-24T08:10")
    (run,), look = due([DAILY], marks, now, "host", 15)
    assert (run.slot, run.mark, look) == (None, now, now + clock.DAY)


def test_after_a_week_asleep_an_interval_runs_once() -> None:
    now = at("2026-11-30T09:00")
    runs, _ = due([DAILY], marked(DAILY, "2026-11-23T08:10"), now, "", 0)
    assert [run.mark for run in runs] == [now]
    assert due([DAILY], marked(DAILY, "2026-11-30T09:00"), now, "", 0)[0] == []


def test_a_new_interval_counts_from_now_on_and_a_changed_one_from_the_last_run() -> None:
    now = at("2026-11-24T12:00")
    fresh, _ = reconcile([DAILY], {}, now)
    assert [mark.slot for mark in fresh] == [now]
    for changes in ({"every_hours": 12.0}, {"enabled": False}):
        changed = msgspec.structs.replace(DAILY, **changes)
        assert reconcile([changed], marked(DAILY, "2026-11-23T08:10"), now) == ([], [])
    nightly = msgspec.structs.replace(DAILY, every_hours=None, cron="0 3 * * *")
    assert [mark.slot for mark in reconcile([nightly], marked(DAILY, "2026-11-23T08:10"), now)[0]] == [now]


def test_what_others_start_and_what_this_version_does_not_know_never_runs_here() -> None:
    now = at("2026-11-24T12:00")
    for changes in ({"mode": "external"}, {"enabled": False}, {"every_hours": None}):
        info = msgspec.structs.replace(DAILY, **changes)  # the last: by something that a later version knows
        assert due([info], marked(info, "2020-01-01T00:00"), now, "", 0) == ([], None)
    info = schedule(cron="", on_calendar="daily")
    assert due([info], marked(info, "2020-01-01T00:00"), now, "", 0) == ([], None)


def test_an_interval_of_nothing_leaves_the_agent_time_to_breathe() -> None:
    assert interval(1e-300) == clock.SECOND
    assert interval(1.5) == 90 * clock.MINUTE
